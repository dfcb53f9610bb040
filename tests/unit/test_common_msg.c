/*
 * Every message: round trip of its edge values, and all that a hostile peer can
 * do to its bytes. A table holds one full sample of each; the generic tests go
 * through the table, so a new message is tested by adding its row.
 */
#include "common/msg.h"
#include "common/err.h"
#include "tests/unit/unit.h"

#define ABSENT ((struct kp_slice){ NULL, 0 })

static int32_t some_partitions[] = { 0, 7, INT32_MAX };
static struct msg_offset some_offsets[] = {
	{ 0, 1, 2, 3, LIT("meta"), false },
	{ INT32_MAX, INT64_MIN, INT64_MAX, -1, LIT(""), true },
};
static struct msg_consumer some_consumers[] = {
	{ LIT("g1"), LIT("pixy_host_1"), some_partitions, 3 },
	{ LIT("g2"), LIT("m"), some_partitions, 0 },
};

/* ---- one sample and one decoder a message, all of one shape ---- */

#define ENCODER(name, ...)							\
	static enum kp_err							\
	put_##name(struct kp_buf *out)						\
	{									\
		const struct msg_##name m = __VA_ARGS__;			\
										\
		return msg_##name##_encode(out, &m);				\
	}
#define DECODER(name)								\
	static enum kp_err							\
	get_##name(struct kp_slice in)						\
	{									\
		struct msg_##name m;						\
										\
		return msg_##name##_decode(in, &m);				\
	}
#define FREEING_DECODER(name)							\
	static enum kp_err							\
	get_##name(struct kp_slice in)						\
	{									\
		struct msg_##name m;						\
		enum kp_err err = msg_##name##_decode(in, &m);			\
										\
		msg_##name##_free(&m);						\
		return err;							\
	}

ENCODER(error, { KP_EBUSY, 3, LIT("busy") })
DECODER(error)
ENCODER(produce, { LIT("topic"), LIT("key"), LIT("value"), true })
DECODER(produce)
ENCODER(produced, { 3, INT64_MAX, 9 })
DECODER(produced)
ENCODER(consume, { LIT("topic"), LIT("group"), true, true, 3, INT64_MAX })
DECODER(consume)
ENCODER(ack, { LIT("topic"), LIT("group"), INT32_MAX, 9 })
DECODER(ack)
ENCODER(message, { UINT64_MAX, 3, 4, LIT("key"), LIT("value") })
DECODER(message)
ENCODER(confirm, { 77, true })
DECODER(confirm)
ENCODER(topic_group, { LIT("topic"), LIT("group") })
DECODER(topic_group)
ENCODER(offsets, { LIT("topic"), LIT("group"), some_offsets, 2 })
FREEING_DECODER(offsets)
ENCODER(consumers, { some_consumers, 2 })
FREEING_DECODER(consumers)

static const struct {
	const char *name;
	enum kp_err (*put)(struct kp_buf *out);
	enum kp_err (*get)(struct kp_slice in);
	int flags;			/* the known bits of the first byte, -1: no flags */
	int essential;			/* of them, those that decide the layout */
} messages[] = {
	{ "error", put_error, get_error, -1, 0 },
	{ "produce", put_produce, get_produce, 0x03, 0x02 },
	{ "produced", put_produced, get_produced, -1, 0 },
	{ "consume", put_consume, get_consume, 3, 2 },
	{ "ack", put_ack, get_ack, -1, 0 },
	{ "message", put_message, get_message, 0x03, 0x03 },
	{ "confirm", put_confirm, get_confirm, 0x01, 0 },
	{ "topic_group", put_topic_group, get_topic_group, -1, 0 },
	{ "offsets", put_offsets, get_offsets, -1, 0 },
	{ "consumers", put_consumers, get_consumers, -1, 0 },
};

static void
put_sample(size_t i, struct kp_buf *b)
{
	kp_buf_init(b, 10000);
	assert_err(messages[i].put(b), KP_OK);
}

/* ---- what is the same for all ---- */

