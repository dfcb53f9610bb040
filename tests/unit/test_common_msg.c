/*
 * All that a hostile peer can do to the bytes of a message, and names. The generic
 * tests go through a table with a full sample of each, so a new message is tested by
 * adding its row.
 */
#include "tests/unit/msg_samples.h"

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
		cmocka_unit_test(test_topic_names),
		cmocka_unit_test(test_group_names),
		cmocka_unit_test(test_type_names),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
