/*
 * What nginx writes to its standard error, as errors in our log: so that it never waits
 * for whoever reads that, and that one event is one line. At most LOG_RATE_MAX lines a
 * second.
 */
#ifndef KP_LAUNCHER_WORDS_H
#define KP_LAUNCHER_WORDS_H

#include <pthread.h>

#include "common/err.h"
#include "common/log.h"

struct words {
	const char *name;		/* whose they are; borrowed */
	int in;				/* for the child; -1: none */
	int out;
	int ended;			/* an event of the thread */
	pthread_t thread;
	struct log_rate rate;
};

/* Begins to listen. KP_EIO: see errno; w->in is -1, and the child may write where we do. */
enum kp_err words_open(struct words *w, const char *name);

/* Waits until all that the child has said is logged, a second at most. The child has
 * ended. `w` as words_open() left it, with or without an error. */
void words_close(struct words *w);

#endif
