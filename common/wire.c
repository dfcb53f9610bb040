/* Big-endian fields and frame headers. No message is known here: see msg.c. */
#include "common/wire.h"

#include <stdlib.h>

static void
store_be(uint8_t *p, uint64_t v, size_t n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t
load_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static void
put_be(struct kp_buf *out, uint64_t v, size_t n)
{
	uint8_t bytes[8];

	store_be(bytes, v, n);
	kp_buf_put(out, bytes, n);
}

size_t
wire_begin(struct kp_buf *out, uint8_t type, uint32_t id, uint32_t deadline_ms)
{
	size_t begin = out->len;

	wire_put_u32(out, 0);
	wire_put_u8(out, WIRE_VERSION);
	wire_put_u8(out, type);
	wire_put_u16(out, 0);
	wire_put_u32(out, id);
	wire_put_u32(out, deadline_ms);
	return begin;
}

enum kp_err
wire_end(struct kp_buf *out, size_t begin)
{
	size_t body;

	if (out->failed)
		return out->no_room ? KP_EBUSY : KP_ETOOBIG;
	body = out->len - begin - WIRE_HEADER;
	if (body > WIRE_BODY_MAX)
		return KP_ETOOBIG;
	store_be(out->p + begin, body, 4);
	return KP_OK;
}

enum kp_err
wire_decode(struct kp_slice in, size_t body_max, struct wire_frame *f, size_t *used, size_t *want)
{
	size_t body;

	*used = 0;
	*want = WIRE_HEADER;
	if (in.n < WIRE_HEADER)
		return KP_OK;
	body = load_be(in.p, 4);
	f->type = in.p[5];
	f->id = (uint32_t)load_be(in.p + 8, 4);
	f->deadline_ms = (uint32_t)load_be(in.p + 12, 4);
	f->body = (struct kp_slice){ in.p + WIRE_HEADER, 0 };
	if (in.p[4] != WIRE_VERSION)
		return KP_EVERSION;
	if (in.p[6] || in.p[7] || f->deadline_ms > WIRE_DEADLINE_MAX_MS)
		return KP_EBADMSG;
	if (body > body_max)
		return KP_ETOOBIG;
	*want = WIRE_HEADER + body;
	if (in.n < *want)
		return KP_OK;
	f->body.n = body;
	*used = *want;
	return KP_OK;
}

void
wire_put_u8(struct kp_buf *out, uint8_t v)
{
	put_be(out, v, 1);
}

void
wire_put_u16(struct kp_buf *out, uint16_t v)
{
	put_be(out, v, 2);
}

void
wire_put_u32(struct kp_buf *out, uint32_t v)
{
	put_be(out, v, 4);
}

void
wire_put_u64(struct kp_buf *out, uint64_t v)
{
	put_be(out, v, 8);
}

void
wire_put_i32(struct kp_buf *out, int32_t v)
{
	put_be(out, (uint32_t)v, 4);
}

void
wire_put_i64(struct kp_buf *out, int64_t v)
{
	put_be(out, (uint64_t)v, 8);
}

void
wire_put_bytes(struct kp_buf *out, struct kp_slice s)
{
	if (s.n > WIRE_BODY_MAX) {
		out->failed = true;
		return;
	}
	wire_put_u32(out, (uint32_t)s.n);
	kp_buf_put(out, s.p, s.n);
}

enum kp_err
wire_put_err(const struct kp_buf *out)
{
	return out->failed ? KP_ETOOBIG : KP_OK;
}

struct wire_reader
wire_reader(struct kp_slice in)
{
	return (struct wire_reader){ in.p, in.n, false };
}

/* The next n bytes, or NULL with the reader marked. */
static const uint8_t *
take(struct wire_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->n -= n;
	return p;
}

static uint64_t
get_be(struct wire_reader *r, size_t n)
{
	const uint8_t *p = take(r, n);

	return p ? load_be(p, n) : 0;
}

uint8_t
wire_get_u8(struct wire_reader *r)
{
	return (uint8_t)get_be(r, 1);
}

uint16_t
wire_get_u16(struct wire_reader *r)
{
	return (uint16_t)get_be(r, 2);
}

uint32_t
wire_get_u32(struct wire_reader *r)
{
	return (uint32_t)get_be(r, 4);
}

uint64_t
wire_get_u64(struct wire_reader *r)
{
	return get_be(r, 8);
}

int32_t
wire_get_i32(struct wire_reader *r)
{
	return (int32_t)get_be(r, 4);
}

int64_t
wire_get_i64(struct wire_reader *r)
{
	return (int64_t)get_be(r, 8);
}

struct kp_slice
wire_get_bytes(struct wire_reader *r, size_t max)
{
	size_t n = wire_get_u32(r);
	const uint8_t *p;

	if (n > max)
		r->bad = true;
	p = take(r, n);
	return p ? (struct kp_slice){ p, n } : (struct kp_slice){ (const uint8_t *)"", 0 };
}

uint8_t
wire_get_flags(struct wire_reader *r, uint8_t known)
{
	uint8_t flags = wire_get_u8(r);

	if (flags & ~known)
		r->bad = true;
	return flags;
}

void *
wire_get_array(struct wire_reader *r, size_t *n, size_t max, size_t min_bytes, size_t elem_size)
{
	uint32_t count = wire_get_u32(r);
	void *v;

	*n = 0;
	if (count > max || count > r->n / min_bytes) {
		r->bad = true;
		return NULL;
	}
	v = calloc(count ? count : 1, elem_size);
	if (v == NULL)
		r->bad = true;
	else
		*n = count;
	return v;
}

bool
wire_done(const struct wire_reader *r)
{
	return !r->bad && r->n == 0;
}

enum kp_err
wire_get_err(const struct wire_reader *r)
{
	return wire_done(r) ? KP_OK : KP_EBADMSG;
}
