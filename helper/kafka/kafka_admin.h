/*
 * Questions to Kafka about topics and offsets, as plain blocking calls.
 *
 * Names that do not exist are for kafka_admin_look() and kafka_admin_partitions(): those who
 * have passed are worth the others, which remember them for longer.
 *
 * Only for worker threads (loop_work()): each call takes up to timeout_ms.
 * Errors: KP_ENOTFOUND (unknown topic or partition), KP_EUNAVAIL (no answer in
 * time, no leader, no coordinator), KP_EDENIED, KP_ECONFLICT (the group is
 * managed by the brokers and has members), KP_EKAFKA; `why` then holds a text for
 * the user.
 */
#ifndef KP_KAFKA_ADMIN_H
#define KP_KAFKA_ADMIN_H

#include "common/msg.h"
#include "helper/kafka/kafka.h"

#define WHY_MAX 512

struct kafka_admin;

/* NULL on error. */
struct kafka_admin *kafka_admin_new(struct kafka *k);
void kafka_admin_free(struct kafka_admin *a);

/* KP_OK when a broker answers. */
enum kp_err kafka_admin_reach(struct kafka_admin *a, int timeout_ms, char *why);
/* As kafka_peers_trouble(). Any thread. */
bool kafka_admin_left_out(struct kafka_admin *a, char *out, size_t cap);

/* One topic that is looked for, in and out. */
struct topic_look {
	const char *topic;	/* in */
	enum kp_err err;	/* KP_EBUSY: Kafka was not asked */
	bool coming;		/* KP_EUNAVAIL, because it is being made */
	int code;		/* for kafka_admin_why() */
	int32_t partitions;	/* KP_OK: how many it has */
};
/* Whether the topics exist, all in about one request. With `create` brokers may make those
 * that do not, which takes them a while: meanwhile they are unknown, or coming. */
void kafka_admin_look(struct kafka_admin *a, struct topic_look **v, size_t n, bool create,
    int timeout_ms);
/* What the code means to a user. Any thread. */
enum kp_err kafka_admin_why(struct kafka_admin *a, int code, char *why);

/* How many partitions the topic has. */
enum kp_err kafka_admin_partitions(struct kafka_admin *a, const char *topic, int timeout_ms,
    int32_t *n, char *why);

/* Sets led[p] for each partition p < n: whether it has a leader now. Returns in *there how
 * many partitions the topic has by now. */
enum kp_err kafka_admin_leaders(struct kafka_admin *a, const char *topic, bool *led, int32_t n,
    int32_t *there, int timeout_ms, char *why);

/* What KP_ECONFLICT means. */
#define KAFKA_ADMIN_MANAGED "the group is managed by the broker protocol and has members"

/* One partition, in and out. */
struct partition_offsets {
	int32_t partition;	/* in */
	int64_t begin;
	int64_t end;		/* of what can be read now: with read_committed where an open
				 * transaction begins, else the high watermark */
	int64_t committed;	/* -1: none */
	char *metadata;		/* of the commit, freed by partition_offsets_free(); may be NULL */
};
void partition_offsets_free(struct partition_offsets *v, size_t n);

/* The end of n partitions: all or nothing. */
enum kp_err kafka_admin_ends(struct kafka_admin *a, const char *topic, struct partition_offsets *v,
    size_t n, int timeout_ms, char *why);

/* Begin, end and the group's committed offset of n partitions: all or nothing. Again and
 * again for as long as the time allows; or once. */
enum kp_err kafka_admin_offsets(struct kafka_admin *a, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why);
enum kp_err kafka_admin_offsets_once(struct kafka_admin *a, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why);

/* The group's committed offset of n partitions, which need no leader: all or nothing. */
enum kp_err kafka_admin_committed(struct kafka_admin *a, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why);

/* An offset that the group had committed. */
struct offset_look {
	char topic[TOPIC_MAX + 1];
	int32_t partition;
	bool gone;		/* out */
};
/* Which of them it has no more. What cannot be told of one is not gone. */
enum kp_err kafka_admin_gone(struct kafka_admin *a, const char *group, struct offset_look *v,
    size_t n, int timeout_ms, char *why);

/* .committed is a Unix time in ms, and becomes the offset of the first message at or after
 * it, -1 where there is none. KP_ENOTSUP: brokers before 0.10.1, which cannot tell. */
enum kp_err kafka_admin_times(struct kafka_admin *a, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why);

/* Commits .committed (>= 0) with .metadata for n partitions, for a group that has
 * no members managed by the brokers. */
enum kp_err kafka_admin_commit(struct kafka_admin *a, const char *group, const char *topic,
    const struct partition_offsets *v, size_t n, int timeout_ms, char *why);

#endif
