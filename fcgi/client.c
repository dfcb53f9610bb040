/*
 * One call is at most TRIES_MAX attempts, all within one deadline:
 *
 *	connect (if need be) -> write -> read -> decode
 *	        ^                 |       |
 *	        +-- not whole ----+       | the connection died, and
 *	        +-------------------------+ the table allows it
 */
#include "fcgi/client.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/ask.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/sock.h"
#include "fcgi/room.h"

#define CONNECT_MS 1000
#define PING_MS 2000
#define PRODUCE_MS 5000
#define CONSUME_MS 3000
#define QUERY_MS 6000
/* The helper's own answer at its deadline is better than ours. */
#define GRACE_MS 1000
#define CONFIRM_MS 1000			/* to write it */

#define TRIES_MAX 3
#define REST_BYTES (32u * 1024)
#define WARN_EVERY_MS 10000

struct client {
	const char *path;
	int fd;				/* -1: not connected */
	uint32_t id;			/* of the last request */
	struct kp_buf out;
	struct kp_buf in;
	struct msg_error error;
};

/* What is asked, and how far it came. */
struct call {
	uint8_t type;
	const void *m;
	int64_t until_ms;
	int peer;
	bool hungup;
	bool whole;			/* the helper may have read all of it */
	struct kp_slice reply;		/* the body */
};

#define UNKNOWN "The helper did not answer: "

static const struct {
	bool again;			/* twice is as good as once */
	const char *lost;		/* when it may or may not have been done */
} asks[] = {
	[MSG_PING] = { true, UNKNOWN "try again" },
	[MSG_PRODUCE] = { false,
	    UNKNOWN "the message may or may not have been kept; sent again, it may come twice" },
	[MSG_CONSUME] = { true, UNKNOWN "try again" },
	[MSG_ACK] = { true, UNKNOWN "acknowledge again, twice does no harm" },
	[MSG_GET_OFFSETS] = { true, UNKNOWN "try again" },
	[MSG_SET_OFFSETS] = { false,
	    UNKNOWN "the offsets may or may not have been set; get them to see" },
	[MSG_GET_CONSUMERS] = { true, UNKNOWN "try again" },
	[MSG_GET_STATUS] = { true, UNKNOWN "try again" },
	[MSG_FIND_MESSAGE] = { true, UNKNOWN "try again" },
};

struct client *
client_new(const char *path)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->path = path;
	c->fd = -1;
	kp_buf_init_quota(&c->out, WIRE_HEADER + WIRE_BODY_MAX, room());
	kp_buf_init_quota(&c->in, WIRE_HEADER + WIRE_BODY_MAX, room());
	return c;
}

static void
drop(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	drop(c);
	kp_buf_free(&c->out);
	kp_buf_free(&c->in);
	free(c);
}

const struct msg_error *
client_error(const struct client *c)
{
	return &c->error;
}

void
client_rest(struct client *c)
{
	if (c->out.cap > REST_BYTES)
		kp_buf_free(&c->out);
	if (c->in.cap > REST_BYTES)
		kp_buf_free(&c->in);
}

/* One line in ten seconds from the whole process: every thread sees the same. */
static void
warn_unreachable(const char *path, enum kp_err err)
{
	static _Atomic int64_t next_ms;
	int64_t now_ms = clock_mono_ms(), due_ms = atomic_load(&next_ms);

	if (now_ms >= due_ms &&
	    atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + WARN_EVERY_MS))
		log_warn("client helper=unreachable socket=%s: %s", path, kp_err_text(err));
}

static enum kp_err
put_frame(struct client *c, uint8_t type, const void *m, int64_t deadline_ms)
{
	return ask_put(&c->out, type, ++c->id, deadline_ms, m);
}

/* Between requests nothing may come: a byte or an end of file both mean that
 * the connection is of no more use. */
static bool
is_stale(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, 0) != 0;
}

