/*
 * What the messages of all consumers of the process may take in memory: those that were
 * read ahead, those that are out, and those that wait to be acknowledged, together. Few
 * partitions may use all of it, many share it: a partition reads ahead as far as its share
 * goes, and then rests. When all of it is used, each that has a message rests, and reads on
 * in its turn when some of it was given back.
 *
 * What lies in librdkafka's queues comes on top, and is bounded by budget_fetch_bytes() a
 * consumer and broker. Loop thread only.
 */
#ifndef KP_BUDGET_H
#define KP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

/* A list is a ring that begins at its head; what is in no list points to itself. */
struct budget_link {
	struct budget_link *prev, *next;
};
void budget_link_init(struct budget_link *l);
bool budget_link_alone(const struct budget_link *l);
/* It may be in a list already, which it leaves then. */
void budget_link_last(struct budget_link *list, struct budget_link *l);
void budget_link_leave(struct budget_link *l);

struct budget {
	size_t max;
	size_t used;			/* by all messages that are kept */
	size_t pending;			/* of that: delivered, and not acknowledged */
	unsigned consumers;
	size_t readers;			/* partitions with something read ahead, and hungry ones */
	struct budget_link held;	/* partitions with something read ahead; who was not asked
					 * for longest first */
	struct budget_link hungry;	/* partitions that rest, and would read on; likewise */
};

void budget_init(struct budget *b, size_t max);

/* So much more, or less, is kept. */
void budget_take(struct budget *b, size_t bytes);
void budget_give(struct budget *b, size_t bytes);
/* Nothing more may be kept. */
bool budget_is_full(const struct budget *b);
/* What does not wait to be acknowledged has a half: who has something may keep more. */
bool budget_may_keep_more(const struct budget *b);
/* Who rests may read on; less than that is short. */
bool budget_has_room(const struct budget *b);
/* What waits to be acknowledged has at most half of it: one more may wait. */
bool budget_may_pend(const struct budget *b);
/* What a partition reads ahead before it rests. */
size_t budget_share(const struct budget *b);
/* What one more consumer lets a broker send at once. */
size_t budget_fetch_bytes(const struct budget *b);

#endif
