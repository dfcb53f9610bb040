/*
 * The state of groups, shared by group.c (life of groups), group_topic.c (their
 * topics and who waits), group_ack.c (acknowledgements), group_part.c (life of a
 * partition: start, offer, stop), group_commit.c, group_start.c and group_set.c (what has
 * to be asked of Kafka), group_range.c (what Kafka does not have), group_check.c (topics that
 * were made again), group_look.c and group_stall.c (what is looked at now and then),
 * group_lost.c (who does not find Kafka) and
 * group_trouble.c (why a topic gives nothing). Nobody else includes it.
 *
 *	groups -> group -> gtopic -> part -> offering
 */
#ifndef KP_GROUP_STATE_H
#define KP_GROUP_STATE_H

#include "helper/kafka/consumer.h"
#include "helper/consume/group.h"
#include "helper/consume/known.h"
#include "helper/consume/offers.h"
#include "helper/ipc.h"

#define TICK_MS 250
#define COMMIT_MS 500
#define RETRY_MS 500
#define IDLE_MS 20000
#define RECOMMIT_MS (60 * 60 * 1000)	/* before brokers let an idle group expire */
#define STOP_CONFIRM_MS 3000
#define STOP_COMMIT_MS 5000
#define OFFER_MS 60000
#define GROW_MS 60000
#define LATE_MS 700			/* for a group that is joining, after the long poll */
#define GROUPS_MAX 256
#define GROUP_TOPICS_MAX 256
#define WAITERS_MAX 1024
#define TROUBLE_MAX 1000
#define COMMIT_FAILS "offsets cannot be committed"
#define GROUPS_CLOSING "the helper is shutting down"

struct group;
struct gtopic;
struct group_job;
struct group_look;
struct group_check;

enum part_state {
	PART_STARTING,			/* claimed; where to start is being asked */
	PART_ACTIVE,			/* offering */
	PART_STOPPING,			/* revoked; waits for confirms and the last commit */
};

struct part {
	struct part *next;
	struct gtopic *t;
	struct budget_link ready;	/* among those that may have something to hand out */
	int32_t partition;
	enum part_state state;
	struct consumer_part *reader;	/* NULL while STARTING */
	struct offers offers;
	struct offering *first, *last;	/* that are out, oldest first */
	int64_t committed;		/* what Kafka has, as far as we know */
	int64_t committing;		/* in the commit on its way; -1: not in it */
	char *metadata;			/* a user's, beside `committed`; or NULL */
	uint64_t changes;		/* of the offers, as `committed` and `committing` */
	uint64_t committing_changes;
	int64_t committed_ms;
	int64_t stop_ms;		/* when STOPPING began */
	bool no_leader;			/* when Kafka was last asked */
	bool placing, placed;		/* while STARTING: where it starts is being asked; is
					 * committed, for when it has a leader */
	bool astray;			/* while ACTIVE: Kafka says that it does not have what is
					 * to be read next */
	int64_t doubt_ms;		/* since when it is said to end before that, by
					 * clock_mono_ms(); 0: it is not */
	int64_t behind_at;		/* how far it was when it was short of the end */
	bool stalled;			/* it was so for too long */
};

/* An offer that is out: ties it to the connection that it was made on. */
struct offering {
	struct conn_hook hook;		/* first */
	struct offering *prev, *next;
	struct part *part;
	struct offer *offer;
	int64_t made_ms;
	bool pend;			/* delivered is not enough: it is to be acknowledged */
};

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
	struct part *parts;		/* by partition */
	struct part **index;		/* the same, n_index of them, NULL: not ours */
	int32_t n_index;
	struct budget_link ready;	/* parts that may have something, the next one first */
	bool slept;			/* some parts have lost what was read ahead */
	struct requests waiting;	/* for a message; at most WAITERS_MAX, and likewise: */
	struct requests acks;		/* whose acknowledgement cannot be decided yet */
	int64_t asked_ms;		/* the last request */
	int64_t grown_ms;		/* when the number of partitions was last asked */
	int64_t retry_ms;		/* not before, after a failure */
	struct group_job *start;	/* on its way, or NULL */
	unsigned holds;			/* offsets are being set: do not start parts */
	enum kp_err err;		/* of the last failure */
	char why[WHY_MAX];		/* likewise; empty: none */
	const char *commit_why;		/* of the last commit that failed, static; NULL: none */
	int64_t uncommitted_ms;		/* since when its commits failed, or came to nothing; 0 */
	struct group_job *range;	/* on its way, or NULL */
	int64_t range_ms;		/* when the last one was answered */
	struct group_look *look;	/* on its way, or NULL */
	unsigned fewer;			/* looks that found fewer partitions */
	int64_t looked_ms;		/* when the last one began */
	int64_t ends_ms;		/* likewise, the last one that asked for ends */
	uint64_t stalled_at;		/* says where, when the group last started anew for it */
	bool stuck;			/* which has not helped */
	int64_t wall_trouble_ms;	/* since when it gives nothing, to be shown; 0: it works */
	int64_t trouble_ms;		/* the same by the loop's clock */
	char trouble[TROUBLE_MAX];
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
	bool committing;
	int64_t commit_ms;		/* the last commit */
	bool down;			/* no broker answers */
	/* Since when, or 0: that; it has been sent no answer to a commit; it is not joined. */
	int64_t down_ms, uncommitted_ms, unjoined_ms;
	unsigned peers;			/* which generation of them its consumer knows */
	bool lost;			/* it leaves because of that: nothing can be committed */
	int64_t lost_ms;		/* when it last got a new consumer because of that */
	int64_t lost_wait_ms;		/* until the next one */
	bool plain;			/* the brokers do not take our metadata */
	char unreachable[WHY_MAX];	/* what is said then */
	bool fenced;			/* brokers refuse its commits: start again */
	bool renewing;			/* its topics leave, to come again with a new consumer */
	int64_t renewed_ms;		/* when that was last begun; 0: never */
	unsigned left_names;		/* topics that went, which its consumer still knows */
	struct group_look *look;	/* that probes whether commits are taken, or NULL */
	int64_t probe_ms;		/* when the last one began */
	struct group_check *check;	/* before a commit, or NULL */
	struct group_job *sets;		/* offsets to be set, waiting for their turn */
	unsigned own_sets;		/* being committed by our consumer, which must stay */
};

