/* A connection to the helper, as a responder would have it, only more trusting
 * of nothing: each frame is checked as it comes. */
#include "tests/it/peer.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

#define DEADLINE_MS 8000		/* of requests where a test does not care */

void
peer_open(struct peer *p, const struct helper *h)
{
	*p = (struct peer){ .fd = -1 };
	kp_buf_init(&p->in, WIRE_HEADER + WIRE_BODY_MAX);
	kp_buf_init(&p->out, WIRE_HEADER + WIRE_BODY_MAX);
	assert_err(sock_connect(h->socket, clock_mono_ms() + PEER_WAIT_MS, &p->fd), KP_OK);
}

void
peer_close(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	kp_buf_free(&p->in);
	kp_buf_free(&p->out);
}

bool
peer_send_raw(struct peer *p, const void *bytes, size_t n)
{
	enum kp_err err = sock_write(p->fd, bytes, n, clock_mono_ms() + PEER_WAIT_MS, NULL);

	if (err != KP_EGONE)
		assert_err(err, KP_OK);
	return err == KP_OK;
}

/* Ends the frame begun in p->out and sends it. */
static uint32_t
send_frame(struct peer *p, size_t begin)
{
	assert_err(wire_end(&p->out, begin), KP_OK);
	assert_true(peer_send_raw(p, p->out.p, p->out.len));
	return p->id;
}

static size_t
begin_frame(struct peer *p, uint8_t type, uint32_t deadline_ms)
{
	kp_buf_reset(&p->out);
	return wire_begin(&p->out, type, ++p->id, deadline_ms);
}

uint32_t
peer_ask(struct peer *p, uint8_t type, uint32_t deadline_ms, struct kp_slice body)
{
	size_t begin = begin_frame(p, type, deadline_ms);

	kp_buf_put(&p->out, body.p, body.n);
	return send_frame(p, begin);
}

bool
peer_try_ask(struct peer *p, uint8_t type, uint32_t deadline_ms)
{
	assert_err(wire_end(&p->out, begin_frame(p, type, deadline_ms)), KP_OK);
	return peer_send_raw(p, p->out.p, p->out.len);
}

uint32_t
peer_ask_produce(struct peer *p, const struct msg_produce *m, uint32_t deadline_ms)
{
	size_t begin = begin_frame(p, MSG_PRODUCE, deadline_ms);

	assert_err(msg_produce_encode(&p->out, m), KP_OK);
	return send_frame(p, begin);
}

uint32_t
peer_ask_consume(struct peer *p, const char *topic, const char *group, uint32_t deadline_ms)
{
	const struct msg_consume m = { .topic = kp_slice_str(topic),
	    .group = kp_slice_str(group) };

	return peer_ask_message(p, &m, deadline_ms);
}

uint32_t
peer_ask_message(struct peer *p, const struct msg_consume *m, uint32_t deadline_ms)
{
	size_t begin = begin_frame(p, MSG_CONSUME, deadline_ms);

	assert_err(msg_consume_encode(&p->out, m), KP_OK);
	return send_frame(p, begin);
}

void
peer_confirm(struct peer *p, uint64_t offer, bool delivered)
{
	const struct msg_confirm m = { offer, delivered };
	size_t begin = begin_frame(p, MSG_CONFIRM_OFFER, 0);

	assert_err(msg_confirm_encode(&p->out, &m), KP_OK);
	send_frame(p, begin);
}

bool
peer_recv(struct peer *p, struct wire_frame *f, int64_t wait_ms)
{
	int64_t until = clock_mono_ms() + wait_ms;
	size_t want, n;
	bool hungup;

	kp_buf_consume(&p->in, p->used);
	for (;;) {
		enum kp_err err = wire_decode(kp_buf_slice(&p->in), WIRE_BODY_MAX, f, &p->used,
		    &want);

		assert_err(err, KP_OK);
		if (p->used) {
			assert_true(f->type >= MSG_DONE);
			assert_int_equal(f->deadline_ms, 0);
			return true;
		}
		assert_true(kp_buf_reserve(&p->in, want));
		err = sock_read(p->fd, p->in.p + p->in.len, p->in.cap - p->in.len, until, -1, &n,
		    &hungup);
		if (err)
			return false;
		p->in.len += n;
	}
}

