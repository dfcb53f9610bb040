/* See smalldisk.h. */
#include "tests/faults/smalldisk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

static bool
put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool
smalldisk_allowed(void)
{
	char users[64], groups[64];

	snprintf(users, sizeof(users), "%u %u 1", geteuid(), geteuid());
	snprintf(groups, sizeof(groups), "%u %u 1", getegid(), getegid());
	/* Root needs no other users; everybody else does, and stays who he is there. */
	if (unshare(CLONE_NEWNS) < 0 && (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    !put("/proc/self/setgroups", "deny") || !put("/proc/self/uid_map", users) ||
	    !put("/proc/self/gid_map", groups)))
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

void
smalldisk_mount(const char *dir, size_t bytes)
{
	char options[64];

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		fail_msg("mkdir %s: %s", dir, strerror(errno));
	snprintf(options, sizeof(options), "size=%zu,mode=0700", bytes);
	if (mount("small", dir, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		fail_msg("mount %s: %s", dir, strerror(errno));
}

void
smalldisk_resize(const char *dir, size_t bytes)
{
	char options[64];

	snprintf(options, sizeof(options), "size=%zu", bytes);
	if (mount("small", dir, "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, options) < 0)
		fail_msg("remount %s: %s", dir, strerror(errno));
}

void
smalldisk_unmount(const char *dir)
{
	umount2(dir, MNT_DETACH);
}
