/*
 * The bodies of all messages. Encoder and decoder of a message stand together
 * under its layout; "bytes" is a u32 length and that many bytes.
 */
#include "common/msg.h"

#include <stdlib.h>

static const char *const type_names[] = {
	[MSG_PING] = "ping", [MSG_PRODUCE] = "produce", [MSG_CONSUME] = "consume",
	[MSG_CONFIRM_OFFER] = "confirm", [MSG_ACK] = "ack", [MSG_GET_OFFSETS] = "get_offsets",
	[MSG_SET_OFFSETS] = "set_offsets", [MSG_GET_CONSUMERS] = "get_consumers",
	[MSG_DONE] = "done", [MSG_PRODUCED] = "produced", [MSG_MESSAGE] = "message",
	[MSG_OFFSETS] = "offsets", [MSG_CONSUMERS] = "consumers", [MSG_ERROR] = "error",
	[MSG_GET_STATUS] = "get_status", [MSG_FIND_MESSAGE] = "find_message",
	[MSG_LIST_ROWS] = "list_rows", [MSG_RETRY_DEAD] = "retry_dead",
	[MSG_DROP_DEAD] = "drop_dead", [MSG_STATUS] = "status", [MSG_RECEIPT] = "receipt",
	[MSG_ROWS] = "rows", [MSG_ACTED] = "acted",
};

const char *
msg_type_name(uint8_t type)
{
	if (type < sizeof(type_names) / sizeof(type_names[0]) && type_names[type])
		return type_names[type];
	return "unknown";
}

static bool
is_any(struct kp_slice s, const char *name)
{
	return kp_slice_eq(s, kp_slice_str(name));
}

