/* Frames out and in: which body belongs to a request, and which reply. */
#include "common/ask.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/sock.h"

#define READ_BYTES 4096
/* The helper's own answer at its deadline is better than none. */
#define GRACE_MS 1000

static const uint8_t replies[] = {
	[MSG_PING] = MSG_DONE, [MSG_PRODUCE] = MSG_PRODUCED, [MSG_CONSUME] = MSG_MESSAGE,
	[MSG_ACK] = MSG_DONE,
	[MSG_GET_OFFSETS] = MSG_OFFSETS, [MSG_SET_OFFSETS] = MSG_DONE,
	[MSG_GET_CONSUMERS] = MSG_CONSUMERS, [MSG_GET_STATUS] = MSG_STATUS,
	[MSG_FIND_MESSAGE] = MSG_RECEIPT, [MSG_LIST_ROWS] = MSG_ROWS,
	[MSG_RETRY_DEAD] = MSG_ACTED, [MSG_DROP_DEAD] = MSG_ACTED,
};

static enum kp_err
put_body(struct kp_buf *out, uint8_t type, const void *m)
{
	switch (type) {
	case MSG_PRODUCE:
		return msg_produce_encode(out, m);
	case MSG_CONSUME:
		return msg_consume_encode(out, m);
	case MSG_ACK:
		return msg_ack_encode(out, m);
	case MSG_CONFIRM_OFFER:
		return msg_confirm_encode(out, m);
	case MSG_SET_OFFSETS:
		return msg_offsets_encode(out, m);
	case MSG_GET_OFFSETS:
	case MSG_GET_CONSUMERS:
		return msg_topic_group_encode(out, m);
	case MSG_FIND_MESSAGE:
		return msg_find_encode(out, m);
	case MSG_LIST_ROWS:
		return msg_list_encode(out, m);
	case MSG_RETRY_DEAD:
	case MSG_DROP_DEAD:
		return msg_act_encode(out, m);
	default:
		return KP_OK;
	}
}

enum kp_err
ask_put(struct kp_buf *out, uint8_t type, uint32_t id, int64_t deadline_ms, const void *m)
{
	bool has_reply = type != MSG_CONFIRM_OFFER;
	size_t begin;

	kp_buf_reset(out);
	if (has_reply && deadline_ms <= 0)
		return KP_ETIMEDOUT;
	if (deadline_ms > WIRE_DEADLINE_MAX_MS)
		deadline_ms = WIRE_DEADLINE_MAX_MS;
	begin = wire_begin(out, type, id, has_reply ? (uint32_t)deadline_ms : 0);
	put_body(out, type, m);
	return wire_end(out, begin);
}

enum kp_err
ask_read(int fd, struct kp_buf *in, int64_t until_ms, int other, struct wire_frame *f,
    bool *hungup)
{
	size_t used, want, n;
	enum kp_err err;

	kp_buf_reset(in);
	for (;;) {
		err = wire_decode(kp_buf_slice(in), WIRE_BODY_MAX, f, &used, &want);
		if (err)
			return err == KP_EVERSION ? err : KP_EBADMSG;
		if (used)	/* one reply to one request, and not a byte more */
			return used == in->len ? KP_OK : KP_EBADMSG;
		want -= in->len;
		/* The largest reply has no room for more behind it. */
		if (!kp_buf_reserve(in, in->len < WIRE_HEADER ? READ_BYTES : want))
			return in->no_room ? KP_EBUSY : KP_ENOMEM;
		err = sock_read(fd, in->p + in->len, in->cap - in->len, until_ms, other, &n,
		    hungup);
		if (*hungup)
			return KP_EGONE;
		if (err)
			return err;
		in->len += n;
	}
}

enum kp_err
ask_take(const struct wire_frame *f, uint8_t type, uint32_t id, struct kp_slice *body,
    struct msg_error *e)
{
	if (f->type == MSG_ERROR && (f->id == id || f->id == 0))
		return msg_error_decode(f->body, e);
	if (f->id != id || type >= sizeof(replies) || f->type != replies[type])
		return KP_EBADMSG;
	*body = f->body;
	return KP_OK;
}

enum kp_err
ask_open(struct ask *a, const char *socket)
{
	*a = (struct ask){ .fd = -1 };
	kp_buf_init(&a->out, WIRE_HEADER + WIRE_BODY_MAX);
	kp_buf_init(&a->in, WIRE_HEADER + WIRE_BODY_MAX);
	return sock_connect(socket, 0, &a->fd);
}

void
ask_close(struct ask *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	kp_buf_free(&a->out);
	kp_buf_free(&a->in);
}

enum kp_err
ask(struct ask *a, uint8_t type, const void *m, int timeout_ms, struct kp_slice *body)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	int deadline_ms = timeout_ms > GRACE_MS ? timeout_ms - GRACE_MS : timeout_ms;
	enum kp_err err, rerr;
	struct wire_frame f;
	bool hungup = false;

	a->error = (struct msg_error){ .err = KP_OK };
	*body = (struct kp_slice){ 0 };
	err = ask_put(&a->out, type, ++a->id, deadline_ms, m);
	if (err)
		return err;
	err = sock_write(a->fd, a->out.p, a->out.len, until_ms, NULL);
	/* A helper that closes in mid-frame has said why, if it could. */
	rerr = ask_read(a->fd, &a->in, err ? 0 : until_ms, -1, &f, &hungup);
	if (rerr == KP_OK)
		rerr = ask_take(&f, type, a->id, body, &a->error);
	return err && rerr != KP_OK && rerr != KP_EVERSION ? err : rerr;
}
