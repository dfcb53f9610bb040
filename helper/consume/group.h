/*
 * The consumer groups that this host takes part in.
 *
 * A group starts with the first request for it, takes part in dividing the
 * partitions of each topic that is asked for, and ends 20 s after the last
 * request. Messages are offered to waiting requests first come first served, from
 * the partitions in turn. An offer counts as consumed when it is confirmed, or, if
 * that was asked for, when it is acknowledged by its offset; one that is not comes
 * back first, what is not acknowledged after --ackTimeout. Only what was consumed
 * is ever committed: every 500 ms, and before a partition is given up. After a crash
 * a message may come twice; none is skipped.
 *
 * Loop thread only.
 */
#ifndef KP_GROUP_H
#define KP_GROUP_H

#include "common/conf.h"
#include "helper/consume/request.h"
#include "helper/coordination/coordination.h"
#include "helper/kafka/kafka_reach.h"

struct groups;

/* What groups need of the rest; everything outlives them. */
struct groups_env {
	struct loop *loop;
	struct kafka *kafka;
	struct kafka_reach *reach;
	struct kafka_admin *admin;
	struct topics *topics;
	const struct conf *conf;
	struct coordination_env coordination;
	const struct coordination_ops *ops;
};

struct groups *groups_new(const struct groups_env *env);

/* Takes its op. A CONSUME is answered with an offer, or with why there is none; an ACK once
 * the message counts as consumed, or with why it cannot. */
void groups_request(struct groups *gs, struct request *r);
/* What became of the offer with that id, which was made on the op's connection. */
void groups_confirm(struct groups *gs, struct op *op, const struct msg_confirm *m);

/* Who owns what of a topic, in one group or (group NULL) in all, on all hosts as
 * far as the coordination knows. answer() comes once, within deadline_ms. */
void groups_consumers(struct groups *gs, const char *topic, const char *group,
    int64_t deadline_ms, coordination_consumers_fn *answer, void *arg);
/* Topics of groups that give nothing, and why: the first `cap` of them into v, whose texts
 * are valid until the next turn of the loop. Returns how many there are. */
size_t groups_troubles(struct groups *gs, struct msg_group_trouble *v, size_t cap);
/* What every member id of this host begins with. */
const char *groups_member(const struct groups *gs);

/*
 * Commits offsets for a group that no other host consumes. If this host does, the
 * next messages come from there, and offers that are out no longer count.
 * `v` (n rows, see kafka_admin_commit()) becomes the callee's. done(arg, err, why)
 * comes once, why borrowed.
 */
void groups_set_offsets(struct groups *gs, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms,
    void (*done)(void *arg, enum kp_err err, const char *why), void *arg);

/* Fails who waits, commits, gives everything up; done(arg) when the last group has left: maybe
 * at once, maybe later than the caller waits for it, when Kafka or the coordination is silent. */
void groups_close(struct groups *gs, void (*done)(void *arg), void *arg);
void groups_free(struct groups *gs);

#endif
