/* A thread that passes on what comes; see door.h. */
#include "tests/it/door.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define LINKS_MAX 64
#define PIECE 65536

/* links[2 * i] and links[2 * i + 1] are the two sides of one connection; -1: none. */
struct links {
	int fd[2 * LINKS_MAX];
};

static struct sockaddr_in
local(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static void
cut(struct links *l, int side)
{
	int other = side ^ 1;

	close(l->fd[side]);
	close(l->fd[other]);
	l->fd[side] = l->fd[other] = -1;
}

static void
cut_all(struct links *l)
{
	for (int i = 0; i < 2 * LINKS_MAX; i += 2)
		if (l->fd[i] >= 0)
			cut(l, i);
}

/* Who cannot be led on is cut off. */
static void
let_in(struct door *d, struct links *l)
{
	struct sockaddr_in to = local(atomic_load(&d->port));
	int in = accept(d->listener, NULL, NULL), i = 0;
	int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	while (i < 2 * LINKS_MAX && l->fd[i] >= 0)
		i += 2;
	if (in < 0 || out < 0 || i == 2 * LINKS_MAX ||
	    connect(out, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(in);
		close(out);
		return;
	}
	l->fd[i] = in;
	l->fd[i + 1] = out;
}

static void
pass_on(struct links *l, int side)
{
	char piece[PIECE];
	ssize_t n = recv(l->fd[side], piece, sizeof(piece), 0), sent = 0, done = 0;

	while (n > 0 && done < n && sent >= 0) {
		sent = send(l->fd[side ^ 1], piece + done, (size_t)(n - done), MSG_NOSIGNAL);
		done += sent;
	}
	if (n <= 0 || sent < 0)
		cut(l, side);
}

static void *
run(void *arg)
{
	struct door *d = arg;
	struct pollfd v[2 + 2 * LINKS_MAX];
	struct links l;
	char c;

	for (int i = 0; i < 2 * LINKS_MAX; i++)
		l.fd[i] = -1;
	while (!atomic_load(&d->ending)) {
		v[0] = (struct pollfd){ .fd = d->wake[0], .events = POLLIN };
		v[1] = (struct pollfd){ .fd = d->listener, .events = POLLIN };
		for (int i = 0; i < 2 * LINKS_MAX; i++)
			v[2 + i] = (struct pollfd){ .fd = l.fd[i], .events = POLLIN };
		if (poll(v, 2 + 2 * LINKS_MAX, -1) < 0)
			break;
		if (v[0].revents && read(d->wake[0], &c, 1) == 1) {
			cut_all(&l);
			continue;
		}
		for (int i = 0; i < 2 * LINKS_MAX; i++)
			if (v[2 + i].revents && l.fd[i] == v[2 + i].fd)
				pass_on(&l, i);
		if (v[1].revents)
			let_in(d, &l);
	}
	cut_all(&l);
	return NULL;
}

static int
port_of(const char *brokers)
{
	return atoi(strrchr(brokers, ':') + 1);
}

void
door_open(struct door *d, const char *brokers)
{
	struct sockaddr_in a = local(0);
	socklen_t n = sizeof(a);

	*d = (struct door){ .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	atomic_store(&d->port, port_of(brokers));
	assert_int_equal(bind(d->listener, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(d->listener, 16), 0);
	assert_int_equal(getsockname(d->listener, (struct sockaddr *)&a, &n), 0);
	snprintf(d->address, sizeof(d->address), "127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(pipe(d->wake), 0);
	assert_int_equal(pthread_create(&d->thread, NULL, run, d), 0);
}

static void
wake(struct door *d)
{
	assert_int_equal(write(d->wake[1], "w", 1), 1);
}

void
door_lead_to(struct door *d, const char *brokers)
{
	atomic_store(&d->port, port_of(brokers));
	wake(d);
}

void
door_close(struct door *d)
{
	atomic_store(&d->ending, true);
	wake(d);
	pthread_join(d->thread, NULL);
	close(d->listener);
	close(d->wake[0]);
	close(d->wake[1]);
}
