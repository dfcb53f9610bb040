/*
 * The state of one group that is divided through ZooKeeper, shared by:
 *
 *	group_zookeeper.c	the interface, what the session tells us
 *	  _members.c		the steps of taking part; who is there, who gets what
 *	  _register.c		our registration
 *	  _claim.c _claims.c	owner nodes of partitions: one, and all of them
 *	  _consumers.c		who owns what, for those who ask
 *
 * Nobody else includes it.
 */
#ifndef KP_GROUP_ZOOKEEPER_STATE_H
#define KP_GROUP_ZOOKEEPER_STATE_H

#include "helper/coordination/coordination.h"
#include "helper/zookeeper/registration.h"
#include "helper/zookeeper/zk.h"

#define PATH_CAP (3 * GROUP_MAX)	/* the longest: /consumers/<g>/owners/<t>/<partition> */
#define ID_CAP 512
#define RETRY_MS 500

/* Of our part in the group; what follows what is in _members.c. */
enum step {
	STEP_AWAY,			/* no session */
	STEP_IDLE,			/* nothing subscribed, nothing registered */
	STEP_REGISTER,
	STEP_SETTLE,
	STEP_READ,
	STEP_STEADY,			/* assigned; watching */
	STEP_PAUSE,			/* after an error */
	STEP_LEAVE,			/* empty parents are being removed */
};

/* Of an owner node; what follows what is in _claim.c. */
enum claim_state {
	CLAIM_FREE,			/* there is none of ours */
	CLAIM_CREATE,			/* being made */
	CLAIM_WAIT,			/* somebody else's is there */
	CLAIM_HELD,			/* ours, and the group knows */
	CLAIM_REVOKED,			/* ours until the group has finished */
	CLAIM_RELEASE,			/* may be there and has to go, unless it is wanted again */
};

struct ztopic;

struct claim {
	struct ztopic *t;
	int32_t partition;
	enum claim_state state;
	bool wanted;			/* assigned to us */
	bool busy;			/* a call is under way */
	bool doubt;			/* held, but it has to be looked at */
};

struct ztopic {
	struct ztopic *next;
	struct coordination *c;
	char name[TOPIC_MAX + 1];
	bool subscribed;
	int32_t n;			/* partitions to divide */
	struct claim **claims;
	int32_t n_claims;		/* at least n */
	int64_t wall_unsettled_ms;	/* since when our share is not settled; 0: it is */
	char text[256];			/* claims_trouble() */
};

struct member {
	struct coordination *c;
	char *id;
	bool gone;			/* between the list and the look at it */
	struct registration registration;
};

struct coordination {
	const struct coordination_env *env;
	const struct coordination_events *events;
	void *arg;
	struct zk_user *u;
	char base[PATH_CAP];		/* /consumers/<group> */
	char id[ID_CAP];		/* our member id in this session */
	unsigned session_count;		/* of the session that `id` belongs to */
	unsigned clashes;		/* ids that somebody else had */

	enum step step;
	struct ztopic *topics;
	unsigned revision;		/* of the set of subscribed topics, from 1 */
	unsigned writing;		/* the revision being registered */
	unsigned registered;		/* the one that is; 0: none, or it is not known */
	bool maybe_registered;		/* a node of ours may be there */
	bool tidy;			/* parents may be left empty by us */
	bool fresh;			/* assigned since the last connection */
	bool again;			/* members changed while they were being read */
	unsigned rereads;
	struct member *members;		/* being read; NULL else */
	size_t n_members;
	size_t unread;
	enum kp_err read_err;

	struct loop_timer timer;	/* of the step */
	struct loop_timer retry;	/* of claims */
	bool retrying;
	struct loop_task pump;
	bool pumping;
	bool freed;			/* once the pump has run */

	bool closing;
	struct loop_timer limit;
	void (*done)(void *arg);
	void *done_arg;
	char why[256];			/* of the last error of a step */
	char text[512];			/* trouble() */
};

/* group_zookeeper.c. What is due is done in the next turn of the loop. */
void group_pump(struct coordination *c);
void group_path(const struct coordination *c, char path[PATH_CAP], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* _members.c */
void members_enter(struct coordination *c, enum step next);
/* To STEP_PAUSE, for a reason. */
void members_pause(struct coordination *c, enum kp_err err, const char *what);
/* The set of subscribed topics, or the number of partitions, has changed. */
void members_topics_changed(struct coordination *c);
/* Something below ids has changed. */
void members_changed(struct coordination *c);
void members_forget(struct coordination *c);
bool members_any_topic(const struct coordination *c);
const char *members_trouble(const struct coordination *c);

/* _register.c. STEP_REGISTER, and from there on. */
void members_register(struct coordination *c);
/* The id for this session; never one of an older session, whose claims may still stand. */
void members_name(struct coordination *c);
void members_path(const struct coordination *c, char path[PATH_CAP]);

/* _claim.c: one. */
void claim_enter(struct claim *k, enum claim_state next);
void claim_path(const struct claim *k, char path[PATH_CAP]);
/* What is due, when no call is under way. */
void claim_step(struct claim *k);
/* Is it still ours? */
void claim_look(struct claim *k);
/* It is not; tells the group if that thinks so. */
void claim_lose(struct claim *k, enum claim_state next);

/* _claims.c: all. */
enum kp_err claims_grow(struct ztopic *t, int32_t n);
void claims_want(struct ztopic *t, int32_t first, int32_t n);
void claims_step(struct coordination *c);
void claims_retry_later(struct coordination *c);
void claims_down(struct coordination *c);
/* The session may have ended, or has: what is held is lost. */
void claims_lost(struct coordination *c, bool expired);
void claims_changed(struct coordination *c, const char *path);	/* below the group's */
void claims_released(struct ztopic *t, int32_t partition);
const char *claims_trouble(struct ztopic *t);
/* True while we want what somebody else has. */
bool claims_waiting(const struct ztopic *t);
bool claims_none(const struct ztopic *t);
void claims_abandon(struct ztopic *t);
void claims_free(struct ztopic *t);

/* _consumers.c */
void group_zookeeper_consumers(const struct coordination_env *env, const char *topic,
    const char *group, int64_t deadline_ms, coordination_consumers_fn *answer, void *arg);

#endif
