/* One HTTP/1.0 request on a socket that never blocks: connect, write, read to the end. */
#include "deploy/launcher/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static const char request[] = "GET /_ping HTTP/1.0\r\n\r\n";

void
front_tcp(struct front *f, const struct sockaddr_storage *served)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&f->to;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)served;

	*f = (struct front){ .to = *served, .fd = -1 };
	f->to_n = served->ss_family == AF_INET ? sizeof(*in) : sizeof(*in6);
	if (served->ss_family == AF_INET6) {
		if (!IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
			return;
		/* All addresses of both families: a host may have no IPv6 but the name. */
		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = in6->sin6_port };
		f->to_n = sizeof(*in);
	}
	if (in->sin_addr.s_addr == htonl(INADDR_ANY))
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

void
front_unix(struct front *f, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&f->to;

	*f = (struct front){ .to_n = sizeof(*un), .fd = -1 };
	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", path);
}

void
front_close(struct front *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* Ends the question; `error` 0: with the answer in f->head. */
static enum front_step
end(struct front *f, int error)
{
	static const char version[] = "HTTP/1.1 ";

	front_close(f);
	f->error = error;
	f->status = 0;
	if (error)
		return FRONT_FAILS;
	f->head[f->n] = '\0';
	if (strncmp(f->head, version, sizeof(version) - 1) == 0)
		f->status = (int)strtol(f->head + sizeof(version) - 1, NULL, 10);
	else
		f->error = f->n ? EPROTO : ECONNRESET;
	return f->status == 200 ? FRONT_SERVES : FRONT_FAILS;
}

static enum front_step
begin(struct front *f)
{
	f->asked = false;
	f->n = 0;
	f->fd = socket(f->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || (connect(f->fd, (struct sockaddr *)&f->to, f->to_n) < 0 &&
	    errno != EINPROGRESS))
		return end(f, errno);
	return FRONT_WAITS;
}

/* The first bytes are kept, the others read away. */
static enum front_step
read_answer(struct front *f)
{
	char rest[512];

	for (;;) {
		size_t room = sizeof(f->head) - 1 - f->n;
		ssize_t n = room ? recv(f->fd, f->head + f->n, room, 0) :
		    recv(f->fd, rest, sizeof(rest), 0);

		if (n == 0)
			return end(f, 0);
		if (n < 0)
			return errno == EAGAIN ? FRONT_WAITS : end(f, errno);
		f->n += room ? (size_t)n : 0;
	}
}

enum front_step
front_ask(struct front *f)
{
	if (f->fd < 0)
		return begin(f);
	if (!f->asked) {
		/* Not connected yet is EAGAIN for TCP, a refusal its own error. */
		if (send(f->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
			return errno == EAGAIN ? FRONT_WAITS : end(f, errno);
		f->asked = true;
	}
	return read_answer(f);
}