enum kp_err
peer_reply(struct peer *p, uint32_t id, uint8_t type, struct wire_frame *f)
{
	struct msg_error e;

	if (!peer_recv(p, f, PEER_WAIT_MS))
		fail_msg("no reply to request %u, which awaits %s", id, msg_type_name(type));
	assert_int_equal(f->id, id);
	if (f->type != MSG_ERROR) {
		assert_string_equal(msg_type_name(f->type), msg_type_name(type));
		return KP_OK;
	}
	assert_err(msg_error_decode(f->body, &e), KP_OK);
	snprintf(p->text, sizeof(p->text), "%.*s", (int)e.text.n, (const char *)e.text.p);
	p->retry_after_s = e.retry_after_s;
	return e.err;
}

bool
peer_cut(struct peer *p, int64_t wait_ms)
{
	int64_t until = clock_mono_ms() + wait_ms;
	char bytes[4096];
	enum kp_err err;
	bool hungup;
	size_t n;

	do
		err = sock_read(p->fd, bytes, sizeof(bytes), until, -1, &n, &hungup);
	while (err == KP_OK);
	return err == KP_EGONE;
}

enum kp_err
peer_ping(struct peer *p)
{
	struct wire_frame f;

	return peer_reply(p, peer_ask(p, MSG_PING, DEADLINE_MS, LIT("")), MSG_DONE, &f);
}

enum kp_err
peer_produce(struct peer *p, const char *topic, const char *key, const char *value, bool sync,
    struct msg_produced *r)
{
	const struct msg_produce m = { kp_slice_str(topic), kp_slice_str(key),
		kp_slice_str(value), sync };
	struct wire_frame f;
	enum kp_err err;

	err = peer_reply(p, peer_ask_produce(p, &m, DEADLINE_MS), MSG_PRODUCED, &f);
	if (err == KP_OK)
		assert_err(msg_produced_decode(f.body, r), KP_OK);
	return err;
}

enum kp_err
peer_consume(struct peer *p, const char *topic, const char *group, uint32_t deadline_ms,
    struct msg_message *r)
{
	struct wire_frame f;
	enum kp_err err;

	err = peer_reply(p, peer_ask_consume(p, topic, group, deadline_ms), MSG_MESSAGE, &f);
	if (err == KP_OK)
		assert_err(msg_message_decode(f.body, r), KP_OK);
	return err;
}

enum kp_err
peer_ack(struct peer *p, const char *topic, const char *group, int32_t partition, int64_t offset)
{
	const struct msg_ack m = { kp_slice_str(topic), kp_slice_str(group), partition, offset };
	size_t begin = begin_frame(p, MSG_ACK, 3000);
	struct wire_frame f;

	assert_err(msg_ack_encode(&p->out, &m), KP_OK);
	return peer_reply(p, send_frame(p, begin), MSG_DONE, &f);
}

static uint32_t
ask_topic_group(struct peer *p, uint8_t type, const char *topic, const char *group)
{
	const struct msg_topic_group m = { kp_slice_str(topic), kp_slice_str(group) };
	size_t begin = begin_frame(p, type, DEADLINE_MS);

	assert_err(msg_topic_group_encode(&p->out, &m), KP_OK);
	return send_frame(p, begin);
}

enum kp_err
peer_get_offsets(struct peer *p, const char *topic, const char *group, struct msg_offsets *r)
{
	struct wire_frame f;
	enum kp_err err;

	*r = (struct msg_offsets){ .n = 0 };
	err = peer_reply(p, ask_topic_group(p, MSG_GET_OFFSETS, topic, group), MSG_OFFSETS, &f);
	if (err == KP_OK)
		assert_err(msg_offsets_decode(f.body, r), KP_OK);
	return err;
}

enum kp_err
peer_set_offsets(struct peer *p, const char *topic, const char *group, struct msg_offset *v,
    size_t n)
{
	const struct msg_offsets m = { kp_slice_str(topic), kp_slice_str(group), v, n };
	size_t begin = begin_frame(p, MSG_SET_OFFSETS, DEADLINE_MS);
	struct wire_frame f;

	assert_err(msg_offsets_encode(&p->out, &m), KP_OK);
	return peer_reply(p, send_frame(p, begin), MSG_DONE, &f);
}

