/*
 * A group whose consumer does not find Kafka: see group_lost.c. Others only read what is
 * noted of that. Loop thread only.
 */
#ifndef KP_GROUP_LOST_H
#define KP_GROUP_LOST_H

#include <stdbool.h>
#include <stdint.h>

struct group;

struct group_lost {
	bool down;			/* no broker answers */
	int64_t down_ms, unjoined_ms;	/* since when, or 0: that; it is not joined */
	unsigned peers;			/* which generation of them its consumer knows */
	bool leaves;			/* because of that: nothing can be committed */
	int64_t renewed_ms;		/* when it last got a new consumer because of that */
	int64_t wait_ms;		/* until the next one */
};

/* Gives it a new consumer when its own does not find Kafka, and others do. */
void group_find_kafka(struct group *g, int64_t now_ms);
/* It gets a consumer now, that knows these peers. */
void group_note_peers(struct group *g);

/* Its consumer, `arg` is the group, says that no broker can be reached. */
void group_goes_down(void *arg);
/* One that is down asks for a sign of life, until it comes. */
void group_tick_down(struct group *g);

/* No broker answers it, or none has answered when Kafka was last asked about a topic. */
bool group_is_cut_off(const struct group *g);
/* It leaves because it does not find Kafka: nothing can be committed. */
bool group_leaves_lost(const struct group *g);
/* One that left because of that has left. */
void group_left_lost(struct group *g);

#endif
