/*
 * A helper for tests of the responder: a thread behind a Unix socket that does
 * with the nth request what the nth entry of its script says, and remembers what
 * it saw. Everything but the script and the reply is read after fake_stop().
 */
#ifndef KP_FAKE_HELPER_H
#define KP_FAKE_HELPER_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/msg.h"
#include "common/sock.h"

enum fake_act {
	FAKE_ANSWER,			/* the reply, on the request's id */
	FAKE_ANSWER_CLOSE,		/* and close after it: see fake_await() */
	FAKE_ANSWER_TWICE,		/* see fake_await() */
	FAKE_DIE,			/* close after the request was read whole */
	FAKE_DIE_HALF,			/* close in the middle of the reply */
	FAKE_DIE_LATE,			/* close after the request's deadline */
	FAKE_SILENT,			/* wait for the asker to give up: see fake_await() */
	FAKE_WRONG_ID,
	FAKE_WRONG_TYPE,
	FAKE_WRONG_VERSION,
	FAKE_REFUSE_BODY,		/* KP_ETOOBIG before the body is read, and close */
};

#define FAKE_SEEN_MAX 16

struct fake {
	const enum fake_act *script;	/* past its end: FAKE_ANSWER */
	size_t n_script;
	uint8_t reply_type;
	struct kp_slice reply;
	const struct fake_reply {	/* instead of these two, for the first n_replies */
		uint8_t type;
		struct kp_slice body;
	} *replies;
	size_t n_replies;

	char dir[64];
	char path[96];
	int listen_fd;
	int stop[2];
	pthread_t thread;

	size_t conns;
	size_t n_seen;
	struct fake_seen {
		uint8_t type;
		uint32_t deadline_ms;
		struct kp_buf body;
	} seen[FAKE_SEEN_MAX];
	bool gave_up;			/* the asker closed while we were silent */
};

static inline void
fake_send(int fd, uint8_t type, uint32_t id, struct kp_slice body, size_t cut, int version)
{
	struct kp_buf b;
	size_t begin;

	kp_buf_init(&b, WIRE_HEADER + WIRE_BODY_MAX);
	begin = wire_begin(&b, type, id, 0);
	kp_buf_put(&b, body.p, body.n);
	if (wire_end(&b, begin) != KP_OK)
		abort();
	b.p[4] = (uint8_t)version;
	sock_write(fd, b.p, b.len - cut, clock_mono_ms() + 5000, NULL);
	kp_buf_free(&b);
}

static inline void
fake_refuse(int fd, uint32_t id)
{
	const struct msg_error e = { KP_ETOOBIG, 0, LIT("refused at the door") };
	struct kp_buf b;

	kp_buf_init(&b, 4096);
	msg_error_encode(&b, &e);
	fake_send(fd, MSG_ERROR, id, kp_buf_slice(&b), 0, WIRE_VERSION);
	kp_buf_free(&b);
}

/* For fake_await(). */
static inline void
fake_tell(struct fake *f)
{
	send(f->stop[0], "", 1, 0);
}

/* False when the connection is to be closed. */
static inline bool
fake_act(struct fake *f, int fd, enum fake_act act, uint32_t id)
{
	char byte;

	if (f->n_seen <= f->n_replies) {
		f->reply_type = f->replies[f->n_seen - 1].type;
		f->reply = f->replies[f->n_seen - 1].body;
	}
	switch (act) {
	case FAKE_ANSWER_TWICE:
		fake_send(fd, f->reply_type, id, f->reply, 0, WIRE_VERSION);
		fake_send(fd, f->reply_type, id, f->reply, 0, WIRE_VERSION);
		fake_tell(f);
		return true;
	case FAKE_ANSWER:
	case FAKE_ANSWER_CLOSE:
		fake_send(fd, f->reply_type, id, f->reply, 0, WIRE_VERSION);
		return act != FAKE_ANSWER_CLOSE;
	case FAKE_DIE_HALF:
		fake_send(fd, f->reply_type, id, f->reply, 3, WIRE_VERSION);
		return false;
	case FAKE_WRONG_ID:
		fake_send(fd, f->reply_type, id + 1, f->reply, 0, WIRE_VERSION);
		return true;
	case FAKE_WRONG_TYPE:
		fake_send(fd, MSG_CONSUMERS + 100, id, f->reply, 0, WIRE_VERSION);
		return true;
	case FAKE_WRONG_VERSION:
		fake_send(fd, f->reply_type, id, f->reply, 0, WIRE_VERSION + 1);
		return true;
	case FAKE_SILENT:
		fake_tell(f);
		f->gave_up = recv(fd, &byte, 1, 0) == 0;
		return false;
	case FAKE_REFUSE_BODY:
		fake_refuse(fd, id);
		return false;
	case FAKE_DIE_LATE:
		poll(&(struct pollfd){ f->stop[0], POLLIN, 0 }, 1,
		    (int)f->seen[f->n_seen - 1].deadline_ms + 100);
		return false;
	case FAKE_DIE:
		break;
	}
	return false;
}

