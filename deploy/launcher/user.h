/*
 * Users: the one that the launcher becomes, and the one that faces the network
 * when the launcher stays root.
 */
#ifndef KP_LAUNCHER_USER_H
#define KP_LAUNCHER_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

struct user {
	char name[64];
	char group[64];
	char home[256];
	uid_t uid;
	gid_t gid;
};

/* False when there is no such user. */
bool user_find(const char *name, struct user *u);

/* Whom web servers run as on this machine; false when it knows none. */
bool user_find_web(struct user *u);

/*
 * Becomes that user for good: groups, then group, then user, and proves that
 * there is no way back. KP_EDENIED, see errno; the process must end then, since
 * it may be half way.
 */
enum kp_err user_become(const struct user *u) __attribute__((warn_unused_result));

#endif