static void
test_every_truncation_is_rejected(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct kp_buf b;

		put_sample(i, &b);
		assert_err(messages[i].get(kp_buf_slice(&b)), KP_OK);
		for (size_t n = 0; n < b.len; n++) {
			uint8_t *copy = exact_copy(b.p, n);

			assert_err(messages[i].get((struct kp_slice){ copy, n }), KP_EBADMSG);
			free(copy);
		}
		kp_buf_free(&b);
	}
}

static void
test_leftover_bytes_are_rejected(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct kp_buf b;

		put_sample(i, &b);
		kp_buf_putc(&b, '\0');
		assert_err(messages[i].get(kp_buf_slice(&b)), KP_EBADMSG);
		kp_buf_free(&b);
	}
}

/* All 256 first bytes: only the known bits may be set, and those that say what
 * follows must agree with what follows. */
static void
test_unknown_flags_are_rejected(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct kp_buf b;

		if (messages[i].flags < 0)
			continue;
		put_sample(i, &b);
		for (int v = 0; v < 256; v++) {
			bool ok = (v & ~messages[i].flags) == 0 &&
			    (v & messages[i].essential) == messages[i].essential;

			b.p[0] = (uint8_t)v;
			assert_err(messages[i].get(kp_buf_slice(&b)), ok ? KP_OK : KP_EBADMSG);
		}
		kp_buf_free(&b);
	}
}

/* Each u32 of each sample replaced by lengths that lie; mostly they are not
 * lengths at all. Nothing is read or allocated past the bytes that are there. */
static void
test_lengths_that_lie(void **state)
{
	static const uint32_t lies[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 10001 };

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct kp_buf b;

		put_sample(i, &b);
		for (size_t at = 0; at + 4 <= b.len; at++)
			for (size_t k = 0; k < COUNT(lies); k++) {
				uint8_t *copy = exact_copy(b.p, b.len);

				for (int s = 0; s < 4; s++)
					copy[at + (size_t)s] = (uint8_t)(lies[k] >> (24 - 8 * s));
				messages[i].get((struct kp_slice){ copy, b.len });
				free(copy);
			}
		kp_buf_free(&b);
	}
}

/* A buffer that is too small at every size: the encoder says so, writes nothing past it. */
static void
test_encoders_respect_the_buffer(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct kp_buf whole, b;

		put_sample(i, &whole);
		for (size_t limit = 0; limit <= whole.len; limit++) {
			kp_buf_init(&b, limit);
			assert_err(messages[i].put(&b), limit < whole.len ? KP_ETOOBIG : KP_OK);
			assert_true(b.len <= limit);
			kp_buf_free(&b);
		}
		kp_buf_free(&whole);
	}
}

/* ---- round trips ---- */

static void
check_produce(const struct msg_produce *m)
{
	struct msg_produce got;
	struct kp_buf b;

	kp_buf_init(&b, 2 * WIRE_BODY_SLACK);
	assert_err(msg_produce_encode(&b, m), KP_OK);
	assert_err(msg_produce_decode(kp_buf_slice(&b), &got), KP_OK);
	assert_true(kp_slice_eq(got.topic, m->topic));
	assert_int_equal(got.key.p == NULL, m->key.p == NULL);
	assert_true(kp_slice_eq(got.key, m->key));
	assert_non_null(got.value.p);	/* an empty value is not a null one */
	assert_true(kp_slice_eq(got.value, m->value));
	assert_int_equal(got.sync, m->sync);
	kp_buf_free(&b);
}

static void
test_produce_round_trip(void **state)
{
	(void)state;
	check_produce(&(struct msg_produce){ LIT("t"), ABSENT, LIT(""), false });
	check_produce(&(struct msg_produce){ LIT("t"), LIT(""), LIT(""), true });
	check_produce(&(struct msg_produce){ LIT("t"), LIT("\0k\xff"), LIT("\0v\xff"), true });
	check_produce(&(struct msg_produce){ LIT("t"), LIT("k"), ABSENT, false });
}