static enum kp_err
make_ready(struct client *c, int64_t until_ms)
{
	int64_t connect_until_ms = clock_mono_ms() + CONNECT_MS;
	enum kp_err err;

	if (c->fd >= 0 && is_stale(c->fd))
		drop(c);
	if (c->fd >= 0)
		return KP_OK;
	if (connect_until_ms > until_ms)
		connect_until_ms = until_ms;
	err = sock_connect(c->path, connect_until_ms, &c->fd);
	if (err)
		warn_unreachable(c->path, err);
	return err ? KP_EUNAVAIL : KP_OK;
}

/* Takes the frame as the answer. */
static enum kp_err
take_frame(struct client *c, struct call *k, const struct wire_frame *f)
{
	enum kp_err err = ask_take(f, k->type, c->id, &k->reply, &c->error);

	if (err == KP_OK && c->error.err != KP_OK && f->id == 0) {
		drop(c);
		if (c->error.err == KP_EDENIED)		/* us, not the user */
			c->error.err = KP_EUNAVAIL;
	}
	return err;
}

/* KP_OK with c->error.err set is an error that the helper told. */
static enum kp_err
attempt(struct client *c, struct call *k)
{
	struct wire_frame f;
	enum kp_err err, rerr;
	size_t sent;

	k->whole = false;
	/* A helper that is there too late for an answer is of no use. */
	err = make_ready(c, k->until_ms - GRACE_MS);
	if (err == KP_OK)
		err = put_frame(c, k->type, k->m, k->until_ms - GRACE_MS - clock_mono_ms());
	if (err)
		return err;
	err = sock_write(c->fd, c->out.p, c->out.len, k->until_ms, &sent);
	k->whole = sent == c->out.len;
	/* A helper that closes in mid-frame has said why, if it could. */
	rerr = ask_read(c->fd, &c->in, err ? 0 : k->until_ms, k->peer, &f, &k->hungup);
	if (rerr == KP_OK)
		rerr = take_frame(c, k, &f);
	if (err && rerr == KP_OK)
		drop(c);
	return err && rerr != KP_OK && rerr != KP_EVERSION ? err : rerr;
}

/* What to tell when there was no answer. */
static void
explain(struct client *c, const struct call *k, enum kp_err err)
{
	const char *text;

	if (err == KP_EUNAVAIL)
		text = "The helper cannot be reached: see that kafka-pixy-helper runs, and that "
		    "its --socket is the one that the responder was given";
	else if (err == KP_EVERSION)
		text = "The helper is of another version than the responder: restart both";
	else if (err == KP_ENOMEM || err == KP_ETOOBIG)
		text = kp_err_text(err);
	else if (err == KP_EBUSY)
		text = ROOM_NONE;
	else if (k->whole && !asks[k->type].again)
		text = asks[k->type].lost;
	else if (err == KP_ETIMEDOUT)
		text = "The helper did not answer in time: see its log";
	else if (err == KP_EBADMSG)
		text = "The helper's answer makes no sense: restart helper and responders";
	else
		text = asks[k->type].lost;
	/* To the user all failures of the helper are the same: come again. */
	if (err != KP_ENOMEM && err != KP_ETOOBIG && err != KP_EVERSION)
		err = KP_EUNAVAIL;
	c->error = (struct msg_error){ err, 0, kp_slice_str(text) };
}

static enum kp_err
call(struct client *c, struct call *k, uint32_t frame_ms)
{
	enum kp_err err = KP_EGONE;

	k->until_ms = clock_mono_ms() + frame_ms + GRACE_MS;
	for (int i = 0; i < TRIES_MAX && err == KP_EGONE; i++) {
		c->error.err = KP_OK;
		err = attempt(c, k);
		if (err)
			drop(c);
		if (k->hungup || (k->whole && !asks[k->type].again))
			break;
	}
	if (k->hungup)
		c->error = (struct msg_error){ KP_EGONE, 0, kp_slice_str(NULL) };
	else if (err)
		explain(c, k, err);
	if (err && !k->hungup)
		log_debug("client ask=%s id=%u whole=%d: %s", msg_type_name(k->type),
		    (unsigned)c->id, k->whole, kp_err_text(err));
	return c->error.err;
}

