/*
 * A library to be preloaded, between a program and its disk: see shim.h.
 *
 * One lock is held over each call and its record, so that the order of the
 * records is the order in which things happened. Only what SQLite and the store
 * use is here; test_power.c looks that the files that a trace makes are those
 * on the disk.
 */
#include "tests/faults/shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
#define FILES 1024

struct rule {
	bool set, on;			/* on: all that follow, too */
	char kind[16], suffix[64], error[16];
	long turn, passed;
};

struct file {
	uint32_t object;		/* 0: not ours */
	bool dir;
	char path[256];			/* below the folder */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_bytes;
static int trace = -1;
static struct rule fail_rule, kill_rule;
static const char *fail_while;
static uint64_t quota;
static bool brief;
static uint64_t operations;
static struct file fds[FDS];
static struct { dev_t dev; ino_t ino; uint32_t object; } known[FILES];
static unsigned n_known;

#define REAL(name) ((__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name))
#define EXPORT __attribute__((visibility("default")))

shim_mark_fn shim_mark;
shim_count_fn shim_operations;
shim_kill_fn shim_kill;

/* ---- set up ---- */

static void
read_rule(const char *name, struct rule *r)
{
	const char *text = getenv(name);
	char turn[16] = "";

	if (text == NULL)
		return;
	r->set = sscanf(text, "%15[a-z]:%63[^:]:%15[0-9+]:%15s", r->kind, r->suffix, turn,
	    r->error) >= 3;
	r->turn = strtol(turn, NULL, 10);
	r->on = strchr(turn, '+') != NULL;
	if (!r->set || r->turn < 1) {
		fprintf(stderr, "shim: %s=%s cannot be read\n", name, text);
		_exit(120);
	}
}

__attribute__((constructor)) static void
begin(void)
{
	const char *dir = getenv("KP_SHIM_DIR"), *to = getenv("KP_SHIM_TRACE");
	const char *size = getenv("KP_SHIM_QUOTA");

	if (dir == NULL)
		return;
	folder_bytes = (size_t)snprintf(folder, sizeof(folder), "%s/", dir);
	read_rule("KP_SHIM_FAIL", &fail_rule);
	read_rule("KP_SHIM_KILL", &kill_rule);
	fail_while = getenv("KP_SHIM_WHILE");
	brief = getenv("KP_SHIM_BRIEF") != NULL;
	quota = size ? strtoull(size, NULL, 10) : 0;
	if (to == NULL)
		return;
	trace = REAL(open)(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (trace < 0) {
		fprintf(stderr, "shim: %s: %s\n", to, strerror(errno));
		_exit(120);
	}
	/* Out of the way of programs that count their descriptors. */
	trace = fcntl(trace, F_DUPFD_CLOEXEC, 900);
}

/* ---- paths, files ---- */

/* The part of the path below our folder, NULL when it is elsewhere. */
static const char *
below(const char *path, char *room)
{
	size_t n = 0;

	if (folder_bytes == 0)
		return NULL;
	if (path[0] != '/' && getcwd(room, PATH_MAX)) {
		n = strlen(room);
		room[n++] = '/';
	}
	snprintf(room + n, PATH_MAX - n, "%s", path);
	if (strncmp(room, folder, folder_bytes) == 0)
		return room + folder_bytes;
	return strncmp(room, folder, folder_bytes - 1) == 0 && room[folder_bytes - 1] == '\0' ?
	    "" : NULL;
}

static void __attribute__((noreturn))
die(void)
{
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	_exit(120);
}

static uint32_t
object_of(const struct stat *st, bool created)
{
	unsigned i = 0;
	static uint32_t last;

	while (i < n_known && (known[i].dev != st->st_dev || known[i].ino != st->st_ino))
		i++;
	if (i < n_known && !created)
		return known[i].object;
	if (i == FILES)
		die();
	if (i == n_known)
		n_known++;
	known[i].dev = st->st_dev;
	known[i].ino = st->st_ino;
	return known[i].object = ++last;
}

static struct file *
file_of(int fd)
{
	return fd >= 0 && fd < FDS && fds[fd].object ? &fds[fd] : NULL;
}

/* ---- records ---- */

static void
record(struct shim_record r, const char *path, const void *data)
{
	struct iovec v[] = {
		{ &r, sizeof(r) },
		{ (void *)(uintptr_t)path, strlen(path) },
		{ (void *)(uintptr_t)data, r.data_bytes },
	};

	r.path_bytes = (uint16_t)v[1].iov_len;
	if (r.kind < SHIM_MARK)
		operations++;
	if (trace >= 0 && writev(trace, v, 3) !=
	    (ssize_t)(v[0].iov_len + v[1].iov_len + v[2].iov_len))
		die();			/* a trace with holes proves nothing */
}

/* Another thread's record would be cut in its middle: it is waited for. */
EXPORT void
abort(void)
{
	pthread_mutex_lock(&lock);
	die();
}

EXPORT void
shim_mark(char mark, int64_t id)
{
	pthread_mutex_lock(&lock);
	record((struct shim_record){ .kind = SHIM_MARK, .mark = mark, .offset = id }, "", "");
	pthread_mutex_unlock(&lock);
}

EXPORT void
shim_kill(void)
{
	pthread_mutex_lock(&lock);
	kill(getpid(), SIGKILL);
	pause();
}

EXPORT uint64_t
shim_operations(void)
{
	return operations;
}

/* ---- rules ---- */

static bool
matches(struct rule *r, const char *kind, const char *path)
{
	size_t n = strlen(path), m = strlen(r->suffix);

	if (!r->set || (strcmp(r->kind, kind) != 0 && strcmp(r->kind, "any") != 0))
		return false;
	if (strcmp(r->suffix, "*") != 0 && (n < m || strcmp(path + n - m, r->suffix) != 0))
		return false;
	r->passed++;
	return r->on ? r->passed >= r->turn : r->passed == r->turn;
}

static int
error_number(const char *error)
{
	return strcmp(error, "EIO") == 0 ? EIO : strcmp(error, "EFBIG") == 0 ? EFBIG : ENOSPC;
}

/* Before a call: dies, or sets errno and says that the call fails. A short write
 * is left to the caller: *half. */
static bool
refused(const char *kind, const char *path, bool *half)
{
	if (matches(&kill_rule, kind, path)) {
		kill(getpid(), SIGKILL);
		pause();
	}
	if (!fail_rule.set || (fail_while && access(fail_while, F_OK) < 0) ||
	    !matches(&fail_rule, kind, path))
		return false;
	record((struct shim_record){ .kind = SHIM_FAULT }, path, "");
	if (half && strcmp(fail_rule.error, "SHORT") == 0) {
		*half = true;
		return false;
	}
	errno = error_number(fail_rule.error);
	return true;
}

/* Of n more bytes, how many the folder has room for. */
static uint64_t
room_for(uint64_t n)
{
	uint64_t used = 0;
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (quota == 0)
		return n;
	d = opendir(folder);
	while (d && (e = readdir(d)) != NULL)
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			used += (uint64_t)st.st_size;
	if (d)
		closedir(d);
	return used >= quota ? 0 : quota - used < n ? quota - used : n;
}

/* ---- opening ---- */

static void
opened(int fd, const char *path, bool created, bool emptied)
{
	struct stat st;
	uint32_t object;

	if (fd < 0 || fd >= FDS || fstat(fd, &st) < 0)
		return;
	object = object_of(&st, created);
	fds[fd] = (struct file){ .object = object, .dir = S_ISDIR(st.st_mode) };
	snprintf(fds[fd].path, sizeof(fds[fd].path), "%s", path);
	if (created)
		record((struct shim_record){ .kind = SHIM_CREATE, .object = object }, path, "");
	else if (emptied)
		record((struct shim_record){ .kind = SHIM_TRUNCATE, .object = object }, path, "");
}

static int
open_any(int at, const char *path, int flags, mode_t mode)
{
	char room[PATH_MAX * 2];
	const char *name = below(path, room);
	struct stat st;
	bool is_new;
	int fd = -1;

	if (name == NULL || (at != AT_FDCWD && path[0] != '/'))
		return REAL(openat)(at, path, flags, mode);
	pthread_mutex_lock(&lock);
	is_new = (flags & O_CREAT) && lstat(path, &st) < 0;
	if (!(is_new && refused("open", name, NULL)))
		fd = REAL(openat)(at, path, flags, mode);
	if (fd >= 0)
		opened(fd, name, is_new, (flags & O_TRUNC) != 0);
	pthread_mutex_unlock(&lock);
	return fd;
}

#define OPEN_MODE(mode)								\
	mode_t mode = 0;							\
	va_list ap;								\
	va_start(ap, flags);							\
	if (flags & (O_CREAT | O_TMPFILE))					\
		mode = va_arg(ap, mode_t);					\
	va_end(ap)

EXPORT int
open(const char *path, int flags, ...)
{
	OPEN_MODE(mode);
	return open_any(AT_FDCWD, path, flags, mode);
}

EXPORT int
open64(const char *path, int flags, ...)
{
	OPEN_MODE(mode);
	return open_any(AT_FDCWD, path, flags, mode);
}

EXPORT int
openat(int at, const char *path, int flags, ...)
{
	OPEN_MODE(mode);
	return open_any(at, path, flags, mode);
}

EXPORT int
openat64(int at, const char *path, int flags, ...)
{
	OPEN_MODE(mode);
	return open_any(at, path, flags, mode);
}

EXPORT int
close(int fd)
{
	int rc;

	pthread_mutex_lock(&lock);
	if (file_of(fd))
		fds[fd].object = 0;
	rc = REAL(close)(fd);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* ---- writing ---- */

/* Under the lock, at an offset. */
static ssize_t
write_ours(struct file *f, int fd, const void *p, size_t n, off_t at)
{
	struct stat st;
	bool half = false;
	off_t grows;
	ssize_t done;

	if (fstat(fd, &st) == 0 && at == 0 && st.st_size > 0 && refused("rewind", f->path, &half))
		return -1;
	if (refused("write", f->path, &half))
		return -1;
	grows = at + (off_t)n - st.st_size;
	if (quota && grows > 0) {
		uint64_t room = room_for((uint64_t)grows);

		if (room < (uint64_t)grows && room + n <= (uint64_t)grows) {
			errno = ENOSPC;
			return -1;
		}
		n -= (size_t)((uint64_t)grows - room);
	}
	if (half)
		n /= 2;
	done = REAL(pwrite)(fd, p, n, at);
	if (done > 0)
		record((struct shim_record){ .kind = SHIM_WRITE, .object = f->object,
		    .offset = at, .data_bytes = brief ? 0 : (uint64_t)done }, f->path,
		    p);
	return done;
}

static ssize_t
pwrite_any(int fd, const void *p, size_t n, off_t at)
{
	struct file *f;
	ssize_t done;

	pthread_mutex_lock(&lock);
	f = file_of(fd);
	done = f ? write_ours(f, fd, p, n, at) : REAL(pwrite)(fd, p, n, at);
	pthread_mutex_unlock(&lock);
	return done;
}

EXPORT ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite_any(fd, p, n, at);
}

EXPORT ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return pwrite_any(fd, p, n, at);
}

EXPORT ssize_t
write(int fd, const void *p, size_t n)
{
	struct file *f = file_of(fd);
	ssize_t done;
	off_t at;

	if (f == NULL)
		return REAL(write)(fd, p, n);	/* may block, so not under the lock */
	pthread_mutex_lock(&lock);
	at = lseek(fd, 0, SEEK_CUR);
	done = write_ours(f, fd, p, n, at);
	if (done > 0)
		lseek(fd, at + done, SEEK_SET);
	pthread_mutex_unlock(&lock);
	return done;
}

static int
truncate_any(int fd, off_t size)
{
	struct file *f;
	int rc = -1;

	pthread_mutex_lock(&lock);
	f = file_of(fd);
	if (f == NULL || !refused("truncate", f->path, NULL))
		rc = REAL(ftruncate)(fd, size);
	if (rc == 0 && f)
		record((struct shim_record){ .kind = SHIM_TRUNCATE, .object = f->object,
		    .offset = size }, f->path, "");
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT int
ftruncate(int fd, off_t size)
{
	return truncate_any(fd, size);
}

EXPORT int
ftruncate64(int fd, off64_t size)
{
	return truncate_any(fd, size);
}

/* Room for a file, as zeros; gives an error number, as posix_fallocate() does. */
static int
allocate_any(int fd, off_t at, off_t n)
{
	struct file *f;
	struct stat st;
	int rc = 0;

	pthread_mutex_lock(&lock);
	f = file_of(fd);
	if (f && refused("allocate", f->path, NULL))
		rc = errno;
	else if (f && fstat(fd, &st) == 0 && at + n > st.st_size &&
	    room_for((uint64_t)(at + n - st.st_size)) < (uint64_t)(at + n - st.st_size))
		rc = ENOSPC;
	else
		rc = REAL(posix_fallocate)(fd, at, n);
	if (rc == 0 && f && at + n > st.st_size)
		record((struct shim_record){ .kind = SHIM_TRUNCATE, .object = f->object,
		    .offset = at + n }, f->path, "");
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT int
posix_fallocate(int fd, off_t at, off_t n)
{
	return allocate_any(fd, at, n);
}

EXPORT int
posix_fallocate64(int fd, off64_t at, off64_t n)
{
	return allocate_any(fd, at, n);
}

static int
fallocate_any(int fd, int mode, off_t at, off_t n)
{
	int rc;

	if (mode != 0)
		return REAL(fallocate)(fd, mode, at, n);
	rc = allocate_any(fd, at, n);
	errno = rc ? rc : errno;
	return rc ? -1 : 0;
}

EXPORT int
fallocate(int fd, int mode, off_t at, off_t n)
{
	return fallocate_any(fd, mode, at, n);
}

EXPORT int
fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	return fallocate_any(fd, mode, at, n);
}

/* What the model takes for safe is said to be so; the disk of the test itself is
 * not waited for. */
static int
sync_any(int fd, int (*real)(int fd))
{
	struct file *f;
	int rc = 0;

	pthread_mutex_lock(&lock);
	f = file_of(fd);
	if (f == NULL)
		rc = real(fd);
	else if (refused("sync", f->path, NULL))
		rc = -1;
	else
		record((struct shim_record){ .kind = f->dir ? SHIM_SYNC_DIR : SHIM_SYNC,
		    .object = f->object }, f->path, "");
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT int
fsync(int fd)
{
	return sync_any(fd, REAL(fsync));
}

EXPORT int
fdatasync(int fd)
{
	return sync_any(fd, REAL(fdatasync));
}

/* ---- names ---- */

EXPORT int
mkdir(const char *path, mode_t mode)
{
	char room[PATH_MAX * 2];
	const char *name = below(path, room);
	int rc = -1;

	if (name == NULL)
		return REAL(mkdir)(path, mode);
	pthread_mutex_lock(&lock);
	if (!refused("mkdir", name, NULL))
		rc = REAL(mkdir)(path, mode);
	if (rc == 0)
		record((struct shim_record){ .kind = SHIM_MKDIR }, name, "");
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT int
unlink(const char *path)
{
	char room[PATH_MAX * 2];
	const char *name = below(path, room);
	int rc = -1;

	if (name == NULL)
		return REAL(unlink)(path);
	pthread_mutex_lock(&lock);
	if (!refused("unlink", name, NULL))
		rc = REAL(unlink)(path);
	if (rc == 0)
		record((struct shim_record){ .kind = SHIM_UNLINK }, name, "");
	pthread_mutex_unlock(&lock);
	return rc;
}

static int
two_names(const char *from, const char *to, const char *kind, enum shim_kind what,
    int (*real)(const char *from, const char *to))
{
	char room[2][PATH_MAX * 2];
	const char *a = below(from, room[0]), *b = below(to, room[1]);
	int rc = -1;

	if (a == NULL || b == NULL)
		return real(from, to);
	pthread_mutex_lock(&lock);
	if (!refused(kind, a, NULL))
		rc = real(from, to);
	if (rc == 0)
		record((struct shim_record){ .kind = (uint8_t)what, .data_bytes = strlen(b) }, a,
		    b);
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT int
rename(const char *from, const char *to)
{
	return two_names(from, to, "rename", SHIM_RENAME, REAL(rename));
}

EXPORT int
link(const char *from, const char *to)
{
	return two_names(from, to, "link", SHIM_LINK, REAL(link));
}
