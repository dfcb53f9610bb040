/*
 * libfcgi's own accept is not used: it would bind a thread to a kept connection
 * for as long as that is idle. A request is given a connected descriptor, marked
 * as kept so that FCGX_Accept_r() reads from it, and a listening socket of -1, so
 * that it returns when the connection ends instead of waiting for another.
 */
#include "fcgi/http.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "common/clock.h"
#include "common/sock.h"

/* What is read of an unwanted body in order to keep the connection. */
#define DRAIN_BYTES (64u * 1024)
/* The same for CGI, where it keeps the response: a web server that cannot write
 * the body to the end may forget to read the answer (Apache's mod_cgid does). */
#define DRAIN_CGI_BYTES (256u * 1024 * 1024)
#define DRAIN_CGI_MS 5000
#define READ_BYTES (16u * 1024)
#define TRASH_BYTES 4096
/* How long a web server may leave a response unread. It is asked at growing
 * intervals: mostly it has read before the second time. */
#define TAKEN_MS 30000
#define PAUSE_MIN_NS 20000
#define PAUSE_MAX_NS 1000000

struct http {
	bool cgi;
	bool body_done;			/* CGI: nothing of the body is left */
	FCGX_Request fcgi;
};

bool
http_is_fastcgi(void)
{
	return FCGX_Init() == 0 && !FCGX_IsCGI();
}

/* A CGI process is promised one, or stays away from its standard input. */
static bool
has_body(void)
{
	const char *length = getenv("CONTENT_LENGTH");

	return (length && length[0] && strcmp(length, "0") != 0) ||
	    getenv("HTTP_TRANSFER_ENCODING");
}

struct http *
http_new(bool cgi)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->cgi = cgi;
	h->body_done = cgi && !has_body();
	FCGX_InitRequest(&h->fcgi, -1, 0);
	return h;
}

void
http_free(struct http *h)
{
	free(h);
}

bool
http_begin(struct http *h, int fd)
{
	h->fcgi.ipcFd = fd;
	h->fcgi.keepConnection = 1;
	return FCGX_Accept_r(&h->fcgi) == 0;
}

const char *
http_env(const void *p, const char *name)
{
	const struct http *h = p;

	return h->cgi ? getenv(name) : FCGX_GetParam(name, h->fcgi.envp);
}

/* A pipe tells that its reader has gone. A socket (Apache's mod_cgid) does not:
 * its other side is shut down as soon as the request's body was sent. */
int
http_peer(const struct http *h)
{
	struct stat st;

	if (!h->cgi)
		return h->fcgi.ipcFd;
	return fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode) ? STDOUT_FILENO : -1;
}

static int
read_some(struct http *h, void *p, size_t n)
{
	ssize_t k;

	if (!h->cgi)
		return FCGX_GetStr(p, (int)n, h->fcgi.in);
	do
		k = read(STDIN_FILENO, p, n);
	while (k < 0 && errno == EINTR);
	return (int)k;
}

/* Up to max bytes, to nowhere. */
static void
drop_body(struct http *h, size_t max)
{
	uint8_t trash[TRASH_BYTES];
	int k = 1;

	for (size_t n = 0; n < max && k > 0; n += (size_t)k)
		k = read_some(h, trash, max - n < sizeof(trash) ? max - n : sizeof(trash));
	h->body_done = k <= 0;
}

enum kp_err
http_read_body(struct http *h, int64_t expected, struct kp_buf *out)
{
	size_t max = out->limit;

	if (h->cgi && expected >= 0 && (uint64_t)expected < max)
		max = (size_t)expected;
	while (out->len < max) {
		size_t n = max - out->len < READ_BYTES ? max - out->len : READ_BYTES;
		int k;

		if (!kp_buf_reserve(out, n)) {
			enum kp_err err = out->no_room ? KP_EBUSY : KP_ENOMEM;

			max -= out->len;
			kp_buf_free(out);
			drop_body(h, max);
			return err;
		}
		k = read_some(h, out->p + out->len, n);
		h->body_done = k <= 0;
		if (k <= 0)
			return KP_OK;
		out->len += (size_t)k;
	}
	if (expected >= 0 && out->len == (uint64_t)expected)
		h->body_done = true;
	return KP_OK;
}

