/*
 * Frames and primitive fields on the Unix socket between responder and helper.
 *
 *	 0       4         5      6        8     12            16
 *	+-------+---------+------+--------+-----+-------------+--------+
 *	| length| version | type | 0      | id  | deadline_ms | body   |
 *	+-------+---------+------+--------+-----+-------------+--------+
 *
 * Integers are big-endian; `length` counts the body alone. `id` is chosen by
 * the asker and comes back in the reply. `deadline_ms` is how long the asker
 * will wait, counted from the arrival; a reply carries 0.
 *
 * A failed put marks the buffer, a failed get marks the reader; both are
 * tested once, at the end.
 */
#ifndef KP_WIRE_H
#define KP_WIRE_H

#include "common/buf.h"
#include "common/err.h"

#define WIRE_VERSION 4
#define WIRE_HEADER 16

/* No body is ever longer, whatever --maxMessageBytes says. */
#define WIRE_BODY_MAX (65u * 1024 * 1024)
/* What a body may hold beside a message's value: names, key, text. */
#define WIRE_BODY_SLACK (128u * 1024)

#define WIRE_DEADLINE_MAX_MS (10u * 60 * 1000)

struct wire_frame {
	uint8_t type;
	uint32_t id;
	uint32_t deadline_ms;
	struct kp_slice body;	/* borrowed from the bytes decoded */
};

/*
 * wire_begin() puts a header whose length is still open, the caller then puts
 * the body, wire_end() fills in the length. wire_end() returns KP_ETOOBIG when
 * the buffer is marked or the body passes WIRE_BODY_MAX, KP_EBUSY when it had no room.
 */
size_t wire_begin(struct kp_buf *out, uint8_t type, uint32_t id, uint32_t deadline_ms);
enum kp_err wire_end(struct kp_buf *out, size_t begin) __attribute__((warn_unused_result));

/*
 * Decodes the first frame of `in`. On KP_OK *used is the frame's whole size, or
 * 0 when more bytes are needed; then *want is the size known so far. With more
 * than body_max bytes announced: KP_ETOOBIG, and f->id is set. KP_EVERSION:
 * another protocol version, f->id is set. KP_EBADMSG: not a frame.
 */
enum kp_err wire_decode(struct kp_slice in, size_t body_max, struct wire_frame *f,
    size_t *used, size_t *want);

void wire_put_u8(struct kp_buf *out, uint8_t v);
void wire_put_u16(struct kp_buf *out, uint16_t v);
void wire_put_u32(struct kp_buf *out, uint32_t v);
void wire_put_u64(struct kp_buf *out, uint64_t v);
void wire_put_i32(struct kp_buf *out, int32_t v);
void wire_put_i64(struct kp_buf *out, int64_t v);
/* u32 length, then the bytes. An absent slice is put as an empty one. */
void wire_put_bytes(struct kp_buf *out, struct kp_slice s);
/* KP_ETOOBIG when the buffer is marked. */
enum kp_err wire_put_err(const struct kp_buf *out);

struct wire_reader {
	const uint8_t *p;
	size_t n;
	bool bad;
};

struct wire_reader wire_reader(struct kp_slice in);
uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
int32_t wire_get_i32(struct wire_reader *r);
int64_t wire_get_i64(struct wire_reader *r);
/* Borrowed from the reader's bytes, never absent; marks the reader when longer
 * than `max`. */
struct kp_slice wire_get_bytes(struct wire_reader *r, size_t max);
/* Flags; marks the reader when a bit outside `known` is set. */
uint8_t wire_get_flags(struct wire_reader *r, uint8_t known);
/*
 * Room, zeroed and freed by the caller, for the elements that follow a u32 count;
 * each takes at least min_bytes on the wire, so that a short frame cannot ask for
 * much memory. NULL, with the reader marked, for more than `max` of them or
 * without memory.
 */
void *wire_get_array(struct wire_reader *r, size_t *n, size_t max, size_t min_bytes,
    size_t elem_size);
/* True when nothing failed and no byte is left over. */
bool wire_done(const struct wire_reader *r);
/* Else KP_EBADMSG. */
enum kp_err wire_get_err(const struct wire_reader *r);

#endif
