/*
 * Who divides the partitions of a group among hosts: the interface that helper/consume/
 * uses, and that group_zookeeper.c, group_kafka.c and group_local.c implement.
 *
 * A coordination decides which partitions this host may read and holds the claim on them;
 * the group reads, offers and commits. The life of a partition:
 *
 *	claimed() -> the group asks where it starts, and offers messages
 *	revoke()  -> it stops offering, commits, then calls ops->released()
 *	lost()    -> the claim is gone already: it stops, commits nothing, and owes no
 *		     released() for a revoke() before it
 *
 * All calls, in both directions, are on the loop's thread.
 */
#ifndef KP_COORDINATION_H
#define KP_COORDINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/msg.h"
#include "helper/loop.h"

struct consumer;
struct kafka_admin;
struct zk;
struct coordination;		/* of one group; opaque */

/* What every coordination may use. Owned by main, outlives all groups. */
struct coordination_env {
	struct loop *loop;
	struct zk *zk;			/* NULL unless --coordination zookeeper */
	struct kafka_admin *admin;
	const char *member;		/* pixy_<host>_<pid>_<UTC time> */
};

/* Called by the coordination; never from inside one of the ops below. */
struct coordination_events {
	void (*claimed)(void *arg, const char *topic, int32_t partition);
	void (*revoke)(void *arg, const char *topic, int32_t partition);
	void (*lost)(void *arg, const char *topic, int32_t partition);
};

/* The answer to consumers(): borrowed during the call. err != KP_OK: `text`
 * tells the cause. KP_ENOTFOUND: the group or topic is not known. */
typedef void coordination_consumers_fn(void *arg, enum kp_err err, const char *text,
    const struct msg_consumers *found);

struct coordination_ops {
	const char *name;
	/* Joins no group yet: that is the first subscribe(). The strings of env,
	 * `events` and `arg` outlive the coordination; `group` is copied. */
	enum kp_err (*open)(const struct coordination_env *env, const char *group,
	    const struct coordination_events *events, void *arg, struct coordination **out);
	/* Only where the brokers manage the group; NULL otherwise. Its consumer, which
	 * outlives the coordination, is the member: only offsets that are committed
	 * through it are taken, and after close() it can do nothing any more. Comes
	 * right after open(); after an error the coordination is gone. */
	enum kp_err (*attach)(struct coordination *c, struct consumer *consumer);
	/* Take part in dividing the topic's partitions 0..n-1. Again with another
	 * n when the topic has grown. */
	enum kp_err (*subscribe)(struct coordination *c, const char *topic, int32_t n);
	/* Give all of the topic's partitions back; each is revoked first. */
	void (*unsubscribe)(struct coordination *c, const char *topic);
	/* After revoke(): stopped and committed, others may have it. */
	void (*released)(struct coordination *c, const char *topic, int32_t partition);
	/* NULL when this host's share of the topic is settled (it may be empty);
	 * else why not, in words for the user, valid until the next call. */
	const char *(*trouble)(struct coordination *c, const char *topic);
	/* False: it may be that others have what is held, and it is being found out; then
	 * nothing of it may be offered or committed. NULL: that never happens. */
	bool (*usable)(struct coordination *c);
	/* False: this host is not in the group, although it wants to be. NULL: no such thing. */
	bool (*joined)(struct coordination *c);
	/* Those words say since when; else that is put behind them. */
	bool dates_trouble;
	/* After how many seconds of trouble another try is worth it; NULL: 1. */
	uint32_t (*retry_s)(struct coordination *c, const char *topic);
	/* Nothing is subscribed or held any more: leaves the group in order and
	 * frees it; then done(arg), within 5 s even without a server. */
	void (*close)(struct coordination *c, void (*done)(void *arg), void *arg);
	/* Who owns what of the topic, in this group or (group NULL) in all. The
	 * answer comes within deadline_ms. NULL: ask group.c about itself. */
	void (*consumers)(const struct coordination_env *env, const char *topic,
	    const char *group, int64_t deadline_ms, coordination_consumers_fn *answer, void *arg);
};

extern const struct coordination_ops coordination_zookeeper;
extern const struct coordination_ops coordination_kafka;
extern const struct coordination_ops coordination_local;

#endif
