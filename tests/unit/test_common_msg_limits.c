/* Lengths, counts and numbers of messages: at their limits, past them, and lies. */
#include "tests/unit/msg_samples.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths_at_their_limits),
		cmocka_unit_test(test_error_text_is_cut_to_its_limit),
		cmocka_unit_test(test_counts_that_lie_take_no_memory),
		cmocka_unit_test(test_counts_at_their_limits),
		cmocka_unit_test(test_acks_of_nothing),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
