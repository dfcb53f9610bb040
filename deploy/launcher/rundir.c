/* Everything that the launcher puts on disk, and takes away again. */
#include "deploy/launcher/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPLATE "/" RUNDIR_PREFIX "XXXXXX"

static bool
try_base(const char *base, char out[RUNDIR_MAX])
{
	/* A relative one would be another place for each child that changes its own. */
	if (base == NULL || base[0] != '/' || strlen(base) + sizeof(TEMPLATE) > RUNDIR_MAX)
		return false;
	snprintf(out, RUNDIR_MAX, "%s" TEMPLATE, base);
	return mkdtemp(out) != NULL;
}

/* Only root may write to /run, but all may look for root's directory there. */
void
rundir_places(const char *places[RUNDIR_PLACES])
{
	places[0] = getenv("XDG_RUNTIME_DIR");
	places[1] = "/run";
	places[2] = getenv("TMPDIR");
	places[3] = "/tmp";
}

enum kp_err
rundir_make(bool pass, char out[RUNDIR_MAX])
{
	const char *places[RUNDIR_PLACES];
	size_t i = 0;

	rundir_places(places);
	while (i < RUNDIR_PLACES && !try_base(places[i], out))
		i++;
	if (i == RUNDIR_PLACES)
		return KP_EIO;
	if (pass && chmod(out, 0711) < 0) {
		rmdir(out);
		return KP_EIO;
	}
	return KP_OK;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	(void)remove(path);
	return 0;
}

void
rundir_remove(const char *dir)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* A new file with all of `text`, or none. */
static enum kp_err
write_new(const char *path, mode_t mode, struct kp_slice text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ssize_t n;
	int error;

	if (fd < 0)
		return KP_EIO;
	n = write(fd, text.p, text.n);
	error = n < 0 ? errno : ENOSPC;
	if (close(fd) == 0 && n == (ssize_t)text.n)
		return KP_OK;
	unlink(path);
	errno = error;
	return KP_EIO;
}

enum kp_err
rundir_write(const char *dir, const char *name, struct kp_slice text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return write_new(path, 0600, text);
}

enum kp_err
pidfile_write(const char *path)
{
	char temp[PATH_MAX], text[32];

	if (snprintf(temp, sizeof(temp), "%s.%d", path, (int)getpid()) >= (int)sizeof(temp)) {
		errno = ENAMETOOLONG;
		return KP_EIO;
	}
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (write_new(temp, 0644, kp_slice_str(text)))
		return KP_EIO;
	if (rename(temp, path) < 0) {
		int error = errno;

		unlink(temp);
		errno = error;
		return KP_EIO;
	}
	return KP_OK;
}

void
pidfile_remove(const char *path)
{
	FILE *f = fopen(path, "re");
	int pid = 0;

	if (f == NULL)
		return;
	if (fscanf(f, "%d", &pid) == 1 && pid == getpid())
		unlink(path);
	fclose(f);
}
