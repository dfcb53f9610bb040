/*
 * The steps of a state, as a table of those that may be made. Whoever changes the state has
 * one function for it, which tells the log of each step: at debug level, or as an error when
 * it is not in the table. The step is made all the same: what was done cannot be undone.
 */
#ifndef KP_STEPS_H
#define KP_STEPS_H

#include "common/log.h"

struct steps {
	const char *name;
	unsigned from;			/* states that it may come after, STEP()s */
};

#define STEP(state) (1u << (state))

/* `format`, a literal, says whose state it is. */
#define steps_log(table, was, next, format, ...) do {					\
	if ((table)[next].from & STEP(was))						\
		log_debug(format " state=%s next=%s", __VA_ARGS__, (table)[was].name,	\
		    (table)[next].name);						\
	else										\
		log_error(format " state=%s next=%s: no such step", __VA_ARGS__,	\
		    (table)[was].name, (table)[next].name);				\
} while (0)

#endif
