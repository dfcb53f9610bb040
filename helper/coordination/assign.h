/*
 * Range assignment: which slice of a topic's partitions a member takes, by the rule
 * that all members of the group apply to the same list.
 *
 * Pure functions, any thread.
 */
#ifndef KP_ASSIGN_H
#define KP_ASSIGN_H

#include <stddef.h>
#include <stdint.h>

/* Partitions first .. first + n - 1. */
struct assign_range {
	int32_t first;
	int32_t n;
};

/* A member that subscribes to the topic. */
struct assign_member {
	const char *id;
	int32_t threads;		/* what it registered, at least 1 */
};

/*
 * Who counts as a taker of a slice, in bytewise order. Kafka-Pixy: each member once.
 * The Java consumer: each of its threads, as "<id>-<number>"; the two agree unless a
 * member has several threads or one id is another one with more behind it.
 */
enum assign_rule { ASSIGN_MEMBERS, ASSIGN_THREADS };

/* The slice of taker `index` of `takers`; the first ones take one more each when the
 * division leaves a rest. */
struct assign_range assign_range(int32_t partitions, size_t takers, size_t index);

/*
 * The slice of thread `thread` of member v[me] among v[0..n). The order of v does not
 * matter; its ids differ. `thread` is 0 with ASSIGN_MEMBERS.
 */
struct assign_range assign_slice(enum assign_rule rule, const struct assign_member *v, size_t n,
    size_t me, int32_t thread, int32_t partitions);

#endif