static bool
write_stdout(struct kp_slice s)
{
	while (s.n) {
		ssize_t k = write(STDOUT_FILENO, s.p, s.n);

		if (k < 0 && errno != EINTR)
			return false;
		if (k > 0) {
			s.p += k;
			s.n -= (size_t)k;
		}
	}
	return true;
}

bool
http_write(struct http *h, struct kp_slice head, struct kp_slice body)
{
	FCGX_Stream *out = h->fcgi.out;

	if (h->cgi)
		return write_stdout(head) && write_stdout(body);
	FCGX_PutStr((const char *)head.p, (int)head.n, out);
	if (body.n)
		FCGX_PutStr((const char *)body.p, (int)body.n, out);
	/* The end of the request goes out with the last writer, in one piece with
	 * what is left of the body. */
	FCGX_FClose(h->fcgi.err);
	FCGX_FClose(out);
	return FCGX_GetError(out) == 0;
}

/* What the reader has not read yet; 0 where nobody can tell. */
static int
unread_bytes(int fd, bool *is_pipe)
{
	int n = 0;

	*is_pipe = ioctl(fd, SIOCOUTQ, &n) < 0;
	if (*is_pipe && ioctl(fd, FIONREAD, &n) < 0)
		n = 0;
	return n;
}

/*
 * The kernel wakes nobody when a buffer has been read to its end. When a socket is
 * closed with bytes unread, it is marked with an error first and emptied then, so
 * no error after an empty buffer means that it was read.
 */
bool
http_taken(const struct http *h)
{
	struct pollfd p = { h->cgi ? STDOUT_FILENO : h->fcgi.ipcFd, 0, 0 };
	struct timespec pause = { 0, PAUSE_MIN_NS }, none = { 0, 0 };
	int64_t until_ms = clock_mono_ms() + TAKEN_MS;
	bool is_pipe, last = false;

	for (;;) {
		int unread = unread_bytes(p.fd, &is_pipe);

		if (unread == 0 && is_pipe)
			return true;
		p.revents = 0;
		ppoll(&p, 1, unread ? &pause : &none, NULL);
		if (p.revents & POLLERR)
			return false;
		if (unread == 0)
			return true;
		if (last || clock_mono_ms() > until_ms)
			return false;
		/* It has closed: what it had read by then is known in a moment. */
		last = (p.revents & POLLHUP) != 0;
		if (pause.tv_nsec < PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

/* An unread rest of a body would be taken for the head of the next request. */
static bool
drain(struct http *h)
{
	char trash[1024];

	for (size_t n = 0; n < DRAIN_BYTES; n += sizeof(trash))
		if (FCGX_GetStr(trash, sizeof(trash), h->fcgi.in) < (int)sizeof(trash))
			return FCGX_GetError(h->fcgi.in) == 0;
	return false;
}

static void
drain_stdin(void)
{
	struct pollfd p = { STDIN_FILENO, POLLIN, 0 };
	char trash[4096];
	ssize_t k = 1;

	for (size_t n = 0; n < DRAIN_CGI_BYTES && k > 0; n += (size_t)k)
		k = poll(&p, 1, DRAIN_CGI_MS) > 0 ? read(STDIN_FILENO, trash, sizeof(trash)) : 0;
}

int
http_end(struct http *h, bool may_keep)
{
	int fd;

	if (h->cgi) {
		if (!h->body_done)
			drain_stdin();
		return -1;
	}
	if (!may_keep || !h->fcgi.keepConnection || FCGX_GetError(h->fcgi.out) || !drain(h))
		h->fcgi.keepConnection = 0;
	FCGX_Finish_r(&h->fcgi);
	fd = h->fcgi.ipcFd;
	h->fcgi.ipcFd = -1;
	return fd;
}