static void
check_message(const struct msg_message *m)
{
	struct msg_message got;
	struct kp_buf b;

	kp_buf_init(&b, 1000);
	assert_err(msg_message_encode(&b, m), KP_OK);
	assert_err(msg_message_decode(kp_buf_slice(&b), &got), KP_OK);
	assert_true(got.offer == m->offer);
	assert_int_equal(got.partition, m->partition);
	assert_true(got.offset == m->offset);
	assert_int_equal(got.key.p == NULL, m->key.p == NULL);
	assert_true(kp_slice_eq(got.key, m->key));
	assert_int_equal(got.value.p == NULL, m->value.p == NULL);
	assert_true(kp_slice_eq(got.value, m->value));
	kp_buf_free(&b);
}

static void
test_message_round_trip(void **state)
{
	(void)state;
	check_message(&(struct msg_message){ 0, 0, 0, ABSENT, ABSENT });
	check_message(&(struct msg_message){ UINT64_MAX, INT32_MAX, INT64_MAX, LIT(""), LIT("") });
	check_message(&(struct msg_message){ 1, INT32_MIN, INT64_MIN, ABSENT, LIT("\0\0") });
	check_message(&(struct msg_message){ 1, -1, -1, LIT("k"), ABSENT });
}

static void
test_produced_and_confirm_round_trip(void **state)
{
	const struct msg_produced in[] = {
		{ 0, 0, 0 }, { -1, -1, INT64_MAX }, { INT32_MAX, INT64_MAX, 0 },
		{ INT32_MIN, INT64_MIN, INT64_MIN },
	};
	struct msg_confirm c;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 100);
	for (size_t i = 0; i < COUNT(in); i++) {
		struct msg_produced m;

		kp_buf_reset(&b);
		assert_err(msg_produced_encode(&b, &in[i]), KP_OK);
		assert_err(msg_produced_decode(kp_buf_slice(&b), &m), KP_OK);
		assert_int_equal(m.partition, in[i].partition);
		assert_true(m.offset == in[i].offset && m.id == in[i].id);
	}
	for (int i = 0; i < 2; i++) {
		kp_buf_reset(&b);
		assert_err(msg_confirm_encode(&b, &(struct msg_confirm){ UINT64_MAX, i }), KP_OK);
		assert_err(msg_confirm_decode(kp_buf_slice(&b), &c), KP_OK);
		assert_true(c.offer == UINT64_MAX && c.delivered == (i == 1));
	}
	kp_buf_free(&b);
}

static void
test_every_error_round_trip(void **state)
{
	struct msg_error m;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 100);
	for (unsigned i = 0; i < 0x10000; i += i < KP_ERR_COUNT + 1u ? 1 : 255) {
		bool ok = i != KP_OK && i < KP_ERR_COUNT;

		kp_buf_reset(&b);
		wire_put_u16(&b, (uint16_t)i);
		wire_put_u32(&b, UINT32_MAX);
		wire_put_bytes(&b, LIT("text"));
		assert_err(msg_error_decode(kp_buf_slice(&b), &m), ok ? KP_OK : KP_EBADMSG);
		if (ok) {
			assert_int_equal(m.err, i);
			assert_true(m.retry_after_s == UINT32_MAX);
			assert_true(kp_slice_eq(m.text, LIT("text")));
		}
	}
	kp_buf_free(&b);
}