bool
msg_topic_ok(struct kp_slice topic)
{
	if (topic.n == 0 || topic.n > TOPIC_MAX || is_any(topic, ".") || is_any(topic, ".."))
		return false;
	for (size_t i = 0; i < topic.n; i++) {
		uint8_t c = topic.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

bool
msg_group_ok(struct kp_slice group)
{
	if (group.n == 0 || group.n > GROUP_MAX || is_any(group, ".") ||
	    is_any(group, "..") || is_any(group, "zookeeper"))
		return false;
	for (size_t i = 0; i < group.n; i++)
		if (group.p[i] <= ' ' || group.p[i] > '~' || group.p[i] == '/')
			return false;
	return true;
}

/* Body: u16 err, u32 retry_after_s, bytes text. */
enum kp_err
msg_error_encode(struct kp_buf *out, const struct msg_error *m)
{
	struct kp_slice text = m->text;

	if (text.n > TEXT_MAX)
		text.n = TEXT_MAX;
	wire_put_u16(out, (uint16_t)m->err);
	wire_put_u32(out, m->retry_after_s);
	wire_put_bytes(out, text);
	return wire_put_err(out);
}

enum kp_err
msg_error_decode(struct kp_slice in, struct msg_error *m)
{
	struct wire_reader r = wire_reader(in);
	uint16_t err = wire_get_u16(&r);

	m->err = (enum kp_err)err;
	m->retry_after_s = wire_get_u32(&r);
	m->text = wire_get_bytes(&r, TEXT_MAX);
	if (err == KP_OK || err >= KP_ERR_COUNT)
		return KP_EBADMSG;
	return wire_get_err(&r);
}

#define PRODUCE_SYNC    0x01
#define PRODUCE_HAS_KEY 0x02

/* Body: u8 flags, bytes topic, [bytes key], bytes value. */
enum kp_err
msg_produce_encode(struct kp_buf *out, const struct msg_produce *m)
{
	wire_put_u8(out, (uint8_t)((m->sync ? PRODUCE_SYNC : 0) |
	    (m->key.p ? PRODUCE_HAS_KEY : 0)));
	wire_put_bytes(out, m->topic);
	if (m->key.p)
		wire_put_bytes(out, m->key);
	wire_put_bytes(out, m->value);
	return wire_put_err(out);
}

enum kp_err
msg_produce_decode(struct kp_slice in, struct msg_produce *m)
{
	struct wire_reader r = wire_reader(in);
	uint8_t flags = wire_get_flags(&r, PRODUCE_SYNC | PRODUCE_HAS_KEY);

	*m = (struct msg_produce){ .sync = flags & PRODUCE_SYNC };
	m->topic = wire_get_bytes(&r, TOPIC_MAX);
	if (flags & PRODUCE_HAS_KEY)
		m->key = wire_get_bytes(&r, KEY_MAX);
	m->value = wire_get_bytes(&r, WIRE_BODY_MAX);
	return wire_get_err(&r);
}

/* Body: i32 partition, i64 offset, i64 id. */
enum kp_err
msg_produced_encode(struct kp_buf *out, const struct msg_produced *m)
{
	wire_put_i32(out, m->partition);
	wire_put_i64(out, m->offset);
	wire_put_i64(out, m->id);
	return wire_put_err(out);
}

enum kp_err
msg_produced_decode(struct kp_slice in, struct msg_produced *m)
{
	struct wire_reader r = wire_reader(in);

	m->partition = wire_get_i32(&r);
	m->offset = wire_get_i64(&r);
	m->id = wire_get_i64(&r);
	return wire_get_err(&r);
}

#define CONSUME_NO_ACK 0x01
#define CONSUME_ACK    0x02

/* Body: u8 flags, bytes topic, bytes group, [i32 partition, i64 offset]. */
enum kp_err
msg_consume_encode(struct kp_buf *out, const struct msg_consume *m)
{
	wire_put_u8(out, (uint8_t)((m->no_ack ? CONSUME_NO_ACK : 0) |
	    (m->ack ? CONSUME_ACK : 0)));
	wire_put_bytes(out, m->topic);
	wire_put_bytes(out, m->group);
	if (m->ack) {
		wire_put_i32(out, m->ack_partition);
		wire_put_i64(out, m->ack_offset);
	}
	return wire_put_err(out);
}

enum kp_err
msg_consume_decode(struct kp_slice in, struct msg_consume *m)
{
	struct wire_reader r = wire_reader(in);
	uint8_t flags = wire_get_flags(&r, CONSUME_NO_ACK | CONSUME_ACK);

	*m = (struct msg_consume){ .no_ack = flags & CONSUME_NO_ACK, .ack = flags & CONSUME_ACK };
	m->topic = wire_get_bytes(&r, TOPIC_MAX);
	m->group = wire_get_bytes(&r, GROUP_MAX);
	if (m->ack) {
		m->ack_partition = wire_get_i32(&r);
		m->ack_offset = wire_get_i64(&r);
	}
	return m->ack_partition < 0 || m->ack_offset < 0 ? KP_EBADMSG : wire_get_err(&r);
}

/* Body: bytes topic, bytes group, i32 partition, i64 offset. */
enum kp_err
msg_ack_encode(struct kp_buf *out, const struct msg_ack *m)
{
	wire_put_bytes(out, m->topic);
	wire_put_bytes(out, m->group);
	wire_put_i32(out, m->partition);
	wire_put_i64(out, m->offset);
	return wire_put_err(out);
}

enum kp_err
msg_ack_decode(struct kp_slice in, struct msg_ack *m)
{
	struct wire_reader r = wire_reader(in);

	m->topic = wire_get_bytes(&r, TOPIC_MAX);
	m->group = wire_get_bytes(&r, GROUP_MAX);
	m->partition = wire_get_i32(&r);
	m->offset = wire_get_i64(&r);
	return m->partition < 0 || m->offset < 0 ? KP_EBADMSG : wire_get_err(&r);
}

#define MESSAGE_HAS_KEY   0x01
#define MESSAGE_HAS_VALUE 0x02

/* Body: u8 flags, u64 offer, i32 partition, i64 offset, [bytes key],
 * [bytes value]. What Kafka holds may be larger than what we would accept. */
enum kp_err
msg_message_encode(struct kp_buf *out, const struct msg_message *m)
{
	wire_put_u8(out, (uint8_t)((m->key.p ? MESSAGE_HAS_KEY : 0) |
	    (m->value.p ? MESSAGE_HAS_VALUE : 0)));
	wire_put_u64(out, m->offer);
	wire_put_i32(out, m->partition);
	wire_put_i64(out, m->offset);
	if (m->key.p)
		wire_put_bytes(out, m->key);
	if (m->value.p)
		wire_put_bytes(out, m->value);
	return wire_put_err(out);
}

enum kp_err
msg_message_decode(struct kp_slice in, struct msg_message *m)
{
	struct wire_reader r = wire_reader(in);
	uint8_t flags = wire_get_flags(&r, MESSAGE_HAS_KEY | MESSAGE_HAS_VALUE);

	*m = (struct msg_message){ .offer = wire_get_u64(&r) };
	m->partition = wire_get_i32(&r);
	m->offset = wire_get_i64(&r);
	if (flags & MESSAGE_HAS_KEY)
		m->key = wire_get_bytes(&r, WIRE_BODY_MAX);
	if (flags & MESSAGE_HAS_VALUE)
		m->value = wire_get_bytes(&r, WIRE_BODY_MAX);
	return wire_get_err(&r);
}

#define CONFIRM_DELIVERED 0x01

/* Body: u8 flags, u64 offer. */
enum kp_err
msg_confirm_encode(struct kp_buf *out, const struct msg_confirm *m)
{
	wire_put_u8(out, m->delivered ? CONFIRM_DELIVERED : 0);
	wire_put_u64(out, m->offer);
	return wire_put_err(out);
}

enum kp_err
msg_confirm_decode(struct kp_slice in, struct msg_confirm *m)
{
	struct wire_reader r = wire_reader(in);

	m->delivered = wire_get_flags(&r, CONFIRM_DELIVERED) & CONFIRM_DELIVERED;
	m->offer = wire_get_u64(&r);
	return wire_get_err(&r);
}

/* Body: bytes topic, bytes group. */
enum kp_err
msg_topic_group_encode(struct kp_buf *out, const struct msg_topic_group *m)
{
	wire_put_bytes(out, m->topic);
	wire_put_bytes(out, m->group);
	return wire_put_err(out);
}

enum kp_err
msg_topic_group_decode(struct kp_slice in, struct msg_topic_group *m)
{
	struct wire_reader r = wire_reader(in);

	m->topic = wire_get_bytes(&r, TOPIC_MAX);
	m->group = wire_get_bytes(&r, GROUP_MAX);
	return wire_get_err(&r);
}

#define OFFSET_WIRE_MIN (4 + 1 + 8 + 8 + 8 + 4)
#define OFFSET_BY_TIME 0x01

/* Body: bytes topic, bytes group, u32 n, n times (i32 partition, u8 flags, i64 begin,
 * i64 end, i64 offset, bytes metadata). */
enum kp_err
msg_offsets_encode(struct kp_buf *out, const struct msg_offsets *m)
{
	wire_put_bytes(out, m->topic);
	wire_put_bytes(out, m->group);
	wire_put_u32(out, (uint32_t)m->n);
	for (size_t i = 0; i < m->n; i++) {
		wire_put_i32(out, m->v[i].partition);
		wire_put_u8(out, m->v[i].by_time ? OFFSET_BY_TIME : 0);
		wire_put_i64(out, m->v[i].begin);
		wire_put_i64(out, m->v[i].end);
		wire_put_i64(out, m->v[i].offset);
		wire_put_bytes(out, m->v[i].metadata);
	}
	return wire_put_err(out);
}

enum kp_err
msg_offsets_decode(struct kp_slice in, struct msg_offsets *m)
{
	struct wire_reader r = wire_reader(in);

	*m = (struct msg_offsets){ .topic = wire_get_bytes(&r, TOPIC_MAX) };
	m->group = wire_get_bytes(&r, GROUP_MAX);
	m->v = wire_get_array(&r, &m->n, PARTITIONS_MAX, OFFSET_WIRE_MIN, sizeof(*m->v));
	for (size_t i = 0; i < m->n; i++) {
		m->v[i].partition = wire_get_i32(&r);
		m->v[i].by_time = wire_get_flags(&r, OFFSET_BY_TIME) & OFFSET_BY_TIME;
		m->v[i].begin = wire_get_i64(&r);
		m->v[i].end = wire_get_i64(&r);
		m->v[i].offset = wire_get_i64(&r);
		m->v[i].metadata = wire_get_bytes(&r, METADATA_MAX);
	}
	return wire_get_err(&r);
}

void
msg_offsets_free(struct msg_offsets *m)
{
	free(m->v);
	*m = (struct msg_offsets){ 0 };
}

#define CONSUMER_WIRE_MIN (4 + 4 + 4)

/* Body: u32 n, n times (bytes group, bytes member, u32 k, k times i32). */
enum kp_err
msg_consumers_encode(struct kp_buf *out, const struct msg_consumers *m)
{
	wire_put_u32(out, (uint32_t)m->n);
	for (size_t i = 0; i < m->n; i++) {
		wire_put_bytes(out, m->v[i].group);
		wire_put_bytes(out, m->v[i].member);
		wire_put_u32(out, (uint32_t)m->v[i].n);
		for (size_t k = 0; k < m->v[i].n; k++)
			wire_put_i32(out, m->v[i].partitions[k]);
	}
	return wire_put_err(out);
}

enum kp_err
msg_consumers_decode(struct kp_slice in, struct msg_consumers *m)
{
	struct wire_reader r = wire_reader(in);

	*m = (struct msg_consumers){ 0 };
	m->v = wire_get_array(&r, &m->n, CONSUMERS_MAX, CONSUMER_WIRE_MIN, sizeof(*m->v));
	for (size_t i = 0; i < m->n && !r.bad; i++) {
		struct msg_consumer *c = &m->v[i];

		c->group = wire_get_bytes(&r, GROUP_MAX);
		c->member = wire_get_bytes(&r, MEMBER_MAX);
		c->partitions = wire_get_array(&r, &c->n, PARTITIONS_MAX, 4, 4);
		for (size_t k = 0; k < c->n; k++)
			c->partitions[k] = wire_get_i32(&r);
	}
	return wire_get_err(&r);
}

void
msg_consumers_free(struct msg_consumers *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].partitions);
	free(m->v);
	*m = (struct msg_consumers){ 0 };
}
