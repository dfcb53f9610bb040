/*
 * A topic of a group, which owns it: group_topic.c draws its states. What one file alone keeps of
 * it is a struct of its own, in that file's header.
 *
 * It goes by itself, once nothing of it is claimed, waits, or is being asked or set. Loop thread
 * only.
 */
#ifndef KP_GROUP_TOPIC_H
#define KP_GROUP_TOPIC_H

#include "helper/consume/gpart.h"
#include "helper/consume/group_commit.h"
#include "helper/consume/group_look.h"
#include "helper/consume/group_range.h"
#include "helper/consume/group_stall.h"
#include "helper/consume/group_trouble.h"
#include "helper/consume/request.h"
#include "helper/kafka/budget.h"

#define RETRY_MS 500			/* after a failure */

struct group;
struct group_start;
struct groups_env;
struct partition_offsets;

enum topic_state { TOPIC_ASKING, TOPIC_ACTIVE, TOPIC_LEAVING };

struct gtopic {
	struct gtopic *next;
	struct group *g;
	const char *group;		/* its name */
	const struct groups_env *env;
	const struct budget *budget;	/* of all groups */
	char name[TOPIC_MAX + 1];
	enum topic_state state;
	int32_t n_partitions;
	int32_t first_new;		/* from here on they came while we consumed: their
					 * first message is as new as their last */
	int32_t known;			/* one of which the group has, or had, an offset;
					 * -1: we know of none */
	struct gpart *parts;		/* by partition */
	struct gpart **index;		/* the same, n_index of them, NULL: not ours */
	int32_t n_index;
	struct budget_link ready;	/* parts that may have something, the next one first */
	bool slept;			/* some parts have lost what was read ahead */
	struct requests waiting;	/* for a message */
	struct requests acks;		/* whose acknowledgement cannot be decided yet */
	int64_t asked_ms;		/* the last request */
	int64_t grown_ms;		/* when the number of partitions was last asked */
	int64_t retry_ms;		/* not before, after a failure */
	struct group_start *start;	/* on its way, or NULL */
	unsigned holds;			/* offsets are being set: do not start parts */
	enum kp_err err;		/* of the last failure */
	char why[WHY_MAX];		/* likewise; empty: none */
	/* Written by group_commit.c, group_look.c and so on. */
	struct gtopic_commit commit;
	struct gtopic_look look;
	struct gtopic_range range;
	struct gtopic_stall stall;
	struct gtopic_trouble trouble;
	struct topics_ask ask;
	bool ask_out;			/* `ask` is waiting for its answer */
};

struct gtopic *topic_find(struct group *g, const char *name);
/* NULL: no memory, or the group has too many. */
struct gtopic *topic_new(struct group *g, struct kp_slice name);
int64_t topic_now_ms(const struct gtopic *t);
/* Those of its parts, *n of them, in order, to ask Kafka about. NULL: none, or no memory. */
struct partition_offsets *topic_pick(const struct gtopic *t,
    bool (*wanted)(const struct gpart *p), size_t *n);
/* Asks whether it exists. The answer may come at once, and may free the topic. */
void topic_ask(struct gtopic *t);
/* Takes part in dividing so many partitions; more than before: the topic has grown. */
void topic_join(struct gtopic *t, int32_t partitions);
/* Gives it up. These may free it: it is gone once its last part is. */
void topic_leave(struct gtopic *t);
void topic_step(struct gtopic *t);
void topic_tick(struct gtopic *t, int64_t now_ms);

#endif
