/*
 * What of a group is committed: everything that has changed, by one commit at a time.
 *
 * While one is on its way, or a probe of whether any is taken (group_look.h), nothing else
 * may write the group's offsets. Loop thread only.
 */
#ifndef KP_GROUP_COMMIT_H
#define KP_GROUP_COMMIT_H

#include <stdbool.h>

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
};

/* Commits what has changed, unless something is in its way. */
void group_commit(struct group *g);
/* Once it is known what is still there. */
void group_commit_checked(struct group *g, enum kp_err err);
/* A commit or a probe is on its way. */
bool group_commit_busy(const struct group *g);
/* Its answer must not find the group any more; after this there is none on its way. Of one that
 * was sent the consumer takes care: it has gone. */
void group_commit_forget(struct group *g);
/* Nothing of it could be committed for so long that nothing more may be handed out. */
bool topic_is_uncommitted(const struct gtopic *t);

#endif
