/* Bodies of the messages about the helper and its store. "bytes" is a u32 length
 * and that many bytes, a flag has a u8 of its own. */
#include "common/msg_admin.h"

#include <stdlib.h>

static bool
get_flag(struct wire_reader *r)
{
	return wire_get_flags(r, 1) & 1;
}

/* Part: u8 state, i64 since_ms, i64 error_ms, bytes error. */
static void
put_part(struct kp_buf *out, const struct msg_part *p)
{
	struct kp_slice error = p->error;

	if (error.n > TEXT_MAX)
		error.n = TEXT_MAX;
	wire_put_u8(out, p->state);
	wire_put_i64(out, p->since_ms);
	wire_put_i64(out, p->error_ms);
	wire_put_bytes(out, error);
}

static void
get_part(struct wire_reader *r, struct msg_part *p)
{
	p->state = wire_get_u8(r);
	p->since_ms = wire_get_i64(r);
	p->error_ms = wire_get_i64(r);
	p->error = wire_get_bytes(r, TEXT_MAX);
	if (p->state > PART_UNUSED)
		r->bad = true;
}

/* Trouble: bytes group, bytes topic, i64 since_ms, bytes error. */
static void
put_trouble(struct kp_buf *out, const struct msg_group_trouble *t)
{
	struct kp_slice error = t->error;

	if (error.n > TEXT_MAX)
		error.n = TEXT_MAX;
	wire_put_bytes(out, t->group);
	wire_put_bytes(out, t->topic);
	wire_put_i64(out, t->since_ms);
	wire_put_bytes(out, error);
}

static void
get_trouble(struct wire_reader *r, struct msg_group_trouble *t)
{
	t->group = wire_get_bytes(r, GROUP_MAX);
	t->topic = wire_get_bytes(r, TOPIC_MAX);
	t->since_ms = wire_get_i64(r);
	t->error = wire_get_bytes(r, TEXT_MAX);
}

/* The numbers of a status, in their order on the wire. */
#define STATUS_NUMBERS(X, m)						\
	X((m)->started_ms) X((m)->accepted) X((m)->delivered)		\
	X((m)->pending) X((m)->dead) X((m)->dropped) X((m)->oldest_ms)	\
	X((m)->delivered_per_s) X((m)->store_bytes)			\
	X((m)->store_max_bytes) X((m)->store_free_bytes) X((m)->groups_troubled)

/* Body: bytes version, bytes librdkafka, bytes durability, u8 embedded, i64 each of the numbers,
 * then the parts kafka, zookeeper, store, then u8 n and n troubles of groups. */
enum kp_err
msg_status_encode(struct kp_buf *out, const struct msg_status *m)
{
	wire_put_bytes(out, m->version);
	wire_put_bytes(out, m->librdkafka);
	wire_put_bytes(out, m->durability);
	wire_put_u8(out, m->embedded);
#define PUT(field) wire_put_i64(out, field);
	STATUS_NUMBERS(PUT, m)
#undef PUT
	put_part(out, &m->kafka);
	put_part(out, &m->zookeeper);
	put_part(out, &m->store);
	wire_put_u8(out, (uint8_t)m->n_groups);
	for (size_t i = 0; i < m->n_groups; i++)
		put_trouble(out, &m->groups[i]);
	return wire_put_err(out);
}

enum kp_err
msg_status_decode(struct kp_slice in, struct msg_status *m)
{
	struct wire_reader r = wire_reader(in);

	m->version = wire_get_bytes(&r, TEXT_MAX);
	m->librdkafka = wire_get_bytes(&r, TEXT_MAX);
	m->durability = wire_get_bytes(&r, TEXT_MAX);
	m->embedded = get_flag(&r);
#define GET(field) field = wire_get_i64(&r);
	STATUS_NUMBERS(GET, m)
#undef GET
	get_part(&r, &m->kafka);
	get_part(&r, &m->zookeeper);
	get_part(&r, &m->store);
	m->n_groups = wire_get_u8(&r);
	if (m->n_groups > GROUP_TROUBLES_MAX) {
		m->n_groups = 0;
		return KP_EBADMSG;
	}
	for (size_t i = 0; i < m->n_groups; i++)
		get_trouble(&r, &m->groups[i]);
	return wire_get_err(&r);
}

/* Body: i64 id. */
enum kp_err
msg_find_encode(struct kp_buf *out, const struct msg_find *m)
{
	wire_put_i64(out, m->id);
	return wire_put_err(out);
}

enum kp_err
msg_find_decode(struct kp_slice in, struct msg_find *m)
{
	struct wire_reader r = wire_reader(in);

	m->id = wire_get_i64(&r);
	return wire_get_err(&r);
}

/* Body: i64 id, u8 state, i32 partition, i64 offset, bytes reason. */
enum kp_err
msg_receipt_encode(struct kp_buf *out, const struct msg_receipt *m)
{
	wire_put_i64(out, m->id);
	wire_put_u8(out, m->state);
	wire_put_i32(out, m->partition);
	wire_put_i64(out, m->offset);
	wire_put_bytes(out, m->reason);
	return wire_put_err(out);
}

enum kp_err
msg_receipt_decode(struct kp_slice in, struct msg_receipt *m)
{
	struct wire_reader r = wire_reader(in);

	m->id = wire_get_i64(&r);
	m->state = wire_get_u8(&r);
	m->partition = wire_get_i32(&r);
	m->offset = wire_get_i64(&r);
	m->reason = wire_get_bytes(&r, TEXT_MAX);
	if (m->state > RECEIPT_DEAD)
		r.bad = true;
	return wire_get_err(&r);
}