enum kp_err
peer_get_consumers(struct peer *p, const char *topic, const char *group, struct msg_consumers *r)
{
	struct wire_frame f;
	enum kp_err err;

	*r = (struct msg_consumers){ .n = 0 };
	err = peer_reply(p, ask_topic_group(p, MSG_GET_CONSUMERS, topic, group), MSG_CONSUMERS,
	    &f);
	if (err == KP_OK)
		assert_err(msg_consumers_decode(f.body, r), KP_OK);
	return err;
}

enum kp_err
peer_status(struct peer *p, struct msg_status *r)
{
	struct wire_frame f;
	enum kp_err err;

	err = peer_reply(p, peer_ask(p, MSG_GET_STATUS, DEADLINE_MS, LIT("")), MSG_STATUS, &f);
	if (err == KP_OK)
		assert_err(msg_status_decode(f.body, r), KP_OK);
	return err;
}

enum kp_err
peer_find(struct peer *p, int64_t id, struct msg_receipt *r)
{
	size_t begin = begin_frame(p, MSG_FIND_MESSAGE, DEADLINE_MS);
	struct wire_frame f;
	enum kp_err err;

	assert_err(msg_find_encode(&p->out, &(struct msg_find){ id }), KP_OK);
	err = peer_reply(p, send_frame(p, begin), MSG_RECEIPT, &f);
	if (err == KP_OK)
		assert_err(msg_receipt_decode(f.body, r), KP_OK);
	return err;
}

enum kp_err
peer_list(struct peer *p, const struct msg_list *m, struct msg_rows *r)
{
	size_t begin = begin_frame(p, MSG_LIST_ROWS, DEADLINE_MS);
	struct wire_frame f;
	enum kp_err err;

	*r = (struct msg_rows){ .n = 0 };
	assert_err(msg_list_encode(&p->out, m), KP_OK);
	err = peer_reply(p, send_frame(p, begin), MSG_ROWS, &f);
	if (err == KP_OK)
		assert_err(msg_rows_decode(f.body, r), KP_OK);
	return err;
}

enum kp_err
peer_act(struct peer *p, uint8_t type, const struct msg_act *m, struct msg_acted *r)
{
	size_t begin = begin_frame(p, type, DEADLINE_MS);
	struct wire_frame f;
	enum kp_err err;

	*r = (struct msg_acted){ .n = 0 };
	assert_err(msg_act_encode(&p->out, m), KP_OK);
	err = peer_reply(p, send_frame(p, begin), MSG_ACTED, &f);
	if (err == KP_OK)
		assert_err(msg_acted_decode(f.body, r), KP_OK);
	return err;
}

void
peer_next_produced(struct peer *p)
{
	struct wire_frame f;
	struct msg_error e;

	assert_true(peer_recv(p, &f, PEER_WAIT_MS));
	if (f.type == MSG_ERROR && msg_error_decode(f.body, &e) == KP_OK)
		fail_msg("request %u: %s: %.*s", f.id, kp_err_name(e.err), (int)e.text.n,
		    (const char *)e.text.p);
	assert_string_equal(msg_type_name(f.type), "produced");
}

void
peer_produce_many(struct peer *p, const char *topic, const char *key, const char *prefix,
    unsigned from, unsigned to, unsigned window)
{
	unsigned sent = from, kept = from;

	while (kept < to) {
		char value[64];

		while (sent < to && sent - kept < window) {
			snprintf(value, sizeof(value), "%s%u", prefix, sent++);
			peer_ask_produce(p, &(struct msg_produce){ kp_slice_str(topic),
			    kp_slice_str(key), kp_slice_str(value), false }, DEADLINE_MS);
		}
		peer_next_produced(p);
		kept++;
	}
}

int64_t
peer_committed(struct peer *p, const char *topic, const char *group, int32_t partition)
{
	struct msg_offsets r;
	int64_t offset = -2;

	assert_err(peer_get_offsets(p, topic, group, &r), KP_OK);
	for (size_t i = 0; i < r.n; i++)
		if (r.v[i].partition == partition)
			offset = r.v[i].offset;
	msg_offsets_free(&r);
	return offset;
}

void
peer_wait_committed(struct peer *p, const char *topic, const char *group, int32_t partition,
    int64_t offset)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS, got;

	/* Nothing tells when the helper has committed: it can only be asked. */
	while ((got = peer_committed(p, topic, group, partition)) != offset) {
		if (clock_mono_ms() > until)
			fail_msg("%s %s partition %d: committed %lld, expected %lld", topic, group,
			    partition, (long long)got, (long long)offset);
		poll(NULL, 0, 20);
	}
}