struct groups {
	struct groups_env env;
	struct budget budget;
	struct known known;
	struct group *list;
	size_t n;
	uint64_t last_offer;
	struct group_job *sets;		/* on their way, of topics that were not there */
	unsigned looks;			/* on their way */
	bool away;			/* the last one found no broker */
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
struct part *part_find(struct gtopic *t, int32_t partition);
/* Makes room in its index. */
bool topic_has_place(struct gtopic *t, int32_t partition);
/* It waits for a message of the topic. */
void topic_wait(struct gtopic *t, struct request *r);
/* Acknowledgements, too. */
void topic_fail_waiters(struct gtopic *t, enum kp_err err, const char *why);
/* The part may have something to hand out: it is looked at when it is its turn. */
void part_ready(struct part *p);
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
/* group_trouble.c */
/* Why the topic gives nothing, apart from being empty, and since when; NULL: it works. The
 * text is valid until the next call. */
const char *topic_trouble(struct gtopic *t, uint32_t *retry_s);

/* group_look.c */
/* Asks Kafka about topics that somebody waits for: has each partition a leader, has the
 * group members that brokers manage? */
void groups_look(struct groups *gs);
void topic_forget_look(struct gtopic *t);
void group_forget_look(struct group *g);
/* Nothing that is out or unconfirmed can be committed: all parts start again, from what
 * is committed then. */
void group_start_again(struct group *g);

/* group_stall.c: partitions that give nothing, although they have messages. */
/* Those of the topic that may be asked about now; *n of them. NULL: none, or no memory. */
struct partition_offsets *stall_begin(struct gtopic *t, int64_t now_ms, size_t *n);
/* Their ends are known. The topic may begin to leave; it is not freed. */
void stall_end(struct gtopic *t, const struct partition_offsets *v, size_t n);

/* group_lost.c */
/* Gives it a new consumer when its own does not find Kafka, and others do. */
void group_find_kafka(struct group *g, int64_t now_ms);
/* All parts are read on by a new one, from where they are; what is out stays out. Not of a
 * member, whose consumer is what holds them. */
void group_change_consumer(struct group *g);

/* group_range.c: asks about the parts that are astray, unless that is being done. */
void topic_ask_range(struct gtopic *t);

/* group_check.c */
/* Room for a partition of each topic of the group. NULL without memory. */
struct group_check *group_check_new(struct group *g);
void group_check_add(struct group_check *k, const struct part *p);
/* The group commits nothing until group_commit_checked() is called. Takes k; false: not now. */
bool group_check_begin(struct group_check *k);
void group_forget_check(struct group *g);
/* What was committed for it is gone: all partitions begin with their first message. */
void topic_begins_again(struct gtopic *t);
/* Likewise, while it is being read: nothing that is held of it counts any more, and all
 * parts start again. */
void topic_made_again(struct gtopic *t);

/* group_part.c */
void part_claimed(void *arg, const char *topic, int32_t partition);
void part_revoke(void *arg, const char *topic, int32_t partition);
void part_lost(void *arg, const char *topic, int32_t partition);
/* Where `o` says, without what its metadata says is acknowledged. */
void part_start_at(struct part *p, const struct partition_offsets *o);
/* Withdraws all offers and asks Kafka again where to start. */
void part_restart(struct part *p);
/* Withdraws all offers, for good or for now; confirms of them find nothing. */
void part_withdraw(struct part *p);
/* Moves a STOPPING part on, as far as it can go now. */
void part_step(struct part *p);
/* The next message of the part as an offer that is out, or NULL. */
struct offer *part_next(struct part *p);
/* Of a part that has a reader. Moves a STOPPING one on later. */
enum offers_ack part_ack(struct part *p, int64_t offset);
/* Binds an offer to the connection that it goes out on. */
struct offering *offering_new(struct part *p, struct offer *f, struct conn *c);
void offering_end(struct offering *o, bool delivered);
int64_t part_now_ms(const struct part *p);
/* It has what Kafka has not been told of. */
bool part_changed(const struct part *p);
void part_forget_metadata(struct part *p);

/* group_commit.c: commits what has changed, of the whole group; one commit at a time. */
void group_commit(struct group *g);
/* Once it is known what is still there. */
void group_commit_checked(struct group *g, enum kp_err err);
/* Nothing of it could be committed for so long that nothing more may be handed out. */
bool topic_is_uncommitted(const struct gtopic *t);

/* group_start.c */
/* Asks where the STARTING parts start, unless that is being done. */
void topic_start_parts(struct gtopic *t);
bool topic_any_starting(const struct gtopic *t);
/* Partitions were lost: what is being asked for them is of no use any more. */
void topic_start_is_stale(struct gtopic *t);

/* group_set.c */
/* Runs the sets that nothing stands in the way of any more. */
void group_run_sets(struct group *g);
/* A new topic starts after what is being set for it. */
void topic_adopt_sets(struct gtopic *t);

/* group_job.c: before it is freed, the answers of its jobs must not find it. */
void topic_forget_jobs(struct gtopic *t);

#endif
