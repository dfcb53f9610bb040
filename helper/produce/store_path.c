/* Whether the store's file may be trusted, before SQLite opens it. */
#include "helper/produce/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

/* Creates missing folders of the path with mode 0700. */
static int
make_folders(char *folder)
{
	for (char *p = folder + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return -1;
		*p = '/';
	}
	return mkdir(folder, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

enum kp_err
store_path_check(const char *path)
{
	char *copy = strdup(path);
	const char *why = NULL;
	struct stat st;
	int fd;

	if (copy == NULL)
		return KP_ENOMEM;
	dirname(copy);
	if (make_folders(copy) < 0 || stat(copy, &st) < 0)
		why = strerror(errno);
	else if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
		why = "its folder may be written by everybody; make it 0700";
	free(copy);
	if (why == NULL) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			why = errno == ELOOP ? "is a symbolic link" : strerror(errno);
		else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			why = "is not a regular file";
		else if (st.st_uid != geteuid())
			why = "belongs to another user";
		else if (fchmod(fd, 0600) < 0)
			why = strerror(errno);
		/* Not while SQLite has it open: closing drops its locks. */
		if (fd >= 0)
			close(fd);
	}
	if (why)
		log_error("--store %s: %s", path, why);
	return why ? KP_EIO : KP_OK;
}
