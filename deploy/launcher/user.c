/* Dropping privileges: the order matters, and every step is checked. */
#include "deploy/launcher/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Debian, Red Hat and Arch, and what all of them have. */
static const char *const web_users[] = { "www-data", "nginx", "http", "nobody" };

bool
user_find(const char *name, struct user *u)
{
	const struct passwd *pw = getpwnam(name);
	const struct group *gr = pw ? getgrgid(pw->pw_gid) : NULL;

	if (pw == NULL || gr == NULL || strlen(pw->pw_name) >= sizeof(u->name) ||
	    strlen(gr->gr_name) >= sizeof(u->group))
		return false;
	*u = (struct user){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	snprintf(u->name, sizeof(u->name), "%s", pw->pw_name);
	snprintf(u->group, sizeof(u->group), "%s", gr->gr_name);
	snprintf(u->home, sizeof(u->home), "%s", pw->pw_dir);
	return true;
}

bool
user_find_web(struct user *u)
{
	for (size_t i = 0; i < sizeof(web_users) / sizeof(web_users[0]); i++)
		if (user_find(web_users[i], u))
			return true;
	return false;
}

enum kp_err
user_become(const struct user *u)
{
	if (initgroups(u->name, u->gid) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return KP_EDENIED;
	if (u->uid != 0 && (setuid(0) == 0 || geteuid() != u->uid || getegid() != u->gid)) {
		errno = EPERM;
		return KP_EDENIED;
	}
	return KP_OK;
}
