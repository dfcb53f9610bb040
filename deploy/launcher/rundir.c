/*
 * Everything that the launcher puts on disk, and takes away again. Others may write to
 * parts of it (nginx's workers to their temporary files), so nothing is removed by a
 * path: only by a name in a directory that is open.
 */
#include "deploy/launcher/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sock.h"

#define TEMPLATE "/" RUNDIR_PREFIX "XXXXXX"
#define SPOOL_PLACE "/var/tmp"
#define TRIES 8
#define DEPTH_MAX 8
#define TMPFS 0x01021994

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* ---- places ---- */

/* Nobody but root and we can rename it or anything above it. In a directory with the
 * sticky bit, such as /tmp, others can do that to what is theirs only. */
static bool
is_ours_or_roots(const char *real)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s", real);
	for (;;) {
		char *slash = strrchr(path, '/');

		if (lstat(path[0] ? path : "/", &st) < 0 || !S_ISDIR(st.st_mode) ||
		    (st.st_uid != 0 && st.st_uid != geteuid()) ||
		    ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))
			return false;
		if (slash == NULL)
			return true;
		*slash = '\0';
	}
}

/* NULL, or the place without links, in `real`. */
static const char *
trusted(const char *place, char real[PATH_MAX])
{
	/* A relative one would be another place for each child that changes its own. */
	if (place == NULL || place[0] != '/' || realpath(place, real) == NULL)
		return NULL;
	return is_ours_or_roots(real) ? real : NULL;
}

/* Only root may write to /run, but all may look for root's directory there. */
void
rundir_places(const char *places[RUNDIR_PLACES])
{
	static char real[RUNDIR_PLACES][PATH_MAX];
	const char *const wanted[RUNDIR_PLACES] = {
		getenv("XDG_RUNTIME_DIR"), "/run", getenv("TMPDIR"), "/tmp",
	};

	for (size_t i = 0; i < RUNDIR_PLACES; i++)
		places[i] = trusted(wanted[i], real[i]);
}

/* ---- one of them ---- */

/* Everybody can pass through it and all that is above it, as far as modes tell. */
static bool
lets_pass(const char *real)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s", real);
	for (;;) {
		char *slash = strrchr(path, '/');

		if (stat(path[0] ? path : "/", &st) < 0)
			return false;
		if (!(st.st_mode & S_IXOTH)) {
			errno = EACCES;
			return false;
		}
		if (slash == NULL)
			return true;
		*slash = '\0';
	}
}

