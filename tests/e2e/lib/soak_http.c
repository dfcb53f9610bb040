/*
 * Kept connections on one epoll set. Requests are small, so they are written at once; a reply is
 * read to its Content-Length.
 */
#include "tests/e2e/lib/soak_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 128

static struct {
	int epoll;
	struct sockaddr_in to;
} http;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

int64_t
http_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

void
http_init(int port)
{
	http.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	http.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (http.epoll < 0)
		die("epoll");
}

void
http_conn_init(struct conn *c, void (*done)(struct conn *, int status))
{
	c->fd = -1;
	c->busy = false;
	c->done = done;
	c->in = malloc(HTTP_REPLY_MAX + 1);
	if (c->in == NULL)
		die("memory");
}

static void
hang_up(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void
finish(struct conn *c, int status)
{
	c->busy = false;
	c->in[c->in_len] = '\0';
	if (status == 0 || strcasestr(c->in, "\r\nConnection: close") != NULL)
		hang_up(c);
	c->done(c, status);
}

static bool
dial(struct conn *c)
{
	struct epoll_event e = { .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	/* The loopback connects at once, or never. */
	if (connect(c->fd, (struct sockaddr *)&http.to, sizeof(http.to)) < 0) {
		hang_up(c);
		return false;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	e.events = EPOLLIN;
	if (epoll_ctl(http.epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		die("epoll_ctl");
	return true;
}

/* What cannot be sent is seen as a reply that does not come. */
static void
ask(struct conn *c)
{
	c->busy = true;
	c->in_len = 0;
	c->began_us = http_now_us();
	if (c->fd < 0 && !dial(c))
		return;
	if (send(c->fd, c->out, c->out_len, MSG_NOSIGNAL) != (ssize_t)c->out_len)
		shutdown(c->fd, SHUT_RDWR);
}

static void
request(struct conn *c, const char *method, const char *body, const char *path, va_list args)
{
	char target[HTTP_REQUEST_MAX / 2];
	int n;

	vsnprintf(target, sizeof(target), path, args);
	n = body == NULL
	    ? snprintf(c->out, sizeof(c->out), "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
	    method, target)
	    : snprintf(c->out, sizeof(c->out), "%s %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s", method, target,
	    strlen(body), body);
	if (n < 0 || (size_t)n >= sizeof(c->out))
		die("request");
	c->out_len = (size_t)n;
	ask(c);
}

void
http_get(struct conn *c, const char *path, ...)
{
	va_list args;

	va_start(args, path);
	request(c, "GET", NULL, path, args);
	va_end(args);
}

void
http_post(struct conn *c, const char *body, const char *path, ...)
{
	va_list args;

	va_start(args, path);
	request(c, "POST", body, path, args);
	va_end(args);
}

static bool
whole(const struct conn *c)
{
	const char *body = strstr(c->in, "\r\n\r\n");
	long long length = body ? http_number(c, "\r\nContent-Length:") : -1;

	return length >= 0 && c->in_len - (size_t)(body + 4 - c->in) >= (size_t)length;
}

static void
receive(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, HTTP_REPLY_MAX - c->in_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!c->busy) {			/* a kept connection that was closed */
		hang_up(c);
		return;
	}
	if (n <= 0) {
		finish(c, 0);
		return;
	}
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	if (whole(c))
		finish(c, (int)strtol(c->in + strcspn(c->in, " "), NULL, 10));
	else if (c->in_len == HTTP_REPLY_MAX)
		finish(c, 0);
}

void
http_turn(int timeout_ms)
{
	struct epoll_event e[EVENTS_MAX];
	int n = epoll_wait(http.epoll, e, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++)
		receive(e[i].data.ptr);
}

void
http_check(struct conn *c, int64_t now_us)
{
	if (c->busy && (c->fd < 0 || now_us - c->began_us > HTTP_WITHIN_S * INT64_C(1000000)))
		finish(c, 0);
}

long long
http_number(const struct conn *c, const char *name)
{
	const char *at = strcasestr(c->in, name);

	/* Ids are texts. */
	return at ? strtoll(at + strlen(name) + (at[strlen(name)] == '"'), NULL, 10) : -1;
}

const char *
http_text(const struct conn *c, const char *name)
{
	const char *body = strstr(c->in, "\r\n\r\n");
	const char *at = body ? strstr(body, name) : NULL;

	return at ? at + strlen(name) : NULL;
}