static void
test_offsets_round_trip(void **state)
{
	const struct msg_offsets in[] = {
		{ LIT("t"), LIT("g"), some_offsets, 2 }, { LIT(""), LIT(""), NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(in); i++) {
		struct msg_offsets m;
		struct kp_buf b;

		kp_buf_init(&b, 1000);
		assert_err(msg_offsets_encode(&b, &in[i]), KP_OK);
		assert_err(msg_offsets_decode(kp_buf_slice(&b), &m), KP_OK);
		assert_true(kp_slice_eq(m.topic, in[i].topic));
		assert_true(kp_slice_eq(m.group, in[i].group));
		assert_int_equal(m.n, in[i].n);
		for (size_t k = 0; k < m.n; k++) {
			assert_int_equal(m.v[k].partition, some_offsets[k].partition);
			assert_true(m.v[k].begin == some_offsets[k].begin);
			assert_true(m.v[k].end == some_offsets[k].end);
			assert_true(m.v[k].offset == some_offsets[k].offset);
			assert_true(kp_slice_eq(m.v[k].metadata, some_offsets[k].metadata));
			assert_int_equal(m.v[k].by_time, some_offsets[k].by_time);
		}
		msg_offsets_free(&m);
		kp_buf_free(&b);
	}
}

/* No partition and no offset of a message is negative. */
static void
test_acks_of_nothing(void **state)
{
	static const struct {
		int32_t partition;
		int64_t offset;
	} bad[] = { { -1, 0 }, { 0, -1 }, { INT32_MIN, INT64_MIN } };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct msg_ack a = { LIT("t"), LIT("g"), bad[i].partition, bad[i].offset };
		struct msg_consume c = { LIT("t"), LIT("g"), false, true, bad[i].partition,
		    bad[i].offset };
		struct kp_buf b;

		kp_buf_init(&b, 1024);
		msg_ack_encode(&b, &a);
		assert_err(msg_ack_decode(kp_buf_slice(&b), &a), KP_EBADMSG);
		kp_buf_reset(&b);
		msg_consume_encode(&b, &c);
		assert_err(msg_consume_decode(kp_buf_slice(&b), &c), KP_EBADMSG);
		kp_buf_free(&b);
	}
}

static void
test_consumers_round_trip(void **state)
{
	struct msg_consumers m;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 1000);
	assert_err(put_consumers(&b), KP_OK);
	assert_err(msg_consumers_decode(kp_buf_slice(&b), &m), KP_OK);
	assert_int_equal(m.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(kp_slice_eq(m.v[i].group, some_consumers[i].group));
		assert_true(kp_slice_eq(m.v[i].member, some_consumers[i].member));
		assert_int_equal(m.v[i].n, some_consumers[i].n);
	}
	assert_memory_equal(m.v[0].partitions, some_partitions, sizeof(some_partitions));
	msg_consumers_free(&m);
	kp_buf_free(&b);
}

/* ---- lengths at their limits ---- */

enum part { TOPIC, GROUP, KEY, METADATA, MEMBER, TEXT };

static const struct {
	const char *name;
	enum kp_err (*get)(struct kp_slice in);
	enum part part;
	size_t max;
} limits[] = {
	{ "produce", get_produce, TOPIC, TOPIC_MAX },
	{ "produce", get_produce, KEY, KEY_MAX },
	{ "consume", get_consume, TOPIC, TOPIC_MAX },
	{ "consume", get_consume, GROUP, GROUP_MAX },
	{ "ack", get_ack, TOPIC, TOPIC_MAX },
	{ "ack", get_ack, GROUP, GROUP_MAX },
	{ "topic_group", get_topic_group, TOPIC, TOPIC_MAX },
	{ "topic_group", get_topic_group, GROUP, GROUP_MAX },
	{ "offsets", get_offsets, TOPIC, TOPIC_MAX },
	{ "offsets", get_offsets, GROUP, GROUP_MAX },
	{ "offsets", get_offsets, METADATA, METADATA_MAX },
	{ "consumers", get_consumers, GROUP, GROUP_MAX },
	{ "consumers", get_consumers, MEMBER, MEMBER_MAX },
	{ "error", get_error, TEXT, TEXT_MAX },
};

/* The named message with `s` as its named part, put by hand where the encoder would cut. */
static void
put_with(struct kp_buf *b, const char *name, enum part part, struct kp_slice s)
{
	struct kp_slice topic = part == TOPIC ? s : LIT("t");
	struct kp_slice group = part == GROUP ? s : LIT("g");
	struct msg_offset o = { .metadata = part == METADATA ? s : LIT("") };
	struct msg_consumer c = { group, part == MEMBER ? s : LIT("m"), some_partitions, 1 };

	if (strcmp(name, "produce") == 0) {
		msg_produce_encode(b, &(struct msg_produce){ topic, s, LIT("v"), false });
	} else if (strcmp(name, "offsets") == 0) {
		msg_offsets_encode(b, &(struct msg_offsets){ topic, group, &o, 1 });
	} else if (strcmp(name, "consumers") == 0) {
		msg_consumers_encode(b, &(struct msg_consumers){ &c, 1 });
	} else if (strcmp(name, "error") == 0) {
		wire_put_u16(b, KP_EIO);
		wire_put_u32(b, 0);
		wire_put_bytes(b, s);
	} else if (strcmp(name, "topic_group") == 0) {
		msg_topic_group_encode(b, &(struct msg_topic_group){ topic, group });
	} else if (strcmp(name, "ack") == 0) {
		msg_ack_encode(b, &(struct msg_ack){ topic, group, 1, 2 });
	} else {
		msg_consume_encode(b, &(struct msg_consume){ topic, group, false, false, 0, 0 });
	}
}

