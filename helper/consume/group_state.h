/*
 * Groups and their topics, as the files of this room see them. Each part of them that one file
 * alone keeps is a struct of its own, in that file's header; the rest belongs to group.c (life
 * of groups), group_topic.c (topics, and who waits), group_ack.c (acknowledgements),
 * group_start.c and group_set.c (what is asked of Kafka). No other room includes it.
 *
 *	groups -> group -> gtopic -> gpart -> offering
 */
#ifndef KP_GROUP_STATE_H
#define KP_GROUP_STATE_H

#include "helper/consume/gpart.h"
#include "helper/consume/group.h"
#include "helper/consume/group_commit.h"
#include "helper/consume/group_look.h"
#include "helper/consume/group_lost.h"
#include "helper/consume/group_range.h"
#include "helper/consume/group_stall.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_trouble.h"
#include "helper/consume/known.h"

#define TICK_MS 250
#define RETRY_MS 500
#define IDLE_MS 20000
#define OFFER_MS 60000
#define GROW_MS 60000
#define LATE_MS 700			/* for a group that is joining, after the long poll */
#define GROUPS_MAX 256
#define GROUP_TOPICS_MAX 256
#define WAITERS_MAX 1024
#define GROUPS_CLOSING "the helper is shutting down"

struct group_set;
struct group_start;

enum topic_state { TOPIC_ASKING, TOPIC_ACTIVE, TOPIC_LEAVING };

struct gtopic {
	struct gtopic *next;
	struct group *g;
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
	struct requests waiting;	/* for a message; at most WAITERS_MAX, and likewise: */
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

struct group {
	struct group *next;
	struct groups *gs;
	char name[GROUP_MAX + 1];
	struct consumer *consumer;
	struct coordination *coord;
	struct gtopic *topics;
	size_t n_topics;
	bool closing;			/* the coordination is leaving */
	int64_t reopen_ms;		/* not before, when it has none */
	/* Likewise; `probe` by group_look.c. */
	struct group_commit commit;
	struct group_lost lost;
	struct group_probe probe;
	bool renewing;			/* its topics leave, to come again with a new consumer */
	int64_t renewed_ms;		/* when that was last begun; 0: never */
	unsigned left_names;		/* topics that went, which its consumer still knows */
	struct group_set *sets;		/* offsets to be set, waiting for their turn */
	unsigned own_sets;		/* being committed by our consumer, which must stay */
};

struct groups {
	struct groups_env env;
	struct budget budget;
	struct known known;
	struct group *list;
	size_t n;
	uint64_t last_offer;
	struct group_set *sets;		/* on their way, of topics that were not there */
	struct groups_look look;
	struct loop_timer tick;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* group.c */
/* A group without topics leaves. */
void group_step(struct group *g);
/* Runs the tick in the next turn of the loop. */
void groups_tick_soon(struct groups *gs);
/* The brokers manage the group: only its own consumer can commit. */
bool group_is_member(const struct group *g);
/* False: what is held may be somebody else's by now. */
bool group_usable(const struct group *g);

/* All of it leaves in order, and comes again with a new consumer. */
void group_renew(struct group *g);
/* A new one for the group, which it does not have yet; NULL: no memory. */
struct consumer *group_consumer(struct group *g);

/* group_topic.c */
struct gtopic *topic_find(struct group *g, const char *name);
struct gtopic *topic_new(struct group *g, struct kp_slice name);
struct gpart *gpart_find(struct gtopic *t, int32_t partition);
/* Makes room in its index. */
bool topic_has_place(struct gtopic *t, int32_t partition);
/* It waits for a message of the topic. */
void topic_wait(struct gtopic *t, struct request *r);
/* Acknowledgements, too. */
void topic_fail_waiters(struct gtopic *t, enum kp_err err, const char *why);
/* The part may have something to hand out: it is looked at when it is its turn. */
void gpart_ready(struct gpart *p);
/* Gives what there is to who waits. */
void topic_serve(struct gtopic *t);
/* Asks whether it exists. The answer may come at once, and may free the topic. */
void topic_ask(struct gtopic *t);
/* Takes part in dividing so many partitions; more than before: the topic has grown. */
void topic_join(struct gtopic *t, int32_t partitions);
/* Gives it up. These may free it: it is gone once its last part is. */
void topic_leave(struct gtopic *t);
void topic_step(struct gtopic *t);
void topic_tick(struct gtopic *t, int64_t now_ms);

/* group_ack.c */
/* An ACK, or a CONSUME with one: it is answered, or waits for its message, or for the
 * partition to start. */
void topic_ack(struct gtopic *t, struct request *r);
/* Decides what can be decided now. */
void topic_retry_acks(struct gtopic *t);

/* group_set.c */
/* Runs the sets that nothing stands in the way of any more. */
void group_run_sets(struct group *g);
/* A new topic starts after what is being set for it. */
void topic_adopt_sets(struct gtopic *t);

#endif
