/* Unix sockets. A stale socket is told from a live one by connect(2), and is
 * only removed when it is our own. */
#include "common/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_PAUSE_MS 20

int64_t
sock_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int
sock_left_ms(int64_t until_ms)
{
	int64_t left = until_ms - sock_now_ms();

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

/* Makes room for bind(2) at the path, if what is there is a dead socket of ours. */
static enum kp_err
remove_stale(const char *path, const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, alive;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? KP_OK : KP_EIO;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return KP_ECONFLICT;
	/* Non-blocking: a live one that hangs has its queue full, and is not waited for. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return KP_EIO;
	alive = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
	    errno != ECONNREFUSED;
	close(fd);
	if (alive)
		return KP_ECONFLICT;
	return unlink(path) == 0 ? KP_OK : KP_EIO;
}

enum kp_err
sock_listen(const char *path, gid_t gid, int *out)
{
	struct sockaddr_un addr;
	enum kp_err err;
	bool made;
	mode_t mask;
	int fd, rc;

	err = make_addr(path, &addr);
	if (err == KP_OK)
		err = remove_stale(path, &addr);
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
		if (sock_now_ms() >= until_ms)
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

	if (until_ms <= sock_now_ms())
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