static void
test_lengths_at_their_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++)
		for (size_t over = 0; over < 2; over++) {
			size_t n = limits[i].max + over;
			uint8_t *bytes = malloc(n);
			struct kp_buf b;

			memset(bytes, 'x', n);
			kp_buf_init(&b, 2 * WIRE_BODY_SLACK);
			put_with(&b, limits[i].name, limits[i].part, (struct kp_slice){ bytes, n });
			assert_false(b.failed);
			assert_err(limits[i].get(kp_buf_slice(&b)), over ? KP_EBADMSG : KP_OK);
			kp_buf_free(&b);
			free(bytes);
		}
}

static void
test_error_text_is_cut_to_its_limit(void **state)
{
	char text[TEXT_MAX + 100];
	struct msg_error m = { KP_EIO, 0, { (uint8_t *)text, sizeof(text) } };
	struct kp_buf b;

	(void)state;
	memset(text, 'x', sizeof(text));
	kp_buf_init(&b, 10000);
	assert_err(msg_error_encode(&b, &m), KP_OK);
	assert_err(msg_error_decode(kp_buf_slice(&b), &m), KP_OK);
	assert_int_equal(m.text.n, TEXT_MAX);
	kp_buf_free(&b);
}

/* A count is believed only as far as there are bytes for it. */
static void
test_counts_that_lie_take_no_memory(void **state)
{
	static const uint32_t counts[] = { 2, 1000, PARTITIONS_MAX, PARTITIONS_MAX + 1,
		0x10000000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		struct msg_consumers c;
		struct msg_offsets o;
		struct kp_buf b;

		kp_buf_init(&b, 1000);
		wire_put_bytes(&b, LIT("t"));
		wire_put_bytes(&b, LIT("g"));
		wire_put_u32(&b, counts[i]);
		for (int k = 0; k < 9; k++)
			wire_put_u32(&b, 0);
		assert_err(msg_offsets_decode(kp_buf_slice(&b), &o), KP_EBADMSG);
		assert_null(o.v);
		assert_int_equal(o.n, 0);
		msg_offsets_free(&o);

		kp_buf_reset(&b);
		wire_put_u32(&b, counts[i]);
		for (int k = 0; k < 5; k++)
			wire_put_u32(&b, 0);
		assert_err(msg_consumers_decode(kp_buf_slice(&b), &c), KP_EBADMSG);
		assert_null(c.v);
		msg_consumers_free(&c);

		/* and the count inside an element */
		kp_buf_reset(&b);
		wire_put_u32(&b, 1);
		wire_put_bytes(&b, LIT("g"));
		wire_put_bytes(&b, LIT("m"));
		wire_put_u32(&b, counts[i]);
		wire_put_u32(&b, 0);
		assert_err(msg_consumers_decode(kp_buf_slice(&b), &c), KP_EBADMSG);
		assert_null(c.v[0].partitions);
		msg_consumers_free(&c);
		kp_buf_free(&b);
	}
}

