/*
 * Has Kafka what is to be read next? See group_range.c, which alone writes what is noted of that.
 * Loop thread only.
 */
#ifndef KP_GROUP_RANGE_H
#define KP_GROUP_RANGE_H

#include <stdint.h>

struct group_job;
struct gtopic;

struct gtopic_range {
	struct group_job *job;		/* on its way, or NULL */
	int64_t answered_ms;		/* the last one */
};

/* Asks about the parts that are astray, unless that is being done. */
void topic_ask_range(struct gtopic *t);

#endif
