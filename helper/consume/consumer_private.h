/*
 * The state of a consumer, shared by consumer.c and consumer_member.c. Nobody else
 * includes it.
 */
#ifndef KP_CONSUMER_PRIVATE_H
#define KP_CONSUMER_PRIVATE_H

#include "helper/consume/consumer.h"

struct membership;

struct consumer {
	struct loop *loop;
	rd_kafka_t *rk;
	rd_kafka_queue_t *main;		/* errors, commits, rebalances */
	struct kafka_wake *wake;
	const struct consumer_events *events;
	void *arg;
	struct membership *member;	/* NULL unless it has joined */
	struct consumer_commit *commits;	/* on their way */
	struct consumer_part *removed;	/* whose queues have still to be emptied */
	struct loop_timer sweep;
	struct loop_job end;
	bool ending;			/* consumer_free() was called */
	bool probing;
	struct loop_job probe;
	enum kp_err probe_err;		/* the worker's until its job is done */
	void (*probed)(void *arg, enum kp_err err);
};

struct consumer_part {
	struct consumer *c;
	rd_kafka_queue_t *q;
	char topic[TOPIC_MAX + 1];
	int32_t partition;
	int64_t next_offset;		/* to be read */
	struct consumer_part *prev, *next;	/* of a member's, or of those removed */
	/* Of a member: */
	bool reading;			/* Kafka is being read at its own offset */
};

/* consumer.c. Polls all there is. */
void consumer_serve(void *consumer);

/* consumer_member.c. Takes NULL for a member that is none. */
void member_free(struct consumer *c);
void member_error(struct consumer *c, const char *text);
void member_rebalance(struct consumer *c, rd_kafka_event_t *ev);
void member_add(struct consumer_part *p);
void member_remove(struct consumer_part *p);
void member_rewind(struct consumer_part *p);

#endif