static void
test_counts_at_their_limits(void **state)
{
	(void)state;
	for (size_t n = PARTITIONS_MAX; n <= PARTITIONS_MAX + 1; n++) {
		struct msg_offset *v = calloc(n, sizeof(*v));
		struct msg_consumer *w = calloc(n, sizeof(*w));
		enum kp_err want = n > PARTITIONS_MAX ? KP_EBADMSG : KP_OK;
		struct kp_buf b;

		kp_buf_init(&b, WIRE_BODY_MAX);
		assert_err(msg_offsets_encode(&b, &(struct msg_offsets){ .v = v, .n = n }), KP_OK);
		assert_err(get_offsets(kp_buf_slice(&b)), want);
		kp_buf_reset(&b);
		assert_err(msg_consumers_encode(&b, &(struct msg_consumers){ w, n }), KP_OK);
		assert_err(get_consumers(kp_buf_slice(&b)), want);
		kp_buf_free(&b);
		free(v);
		free(w);
	}
}

/* ---- names ---- */

static void
test_topic_names(void **state)
{
	char name[TOPIC_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_true(msg_topic_ok((struct kp_slice){ (uint8_t *)name, TOPIC_MAX }));
	assert_false(msg_topic_ok((struct kp_slice){ (uint8_t *)name, TOPIC_MAX + 1 }));
	assert_true(msg_topic_ok(LIT("Aa0._-")));
	assert_true(msg_topic_ok(LIT("...")));
	assert_false(msg_topic_ok(LIT("")));
	assert_false(msg_topic_ok(LIT(".")));
	assert_false(msg_topic_ok(LIT("..")));
	assert_false(msg_topic_ok(LIT("a\0b")));
	for (int c = 0; c < 256; c++) {
		const uint8_t byte[] = { 'a', (uint8_t)c };
		bool ok = c && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789._-", c);

		assert_int_equal(msg_topic_ok((struct kp_slice){ byte, 2 }), ok);
	}
}

static void
test_group_names(void **state)
{
	char name[GROUP_MAX + 1];

	(void)state;
	memset(name, '~', sizeof(name));
	assert_true(msg_group_ok((struct kp_slice){ (uint8_t *)name, GROUP_MAX }));
	assert_false(msg_group_ok((struct kp_slice){ (uint8_t *)name, GROUP_MAX + 1 }));
	assert_false(msg_group_ok(LIT("")));
	assert_false(msg_group_ok(LIT(".")));
	assert_false(msg_group_ok(LIT("..")));
	assert_false(msg_group_ok(LIT("zookeeper")));
	assert_true(msg_group_ok(LIT("zookeeper2")));
	for (int c = 0; c < 256; c++) {
		const uint8_t byte[] = { 'a', (uint8_t)c };

		assert_int_equal(msg_group_ok((struct kp_slice){ byte, 2 }),
		    c > ' ' && c < 0x7f && c != '/');
	}
}

static void
test_type_names(void **state)
{
	(void)state;
	assert_string_equal(msg_type_name(MSG_PING), "ping");
	assert_string_equal(msg_type_name(MSG_ERROR), "error");
	for (unsigned type = 0; type < 256; type++)
		assert_true(strlen(msg_type_name((uint8_t)type)) > 0);
	assert_string_equal(msg_type_name(0), "unknown");
	assert_string_equal(msg_type_name(255), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_truncation_is_rejected),
		cmocka_unit_test(test_leftover_bytes_are_rejected),
		cmocka_unit_test(test_unknown_flags_are_rejected),
		cmocka_unit_test(test_lengths_that_lie),
		cmocka_unit_test(test_encoders_respect_the_buffer),
		cmocka_unit_test(test_produce_round_trip),
		cmocka_unit_test(test_message_round_trip),
		cmocka_unit_test(test_produced_and_confirm_round_trip),
		cmocka_unit_test(test_every_error_round_trip),
		cmocka_unit_test(test_offsets_round_trip),
		cmocka_unit_test(test_acks_of_nothing),
		cmocka_unit_test(test_consumers_round_trip),
		cmocka_unit_test(test_lengths_at_their_limits),
		cmocka_unit_test(test_error_text_is_cut_to_its_limit),
		cmocka_unit_test(test_counts_that_lie_take_no_memory),
		cmocka_unit_test(test_counts_at_their_limits),
		cmocka_unit_test(test_topic_names),
		cmocka_unit_test(test_group_names),
		cmocka_unit_test(test_type_names),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
