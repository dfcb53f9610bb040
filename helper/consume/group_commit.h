/*
 * What of a group is committed: everything that has changed, by one commit at a time. Others
 * only read what is noted of that.
 *
 * While one is on its way, or a probe of whether any is taken (group_look.h), nothing else
 * may write the group's offsets. Loop thread only.
 */
#ifndef KP_GROUP_COMMIT_H
#define KP_GROUP_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct group;
struct group_check;
struct gtopic;

enum commit_state {
	COMMIT_IDLE,
	COMMIT_CHECKING,		/* is what was committed before still there? */
	COMMIT_SENT,			/* what has changed, to Kafka */
};

struct group_commit {
	enum commit_state state;
	struct group_check *check;	/* while CHECKING */
	int64_t began_ms;		/* the last one */
	int64_t unanswered_ms;		/* since when it has been sent no answer to one; 0 */
	bool plain;			/* the brokers do not take our metadata */
};

struct gtopic_commit {
	const char *why;		/* of the last one that failed, static; NULL: none */
	int64_t failing_ms;		/* since when they failed, or came to nothing; 0 */
};

/* Commits what has changed, unless something is in its way; the tick: when it is time. */
void group_commit(struct group *g);
void group_commit_tick(struct group *g, int64_t now_ms);
/* Once it is known what is still there. */
void group_commit_checked(struct group *g, enum kp_err err);
/* A commit or a probe is on its way. */
bool group_commit_busy(const struct group *g);
/* The group's consumer goes, or the group itself: what is on its way must not find it. */
void group_commit_forget(struct group *g);

/* What was sent to Kafka will not be answered any more: it has time again from now on. */
void group_commit_wait_anew(struct group *g);

/* Nothing of it could be committed for so long that nothing more may be handed out. */
bool topic_is_uncommitted(const struct gtopic *t);
/* Why its offsets are not committed, static; NULL: they are. And: it is not said any more, until
 * one fails again. */
const char *topic_commit_trouble(const struct gtopic *t);
void topic_commit_is_well(struct gtopic *t);

#endif
