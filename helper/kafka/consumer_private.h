/*
 * The state of a consumer, shared by consumer.c (the handle), consumer_commit.c,
 * consumer_part.c (its partitions), consumer_ahead.c (what is read ahead of them),
 * consumer_unfit.c (what cannot be handed out) and consumer_member.c. Nobody else includes it.
 */
#ifndef KP_CONSUMER_PRIVATE_H
#define KP_CONSUMER_PRIVATE_H

#include "helper/kafka/consumer.h"

struct membership;

struct consumer {
	struct loop *loop;
	rd_kafka_t *rk;
	rd_kafka_queue_t *main;		/* messages, errors, commits, rebalances */
	struct kafka_wake *wake;
	struct budget *budget;
	struct consumer_part **table;	/* by topic and partition; its size is a power of two */
	size_t table_size, n_parts;
	struct consumer_part *latest;	/* whose message came last, or NULL */
	struct consumer_part *changed;	/* by .next_changed; librdkafka has to be told */
	struct loop_timer tell;
	const struct consumer_events *events;
	void *arg;
	struct membership *member;	/* NULL unless it is one */
	bool leaving;			/* consumer_leave() was called */
	LIST_HEAD(, consumer_commit) commits;	/* on their way */
	int64_t refused_ms;		/* when it was last told that one cannot be reached; 0 */
	int64_t throttled_ms;		/* until when a broker lets us wait; 0: none ever did */
	struct loop_job end;
	bool ending;			/* consumer_free() was called */
	bool probing;
	struct loop_job probe;
	enum kp_err probe_err;		/* the worker's until its job is done */
	void (*probed)(void *arg, enum kp_err err);
};

struct consumer_part {
	struct consumer *c;
	struct consumer_part *next_same;	/* in its place of the table */
	rd_kafka_queue_t *q;		/* its own */
	bool there;			/* it was added, and not removed since */
	bool assigned;			/* librdkafka was told */
	bool changed;			/* it is to be told anew; what comes now is of before */
	struct consumer_part *next_changed;
	void *owner;
	char topic[TOPIC_MAX + 1];
	int32_t partition;
	int64_t next_offset;		/* behind the last message that was handed on */
	int64_t read_offset;		/* to be read from Kafka */
	/* Read ahead, between the two: */
	struct consumer_message *first, *last;
	size_t bytes;
	int64_t asked_ms;		/* when one was last handed on */
	bool out_of_range;		/* behind them */
	bool resting;			/* Kafka is not to be read */
	bool asleep;			/* neither until somebody wants it */
	const char *unfit;		/* why that cannot be handed out; NULL: it can, so far */
	int64_t unfit_until_ms;		/* when it is looked at once more */
	struct budget_link held, hungry;
	/* Of a member: */
	LIST_ENTRY(consumer_part) link;
	bool reading;			/* Kafka is being read at its own offset */
};

struct consumer_message {
	struct consumer_message *next;	/* of those read ahead */
	struct budget *budget;
	size_t size;			/* what it takes of it */
	bool pending;			/* counted as such */
	bool has_key, has_value;
	int32_t partition;
	int64_t offset;
	size_t key_bytes, value_bytes;
	uint8_t bytes[];		/* key, value */
};

/* consumer.c. Polls all there is. */
void consumer_serve(void *consumer);

/* consumer_commit.c. What was sent has come back: its event. */
void commit_returned(struct consumer_commit *x, rd_kafka_resp_err_t err,
    const rd_kafka_topic_partition_list_t *list);
void commits_free(struct consumer *c);
/* consumer_part.c */
void part_receive(struct consumer *c, const rd_kafka_message_t *rm);
/* What went wrong with a partition, and where. */
void part_error(struct consumer *c, const rd_kafka_topic_partition_t *at, const char *text);
/* Worker, at the end of the handle. */
void part_sweep_all(struct consumer *c);
void part_free_all(struct consumer *c);

/* consumer_ahead.c */
/* Keeps it behind what the part has; where there is no room it is read again later. */
void ahead_keep(struct consumer_part *p, const rd_kafka_message_t *rm);
/* The first one, or NULL. */
struct consumer_message *ahead_next(struct consumer_part *p);
/* The part has none any more, and wants none. */
void ahead_clear(struct consumer_part *p);
/* The part is read at .read_offset again, for it was assigned anew. */
void ahead_resume(struct consumer_part *p);
/* Kafka is not read, until it is read on. */
void ahead_rest(struct consumer_part *p);
void ahead_read_on(struct consumer_part *p);

/* consumer_unfit.c. True: it cannot be handed out, and the part rests before it. */
bool unfit_by_size(struct consumer_part *p, const rd_kafka_message_t *rm);
/* True: the error is about one message, likewise. */
bool unfit_by_error(struct consumer_part *p, const rd_kafka_topic_partition_t *at,
    const char *text);
/* It can: it has come, or is gone. */
void unfit_forget(struct consumer_part *p);

/* consumer_member.c. Takes NULL for a member that is none. */
void member_free(struct consumer *c);
/* Worker, right before the end of the handle of one that leaves. False: to end it would take
 * for ever. */
bool member_let_go(struct consumer *c);
void member_error(struct consumer *c, const char *text);
void member_rebalance(struct consumer *c, rd_kafka_event_t *ev);
void member_add(struct consumer_part *p);
void member_remove(struct consumer_part *p);
void member_rewind(struct consumer_part *p);

#endif
