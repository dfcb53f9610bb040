/* Whether the store's file may be trusted, before SQLite opens it. */
#include "helper/store/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "helper/store/store_disk.h"

/* What is wrong, for the log; and what kind of wrong it is. */
struct finding {
	const char *why;
	enum kp_err err;
};

static struct finding
conflict(const char *why)
{
	return (struct finding){ why, KP_ECONFLICT };
}

/* A disk that fails or is full is not a wrong --store. */
static struct finding
failed(int error)
{
	enum kp_err err = error == ENOSPC || error == EDQUOT ? KP_EFULL :
	    error == EIO || error == EROFS ? KP_EIO : KP_ECONFLICT;

	return (struct finding){ strerror(error), err };
}

/* Creates missing folders of the path, the last with mode 0700; each is on the disk
 * before there is anything in it. */
static int
make_folders(char *folder)
{
	for (char *p = folder + 1; ; p++) {
		char end = *p;

		if (end != '/' && end != '\0')
			continue;
		*p = '\0';
		if (mkdir(folder, end ? 0755 : 0700) == 0)
			disk_sync_folder(folder);
		else if (errno != EEXIST)
			return -1;
		*p = end;
		if (end == '\0')
			return 0;
	}
}

static struct finding
check_folder(char *folder)
{
	struct stat st;

	if (make_folders(folder) < 0 || stat(folder, &st) < 0)
		return failed(errno);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return conflict("its folder belongs to another user");
	if (st.st_mode & (S_IWOTH | S_IWGRP))
		return conflict("its folder may be written by others: use one of its own, "
		    "of mode 0700");
	return (struct finding){ 0 };
}

static struct finding
check_file(const char *path, int flags)
{
	struct finding f = { 0 };
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);

	if (fd < 0)
		return errno == ELOOP ? conflict("is a symbolic link") : failed(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		f = conflict("is not a regular file");
	else if (st.st_uid != geteuid())
		f = conflict("belongs to another user");
	else if (fchmod(fd, 0600) < 0)
		f = failed(errno);
	close(fd);
	return f;
}

enum kp_err
store_path_check(const char *path)
{
	static const char *const beside[] = { "-wal", "-reserve", "-suspect" };
	char copy[PATH_MAX];
	struct stat st;
	struct finding f = conflict("the path is too long");

	/* dirname() writes into what it is given, unless that has no folder. */
	if (snprintf(copy, sizeof(copy), "%s%s", strchr(path, '/') ? "" : "./", path) <
	    (int)sizeof(copy) - 64)
		f = check_folder(dirname(copy));
	if (f.why == NULL)
		f = check_file(path, O_CREAT);
	for (size_t i = 0; i < 3 && f.why == NULL; i++)
		if (lstat(disk_beside(path, beside[i], copy), &st) == 0)
			f = check_file(copy, 0);
	if (f.why)
		log_error("--store %s: %s", path, f.why);
	return f.err;
}