/* Body: u8 dead, u8 with_bodies, bytes topic, i64 after, u32 limit. */
enum kp_err
msg_list_encode(struct kp_buf *out, const struct msg_list *m)
{
	wire_put_u8(out, m->dead);
	wire_put_u8(out, m->with_bodies);
	wire_put_bytes(out, m->topic);
	wire_put_i64(out, m->after);
	wire_put_u32(out, m->limit);
	return wire_put_err(out);
}

enum kp_err
msg_list_decode(struct kp_slice in, struct msg_list *m)
{
	struct wire_reader r = wire_reader(in);

	m->dead = get_flag(&r);
	m->with_bodies = get_flag(&r);
	m->topic = wire_get_bytes(&r, TOPIC_MAX);
	m->after = wire_get_i64(&r);
	m->limit = wire_get_u32(&r);
	if (m->limit == 0 || m->limit > ROWS_MAX)
		r.bad = true;
	return wire_get_err(&r);
}

#define ROW_WIRE_MIN (8 + 4 + 8 + 4 + 8 + 4 + 4 + 1 + 4 + 4)

/* Body: i64 next, u32 n, n times (i64 id, bytes topic, i64 accepted_ms, u32 attempts,
 * i64 buried_ms, bytes reason, u32 value_bytes, u8 has_key, bytes key, bytes value). */
enum kp_err
msg_rows_encode(struct kp_buf *out, const struct msg_rows *m)
{
	wire_put_i64(out, m->next);
	wire_put_u32(out, (uint32_t)m->n);
	for (size_t i = 0; i < m->n; i++) {
		const struct msg_row *w = &m->v[i];

		wire_put_i64(out, w->id);
		wire_put_bytes(out, w->topic);
		wire_put_i64(out, w->accepted_ms);
		wire_put_u32(out, w->attempts);
		wire_put_i64(out, w->buried_ms);
		wire_put_bytes(out, w->reason);
		wire_put_u32(out, w->value_bytes);
		wire_put_u8(out, w->has_key);
		wire_put_bytes(out, w->key);
		wire_put_bytes(out, w->value);
	}
	return wire_put_err(out);
}

enum kp_err
msg_rows_decode(struct kp_slice in, struct msg_rows *m)
{
	struct wire_reader r = wire_reader(in);

	m->next = wire_get_i64(&r);
	m->v = wire_get_array(&r, &m->n, ROWS_MAX, ROW_WIRE_MIN, sizeof(*m->v));
	for (size_t i = 0; i < m->n; i++) {
		struct msg_row *w = &m->v[i];

		w->id = wire_get_i64(&r);
		w->topic = wire_get_bytes(&r, TOPIC_MAX);
		w->accepted_ms = wire_get_i64(&r);
		w->attempts = wire_get_u32(&r);
		w->buried_ms = wire_get_i64(&r);
		w->reason = wire_get_bytes(&r, TEXT_MAX);
		w->value_bytes = wire_get_u32(&r);
		w->has_key = get_flag(&r);
		w->key = wire_get_bytes(&r, KEY_MAX);
		w->value = wire_get_bytes(&r, WIRE_BODY_MAX);
	}
	return wire_get_err(&r);
}

void
msg_rows_free(struct msg_rows *m)
{
	free(m->v);
	*m = (struct msg_rows){ 0 };
}

/* u32 n, n times i64. */
static void
put_ids(struct kp_buf *out, const int64_t *ids, size_t n)
{
	wire_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		wire_put_i64(out, ids[i]);
}

static int64_t *
get_ids(struct wire_reader *r, size_t *n)
{
	int64_t *ids = wire_get_array(r, n, ROWS_MAX, 8, sizeof(*ids));

	for (size_t i = 0; i < *n; i++)
		ids[i] = wire_get_i64(r);
	return ids;
}

/* Body: u8 all, bytes topic, i64 after, ids. */
enum kp_err
msg_act_encode(struct kp_buf *out, const struct msg_act *m)
{
	wire_put_u8(out, m->all);
	wire_put_bytes(out, m->topic);
	wire_put_i64(out, m->after);
	put_ids(out, m->ids, m->n);
	return wire_put_err(out);
}

enum kp_err
msg_act_decode(struct kp_slice in, struct msg_act *m)
{
	struct wire_reader r = wire_reader(in);

	m->all = get_flag(&r);
	m->topic = wire_get_bytes(&r, TOPIC_MAX);
	m->after = wire_get_i64(&r);
	m->ids = get_ids(&r, &m->n);
	return wire_get_err(&r);
}

void
msg_act_free(struct msg_act *m)
{
	free(m->ids);
	*m = (struct msg_act){ 0 };
}

/* Body: i64 done, i64 next, ids. */
enum kp_err
msg_acted_encode(struct kp_buf *out, const struct msg_acted *m)
{
	wire_put_i64(out, m->done);
	wire_put_i64(out, m->next);
	put_ids(out, m->missing, m->n);
	return wire_put_err(out);
}

enum kp_err
msg_acted_decode(struct kp_slice in, struct msg_acted *m)
{
	struct wire_reader r = wire_reader(in);

	m->done = wire_get_i64(&r);
	m->next = wire_get_i64(&r);
	m->missing = get_ids(&r, &m->n);
	return wire_get_err(&r);
}

void
msg_acted_free(struct msg_acted *m)
{
	free(m->missing);
	*m = (struct msg_acted){ 0 };
}
