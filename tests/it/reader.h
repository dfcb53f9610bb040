/*
 * A consumer of one topic, and the account of what it was given: everything that is
 * in Kafka, and nothing committed before it was seen.
 */
#ifndef KP_IT_READER_H
#define KP_IT_READER_H

#include "tests/it/peer.h"

#define READER_PARTITIONS 3		/* the topic has so many */
#define READER_OFFSETS 20000		/* at most, in a partition */

struct reader {
	struct helper *helper;
	struct peer peer;
	char topic[32], group[32];
	bool asked;
	bool seen[READER_PARTITIONS][READER_OFFSETS];
	int64_t next[READER_PARTITIONS];	/* the first that was not seen */
	unsigned consumed, again;
};

/* Another topic, from its beginning, for a new group. */
void reader_begin(struct reader *r, struct helper *h, const char *topic, const char *group);
/* The helper was started; it must be running until reader_close(). */
void reader_open(struct reader *r);
void reader_close(struct reader *r);
/* Takes what is there, or comes within wait_ms. */
void reader_turn(struct reader *r, int64_t wait_ms);
/* Takes all that the topic has now; what was committed before was seen. */
void reader_check(struct reader *r);

#endif