/* After a decoder: an answer that cannot be read ends the connection. */
static enum kp_err
decoded(struct client *c, const struct call *k, enum kp_err err)
{
	if (err == KP_OK)
		return KP_OK;
	drop(c);
	explain(c, k, err);
	return c->error.err;
}

enum kp_err
client_ping(struct client *c)
{
	struct call k = { .type = MSG_PING, .peer = -1 };

	return call(c, &k, PING_MS);
}

enum kp_err
client_produce(struct client *c, const struct msg_produce *m, uint32_t timeout_ms,
    struct msg_produced *r)
{
	struct call k = { .type = MSG_PRODUCE, .m = m, .peer = -1 };
	enum kp_err err = call(c, &k, m->sync ? timeout_ms : PRODUCE_MS);

	return err ? err : decoded(c, &k, msg_produced_decode(k.reply, r));
}

enum kp_err
client_consume(struct client *c, const struct msg_consume *m, int peer, struct msg_message *r,
    bool *hungup)
{
	struct call k = { .type = MSG_CONSUME, .m = m, .peer = peer };
	enum kp_err err = call(c, &k, CONSUME_MS);

	*hungup = k.hungup;
	return err ? err : decoded(c, &k, msg_message_decode(k.reply, r));
}

enum kp_err
client_ack(struct client *c, const struct msg_ack *m)
{
	struct call k = { .type = MSG_ACK, .m = m, .peer = -1 };

	return call(c, &k, CONSUME_MS);
}

/* Nothing is lost with it: the helper puts back what is not confirmed when the
 * connection ends. */
void
client_confirm(struct client *c, const struct msg_confirm *m)
{
	if (c->fd < 0)
		return;
	if (put_frame(c, MSG_CONFIRM_OFFER, m, 0) != KP_OK ||
	    sock_write(c->fd, c->out.p, c->out.len, clock_mono_ms() + CONFIRM_MS, NULL) != KP_OK)
		drop(c);
}

enum kp_err
client_get_offsets(struct client *c, const struct msg_topic_group *m, struct msg_offsets *r)
{
	struct call k = { .type = MSG_GET_OFFSETS, .m = m, .peer = -1 };
	enum kp_err err = call(c, &k, QUERY_MS);

	*r = (struct msg_offsets){ 0 };
	return err ? err : decoded(c, &k, msg_offsets_decode(k.reply, r));
}

enum kp_err
client_set_offsets(struct client *c, const struct msg_offsets *m)
{
	struct call k = { .type = MSG_SET_OFFSETS, .m = m, .peer = -1 };

	return call(c, &k, QUERY_MS);
}

enum kp_err
client_get_consumers(struct client *c, const struct msg_topic_group *m, struct msg_consumers *r)
{
	struct call k = { .type = MSG_GET_CONSUMERS, .m = m, .peer = -1 };
	enum kp_err err = call(c, &k, QUERY_MS);

	*r = (struct msg_consumers){ 0 };
	return err ? err : decoded(c, &k, msg_consumers_decode(k.reply, r));
}

enum kp_err
client_get_status(struct client *c, struct msg_status *r)
{
	struct call k = { .type = MSG_GET_STATUS, .peer = -1 };
	enum kp_err err = call(c, &k, PING_MS);

	return err ? err : decoded(c, &k, msg_status_decode(k.reply, r));
}

enum kp_err
client_find_message(struct client *c, const struct msg_find *m, struct msg_receipt *r)
{
	struct call k = { .type = MSG_FIND_MESSAGE, .m = m, .peer = -1 };
	enum kp_err err = call(c, &k, PRODUCE_MS);

	return err ? err : decoded(c, &k, msg_receipt_decode(k.reply, r));
}
