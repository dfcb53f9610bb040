/*
 * Unix sockets. A stale socket is told from a live one by connect(2), and is only
 * removed when it is our own. One that is bound and does not listen yet looks stale: so
 * who takes one, or removes one, does it under a lock of its path. The lock is an abstract
 * socket, which leaves no file behind and ends with its process.
 */
#include "common/sock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"

#define CONNECT_PAUSE_MS 20
/* Nobody of ours holds the lock for long; whoever else does holds nobody up. */
#define LOCK_MS 1000
#define LOCK_PAUSE_MS 5

int
sock_left_ms(int64_t until_ms)
{
	int64_t left = until_ms - clock_mono_ms();

	return left < 1 ? 1 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static enum kp_err
make_addr(const char *path, struct sockaddr_un *addr)
{
	size_t n = strlen(path);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (n == 0 || n >= sizeof(addr->sun_path))
		return KP_ETOOBIG;
	memcpy(addr->sun_path, path, n);
	return KP_OK;
}

/* Non-blocking: a live one that hangs has its queue full, and is not waited for. */
static bool
is_served(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served;

	if (fd < 0)
		return true;
	served = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
	    (errno != ECONNREFUSED && errno != ENOENT);
	close(fd);
	return served;
}

bool
sock_is_served(const char *path)
{
	struct sockaddr_un addr;

	return make_addr(path, &addr) == KP_OK && is_served(&addr);
}

/* A name that no two paths have, in the kernel's own namespace of sockets. */
static bool
make_lock_addr(const char *path, struct sockaddr_un *addr, socklen_t *len)
{
	const char *slash = strrchr(path, '/');
	char dir[sizeof(addr->sun_path)] = ".";
	struct stat st;
	int n;

	if (slash && slash - path + 1 >= (ptrdiff_t)sizeof(dir))
		return false;
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path);
	if (stat(dir, &st) < 0)
		return false;
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(addr->sun_path + 1, sizeof(addr->sun_path) - 1, "kafka-pixy %jx %jx %s",
	    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, slash ? slash + 1 : path);
	if (n >= (int)sizeof(addr->sun_path) - 1)
		n = (int)sizeof(addr->sun_path) - 2;
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return true;
}

int
sock_lock(const char *path)
{
	int64_t until_ms = clock_mono_ms() + LOCK_MS;
	struct sockaddr_un addr;
	socklen_t len;
	int fd;

	if (!make_lock_addr(path, &addr, &len))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) < 0 &&
	    errno == EADDRINUSE && clock_mono_ms() < until_ms)
		poll(NULL, 0, LOCK_PAUSE_MS);
	return fd;
}

void
sock_unlock(int lock)
{
	if (lock >= 0)
		close(lock);
}

enum kp_err
sock_remove_stale(const char *path)
{
	struct sockaddr_un addr;
	struct stat st;
	enum kp_err err = make_addr(path, &addr);

	if (err)
		return err;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? KP_OK : KP_EIO;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid() || is_served(&addr))
		return KP_ECONFLICT;
	return unlink(path) == 0 ? KP_OK : KP_EIO;
}

/* Binds and listens; the lock is held. */
static enum kp_err
take(const char *path, gid_t gid, int *out)
{
	struct sockaddr_un addr;
	enum kp_err err;
	bool made;
	mode_t mask;
	int fd, rc;

	err = sock_remove_stale(path);
	if (err == KP_OK)
		err = make_addr(path, &addr);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return KP_EIO;
	/* The mode is right from the first moment: no chmod after bind. */
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	made = rc == 0;
	if (!made)
		goto fail;
	/* Widened to the group only after the group is the right one. */
	if (gid != (gid_t)-1 && (lchown(path, (uid_t)-1, gid) < 0 || chmod(path, 0660) < 0))
		goto fail;
	if (listen(fd, 1024) < 0)
		goto fail;
	*out = fd;
	return KP_OK;

fail:
	rc = errno;
	close(fd);
	if (made)
		unlink(path);
	errno = rc;
	return rc == EADDRINUSE ? KP_ECONFLICT : KP_EIO;
}

enum kp_err
sock_listen(const char *path, gid_t gid, int *out)
{
	int lock = sock_lock(path);
	enum kp_err err = take(path, gid, out);
	int error = errno;

	sock_unlock(lock);
	errno = error;
	return err;
}

enum kp_err
sock_connect(const char *path, int64_t until_ms, int *out)
{
	struct sockaddr_un addr;
	enum kp_err err = make_addr(path, &addr);
	int fd;

	if (err)
		return err;
	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			return KP_EIO;
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
			*out = fd;
			return KP_OK;
		}
		/* EAGAIN: its queue is full. All are worth another try. */
		close(fd);
		if (clock_mono_ms() >= until_ms)
			return KP_EUNAVAIL;
		poll(NULL, 0, CONNECT_PAUSE_MS);
	}
}

/* Waits for `events` on fd, and for a hang-up of `other`. */
static enum kp_err
wait_for(int fd, short events, int64_t until_ms, int other, bool *hungup)
{
	struct pollfd p[2] = { { fd, events, 0 }, { other, POLLRDHUP, 0 } };
	int n;

	if (until_ms <= clock_mono_ms())
		return KP_ETIMEDOUT;
	n = poll(p, other >= 0 ? 2 : 1, sock_left_ms(until_ms));
	if (n < 0 && errno != EINTR)
		return KP_EIO;
	if (n > 0 && p[0].revents == 0 && p[1].revents != 0)
		*hungup = true;
	return KP_OK;
}

enum kp_err
sock_write(int fd, const void *p, size_t n, int64_t until_ms, size_t *sent)
{
	const char *bytes = p;
	enum kp_err err = KP_OK;
	size_t done = 0;
	bool hungup;

	while (done < n && err == KP_OK) {
		ssize_t k = send(fd, bytes + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (k > 0)
			done += (size_t)k;
		else if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			err = wait_for(fd, POLLOUT, until_ms, -1, &hungup);
		else if (k < 0 && errno != EINTR)
			err = KP_EGONE;
	}
	if (sent)
		*sent = done;
	return err;
}

enum kp_err
sock_read(int fd, void *p, size_t cap, int64_t until_ms, int other, size_t *n, bool *hungup)
{
	enum kp_err err;

	*n = 0;
	*hungup = false;
	for (;;) {
		ssize_t k = recv(fd, p, cap, MSG_DONTWAIT);

		if (k > 0) {
			*n = (size_t)k;
			return KP_OK;
		}
		if (k == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
			return KP_EGONE;
		err = wait_for(fd, POLLIN, until_ms, other, hungup);
		if (err || *hungup)
			return err;
	}
}