static inline enum fake_act
fake_next(const struct fake *f)
{
	return f->n_seen < f->n_script ? f->script[f->n_seen] : FAKE_ANSWER;
}

/* One frame, or only its head when the script refuses the body. */
static inline bool
fake_read(struct fake *f, int fd, struct kp_buf *in, struct wire_frame *frame)
{
	size_t used, want, n;
	bool hungup;

	for (;;) {
		if (wire_decode(kp_buf_slice(in), WIRE_BODY_MAX, frame, &used, &want) != KP_OK)
			return false;
		if (used || (in->len >= WIRE_HEADER && fake_next(f) == FAKE_REFUSE_BODY))
			return true;
		if (!kp_buf_reserve(in, want) ||
		    sock_read(fd, in->p + in->len, want - in->len, clock_mono_ms() + 10000,
		    f->stop[0], &n, &hungup) != KP_OK || hungup)
			return false;
		in->len += n;
	}
}

static inline void
fake_serve(struct fake *f, int fd)
{
	struct wire_frame frame;
	enum fake_act act = FAKE_ANSWER;
	struct kp_buf in;
	bool goes_on = true;

	kp_buf_init(&in, WIRE_HEADER + WIRE_BODY_MAX);
	while (goes_on && fake_read(f, fd, &in, &frame)) {
		struct fake_seen *s = &f->seen[f->n_seen];

		act = fake_next(f);
		s->type = frame.type;
		s->deadline_ms = frame.deadline_ms;
		kp_buf_init(&s->body, WIRE_BODY_MAX);
		kp_buf_put(&s->body, frame.body.p, frame.body.n);
		if (++f->n_seen == FAKE_SEEN_MAX)
			abort();
		if (frame.type != MSG_CONFIRM_OFFER)
			goes_on = fake_act(f, fd, act, frame.id);
		kp_buf_reset(&in);
	}
	kp_buf_free(&in);
	close(fd);
	if (act == FAKE_ANSWER_CLOSE)
		fake_tell(f);
}

static inline void *
fake_run(void *arg)
{
	struct fake *f = arg;

	for (;;) {
		struct pollfd p[2] = { { f->listen_fd, POLLIN, 0 }, { f->stop[0], POLLIN, 0 } };
		int fd;

		if (poll(p, 2, 20000) <= 0 || p[1].revents)
			return NULL;
		fd = accept(f->listen_fd, NULL, NULL);
		if (fd < 0)
			continue;
		f->conns++;
		fake_serve(f, fd);
	}
}

static inline void
fake_start(struct fake *f)
{
	snprintf(f->dir, sizeof(f->dir), "/tmp/kp-fake-XXXXXX");
	if (mkdtemp(f->dir) == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, f->stop) < 0)
		abort();
	snprintf(f->path, sizeof(f->path), "%s/helper.sock", f->dir);
	if (sock_listen(f->path, (gid_t)-1, &f->listen_fd) != KP_OK ||
	    pthread_create(&f->thread, NULL, fake_run, f) != 0)
		abort();
}

/* Until FAKE_SILENT has the request, FAKE_ANSWER_TWICE has sent both, or FAKE_ANSWER_CLOSE
 * has closed. */
static inline void
fake_await(struct fake *f)
{
	char byte;

	if (poll(&(struct pollfd){ f->stop[1], POLLIN, 0 }, 1, 10000) != 1 ||
	    recv(f->stop[1], &byte, 1, 0) != 1)
		abort();
}

/* Close the asker's connection before, unless it is to be cut. */
static inline void
fake_stop(struct fake *f)
{
	close(f->stop[1]);
	pthread_join(f->thread, NULL);
	close(f->stop[0]);
	close(f->listen_fd);
	unlink(f->path);
	rmdir(f->dir);
}

static inline void
fake_free(struct fake *f)
{
	for (size_t i = 0; i < f->n_seen; i++)
		kp_buf_free(&f->seen[i].body);
}

#endif