/* It has the lock, and nobody has swept it away before. */
static bool
lock_new(struct rundir *d)
{
	struct stat open_one, there;

	d->lock = open(d->path, OPEN_DIR);
	if (d->lock < 0)
		return false;
	if (flock(d->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		if (fstat(d->lock, &open_one) == 0 && lstat(d->path, &there) == 0 &&
		    open_one.st_ino == there.st_ino && open_one.st_dev == there.st_dev)
			return true;
	close(d->lock);
	return false;
}

static bool
make_in(const char *place, bool pass, struct rundir *d)
{
	if (place == NULL || strlen(place) + sizeof(TEMPLATE) > RUNDIR_MAX ||
	    (pass && !lets_pass(place)))
		return false;
	for (int i = 0; i < TRIES; i++) {
		snprintf(d->path, RUNDIR_MAX, "%s" TEMPLATE, place);
		if (mkdtemp(d->path) == NULL)
			break;
		if (lock_new(d)) {
			if (!pass || fchmod(d->lock, 0711) == 0)
				return true;
			rundir_remove(d);
			break;
		}
	}
	*d = (struct rundir){ .lock = -1 };
	return false;
}

enum kp_err
rundir_make(bool pass, struct rundir *out)
{
	const char *places[RUNDIR_PLACES];

	rundir_places(places);
	for (size_t i = 0; i < RUNDIR_PLACES; i++)
		if (make_in(places[i], pass, out))
			return KP_OK;
	return KP_EIO;
}

enum kp_err
rundir_make_spool(bool pass, struct rundir *out)
{
	char real[PATH_MAX];
	struct statfs fs;

	*out = (struct rundir){ .lock = -1 };
	if (statfs(SPOOL_PLACE, &fs) < 0 || fs.f_type == TMPFS)
		return KP_EIO;
	return make_in(trusted(SPOOL_PLACE, real), pass, out) ? KP_OK : KP_EIO;
}

static void
empty(int dir, unsigned depth)
{
	int copy = openat(dir, ".", OPEN_DIR);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		int below;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    unlinkat(dir, e->d_name, 0) == 0)
			continue;
		below = depth < DEPTH_MAX ? openat(dir, e->d_name, OPEN_DIR) : -1;
		if (below >= 0) {
			empty(below, depth + 1);
			close(below);
		}
		unlinkat(dir, e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
}

void
rundir_remove(struct rundir *d)
{
	if (d->path[0] == '\0')
		return;
	empty(d->lock, 0);
	rmdir(d->path);
	close(d->lock);
	*d = (struct rundir){ .lock = -1 };
}

/* ---- those that were left behind ---- */

/* What a launcher puts there, and nothing else. */
static bool
has_only_ours(int dir)
{
	static const char *const names[] = {
		".", "..", RUNDIR_SOCKET, RUNDIR_RESPONDERS, RUNDIR_OPTIONS, RUNDIR_NGINX,
		RUNDIR_NGINX_PID, RUNDIR_TEMP,
	};
	int copy = openat(dir, ".", OPEN_DIR);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	bool ours = d != NULL;
	struct dirent *e;

	while (ours && (e = readdir(d)) != NULL) {
		size_t i = 0;

		while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i], e->d_name) != 0)
			i++;
		ours = i < sizeof(names) / sizeof(names[0]);
	}
	if (d)
		closedir(d);
	return ours;
}

/* A helper ends a while after its launcher was killed. */
static bool
is_served(const char *dir)
{
	static const char *const names[] = { RUNDIR_SOCKET, RUNDIR_RESPONDERS };
	char path[PATH_MAX];

	for (size_t i = 0; i < 2; i++)
		if (snprintf(path, sizeof(path), "%s/%s", dir, names[i]) < (int)sizeof(path) &&
		    sock_is_served(path))
			return true;
	return false;
}

static void
sweep_one(const char *place, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int dir = -1;

	if (snprintf(path, sizeof(path), "%s/%s", place, name) < (int)sizeof(path))
		dir = open(path, OPEN_DIR);
	if (dir < 0)
		return;
	if (fstat(dir, &st) == 0 && st.st_uid == geteuid() &&
	    flock(dir, LOCK_EX | LOCK_NB) == 0 && has_only_ours(dir) && !is_served(path)) {
		empty(dir, 0);
		if (rmdir(path) == 0)
			log_info("run directory removed path=%s: its launcher was killed", path);
	}
	close(dir);
}

static void
sweep_place(const char *place)
{
	DIR *d = place ? opendir(place) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (strlen(e->d_name) == sizeof(TEMPLATE) - 2 &&
		    strncmp(e->d_name, RUNDIR_PREFIX, sizeof(RUNDIR_PREFIX) - 1) == 0)
			sweep_one(place, e->d_name);
	if (d)
		closedir(d);
}

void
rundir_sweep(void)
{
	const char *places[RUNDIR_PLACES];
	char real[PATH_MAX];

	rundir_places(places);
	for (size_t i = 0; i < RUNDIR_PLACES; i++)
		sweep_place(places[i]);
	sweep_place(trusted(SPOOL_PLACE, real));
}

/* ---- files ---- */

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
	/* Where others can write it may have become anything. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	int pid = 0;

	if (f == NULL)
		return;
	if (fscanf(f, "%d", &pid) == 1 && pid == getpid())
		unlink(path);
	fclose(f);
}
