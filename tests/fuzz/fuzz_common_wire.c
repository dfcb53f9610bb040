/*
 * Bytes on the helper's socket: the frames in them do not depend on how they are cut,
 * and a body that decodes is encoded to the very same bytes again.
 *
 * The first byte chooses the pieces; the rest is the stream.
 */
#include "common/msg_admin.h"
#include "tests/fuzz/fuzz.h"

#define BODY_MAX (1u << 20)

union any {
	struct msg_error error;
	struct msg_produce produce;
	struct msg_produced produced;
	struct msg_consume consume;
	struct msg_ack ack;
	struct msg_message message;
	struct msg_confirm confirm;
	struct msg_topic_group topic_group;
	struct msg_offsets offsets;
	struct msg_consumers consumers;
	struct msg_status status;
	struct msg_find find;
	struct msg_receipt receipt;
	struct msg_list list;
	struct msg_rows rows;
	struct msg_act act;
	struct msg_acted acted;
};

/* Both functions of each message, by one signature. */
#define CODEC(name)								\
static enum kp_err								\
decode_##name(struct kp_slice in, union any *m)					\
{										\
	return msg_##name##_decode(in, &m->name);				\
}										\
static enum kp_err								\
encode_##name(struct kp_buf *out, const union any *m)				\
{										\
	return msg_##name##_encode(out, &m->name);				\
}
#define FREE(name)								\
static void									\
free_##name(union any *m)							\
{										\
	msg_##name##_free(&m->name);						\
}
CODEC(error) CODEC(produce) CODEC(produced) CODEC(consume) CODEC(ack) CODEC(message) CODEC(confirm)
CODEC(topic_group) CODEC(offsets) CODEC(consumers) CODEC(status) CODEC(find) CODEC(receipt)
CODEC(list) CODEC(rows) CODEC(act) CODEC(acted)
FREE(offsets) FREE(consumers) FREE(rows) FREE(act) FREE(acted)

static void
free_nothing(union any *m)
{
	(void)m;
}

static const struct codec {
	enum kp_err (*decode)(struct kp_slice in, union any *m);
	enum kp_err (*encode)(struct kp_buf *out, const union any *m);
	void (*free)(union any *m);
} codecs[256] = {
#define PLAIN(name) { decode_##name, encode_##name, free_nothing }
#define OWNER(name) { decode_##name, encode_##name, free_##name }
	[MSG_PRODUCE] = PLAIN(produce), [MSG_CONSUME] = PLAIN(consume),
	[MSG_ACK] = PLAIN(ack),
	[MSG_CONFIRM_OFFER] = PLAIN(confirm), [MSG_GET_OFFSETS] = PLAIN(topic_group),
	[MSG_SET_OFFSETS] = OWNER(offsets), [MSG_GET_CONSUMERS] = PLAIN(topic_group),
	[MSG_FIND_MESSAGE] = PLAIN(find), [MSG_LIST_ROWS] = PLAIN(list),
	[MSG_RETRY_DEAD] = OWNER(act), [MSG_DROP_DEAD] = OWNER(act),
	[MSG_PRODUCED] = PLAIN(produced), [MSG_MESSAGE] = PLAIN(message),
	[MSG_OFFSETS] = OWNER(offsets), [MSG_CONSUMERS] = OWNER(consumers),
	[MSG_ERROR] = PLAIN(error), [MSG_STATUS] = PLAIN(status),
	[MSG_RECEIPT] = PLAIN(receipt), [MSG_ROWS] = OWNER(rows), [MSG_ACTED] = OWNER(acted),
};

static void
check_body(const struct codec *k, struct kp_slice in)
{
	uint8_t *copy = fuzz_copy(in.p, in.n);
	struct kp_buf out;
	union any m;

	if (k->decode == NULL) {
		free(copy);
		return;
	}
	kp_buf_init(&out, WIRE_BODY_MAX);
	memset(&m, 0x5a, sizeof(m));
	if (k->decode((struct kp_slice){ copy, in.n }, &m) == KP_OK) {
		PROMISE(k->encode(&out, &m) == KP_OK);
		PROMISE(kp_slice_eq(kp_buf_slice(&out), in));
	}
	k->free(&m);
	kp_buf_free(&out);
	free(copy);
}

/* A type that has been renumbered must not leave a decoder without bytes. */
static void
check_every_body(struct kp_slice in)
{
	for (size_t i = 0; i < 256; i++)
		check_body(&codecs[i], in);
}

/* What the frames say, as one text, and how the stream ends. */
static void
note_frame(struct kp_buf *out, const struct wire_frame *f)
{
	kp_buf_printf(out, "%u %u %u %zu;", f->type, f->id, f->deadline_ms, f->body.n);
	kp_buf_put(out, f->body.p, f->body.n);
}

/* As a connection does it: bytes come in pieces of up to `piece`. */
static void
read_stream(struct kp_slice in, size_t piece, bool look, struct kp_buf *out)
{
	enum kp_err err = KP_OK;
	struct kp_buf b;

	kp_buf_init(&b, SIZE_MAX);
	while (in.n && err == KP_OK) {
		size_t n = in.n < piece ? in.n : piece, used, want;
		struct wire_frame f;

		kp_buf_put(&b, in.p, n);
		in.p += n;
		in.n -= n;
		do {
			uint8_t *exact = fuzz_copy(b.p, b.len);

			err = wire_decode((struct kp_slice){ exact, b.len }, BODY_MAX, &f, &used,
			    &want);
			if (err == KP_OK && used) {
				PROMISE(used <= b.len && f.body.n == used - WIRE_HEADER);
				note_frame(out, &f);
				if (look)
					check_body(&codecs[f.type], f.body);
				kp_buf_consume(&b, used);
			} else if (err == KP_OK) {
				PROMISE(want > b.len && want <= WIRE_HEADER + BODY_MAX);
			}
			free(exact);
		} while (err == KP_OK && used);
	}
	kp_buf_printf(out, "end %d", err);
	kp_buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kp_buf whole, pieces;
	struct kp_slice in;

	if (size < 1)
		return 0;
	in = (struct kp_slice){ data + 1, size - 1 };
	kp_buf_init(&whole, SIZE_MAX);
	kp_buf_init(&pieces, SIZE_MAX);
	read_stream(in, in.n, true, &whole);
	read_stream(in, data[0] % 40 + 1u, false, &pieces);
	PROMISE(kp_slice_eq(kp_buf_slice(&whole), kp_buf_slice(&pieces)));
	check_every_body(in);
	kp_buf_free(&whole);
	kp_buf_free(&pieces);
	return 0;
}
