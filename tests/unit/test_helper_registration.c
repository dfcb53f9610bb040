/* What members of a group register: ours byte for byte, and whatever others write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper/zookeeper/registration.h"

static enum kp_err
parse(const char *text, struct registration *r)
{
	return registration_parse(kp_slice_str(text), r);
}

static void
test_print_is_what_kafka_pixy_writes(void **state)
{
	static const char *const topics[] = { "foo", "bar" };
	static const char want[] = "{\"pattern\":\"static\",\"subscription\":{\"bar\":1,\"foo\":1},"
	    "\"timestamp\":1443133276,\"version\":1}";
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	assert_int_equal(registration_print(topics, 2, 1443133276, &b), KP_OK);
	assert_int_equal(b.len, strlen(want));
	assert_memory_equal(b.p, want, b.len);
	kp_buf_free(&b);
}

static void
test_print_fails_at_the_limit(void **state)
{
	static const char *const topics[] = { "foo" };
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 10);
	assert_int_equal(registration_print(topics, 1, 1, &b), KP_ENOMEM);
	kp_buf_free(&b);
}

static void
test_print_is_read_back(void **state)
{
	static const char *const topics[] = { "a", "b", "c" };
	struct registration r;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	assert_int_equal(registration_print(topics, 3, 1, &b), KP_OK);
	assert_int_equal(registration_parse(kp_buf_slice(&b), &r), KP_OK);
	assert_false(r.java);
	assert_false(r.wildcard);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(registration_count(&r, topics[i]), 1);
	assert_int_equal(registration_count(&r, "d"), 0);
	registration_free(&r);
	kp_buf_free(&b);
}

static void
test_java_is_known_by_its_timestamp(void **state)
{
	struct registration r;

	(void)state;
	assert_int_equal(parse("{\"version\":1,\"subscription\":{\"foo\":3},"
	    "\"pattern\":\"static\",\"timestamp\":\"1443133276123\"}", &r), KP_OK);
	assert_true(r.java);
	assert_int_equal(registration_count(&r, "foo"), 3);
	registration_free(&r);
}

static void
test_wildcard_takes_every_topic(void **state)
{
	struct registration r;

	(void)state;
	assert_int_equal(parse("{\"pattern\":\"white_list\",\"subscription\":{\"f.*\":2}}", &r),
	    KP_OK);
	assert_true(r.wildcard);
	assert_int_equal(registration_count(&r, "anything"), 2);
	registration_free(&r);
}

static void
test_what_is_missing_or_unknown_is_tolerated(void **state)
{
	static const char *const texts[] = {
		"{\"subscription\":{\"foo\":1}}",
		"{\"subscription\":{\"foo\":1},\"timestamp\":1.5,\"version\":\"x\",\"more\":[1]}",
		"{\"subscription\":{\"foo\":1},\"timestamp\":null,\"pattern\":7}",
		"{\"subscription\":{\"foo\":1,\"bar\":\"1\",\"baz\":null}}",
		"{\"subscription\":{\"bar\":0,\"foo\":1,\"baz\":-1,\"x\":2147483648,\"y\":1001}}",
	};
	struct registration r;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i], &r), KP_OK);
		assert_int_equal(r.n, 1);
		assert_int_equal(registration_count(&r, "foo"), 1);
		registration_free(&r);
	}
}

static void
test_subscribed_to_nothing(void **state)
{
	static const char *const texts[] = {
		"{}", "{\"subscription\":{}}", "{\"subscription\":[\"foo\"]}",
		"{\"subscription\":null}", "{\"subscription\":\"foo\"}",
		"{\"subscription\":{\"foo\":true}}",
	};
	struct registration r;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i], &r), KP_OK);
		assert_int_equal(registration_count(&r, "foo"), 0);
		registration_free(&r);
	}
}

static void
test_what_is_no_object_is_refused(void **state)
{
	static const char *const texts[] = {
		"", " ", "null", "[]", "\"foo\"", "1", "{", "{\"subscription\":{\"foo\":1}",
		"{\"subscription\":{\"foo\":1}} x",
		"{\"subscription\":{\"foo\":99999999999999999999}}",
		"{\"subscription\":{\"\xff\":1}}", "pixy_jobs1_62065_2015-09-24T22:21:05Z",
	};
	struct registration r;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i], &r), KP_EBADMSG);
		assert_int_equal(registration_count(&r, "foo"), 0);
		registration_free(&r);
	}
	assert_int_equal(registration_parse((struct kp_slice){ NULL, 0 }, &r), KP_EBADMSG);
}

/* No prefix of a good registration is a good one, and none upsets the reader. */
static void
test_every_truncation_is_refused(void **state)
{
	static const char text[] = "{\"pattern\":\"static\",\"subscription\":{\"f\\u00e9o\":1},"
	    "\"timestamp\":\"1443133276000\",\"version\":1}";
	struct registration r;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		assert_int_equal(registration_parse(
		    (struct kp_slice){ (const uint8_t *)text, n }, &r), KP_EBADMSG);
		registration_free(&r);
	}
}

/* The largest node that ZooKeeper stores, as deep and as wide as it can be. */
static void
test_a_mebibyte_of_json(void **state)
{
	enum { SIZE = 1 << 20 };
	char *text = malloc(SIZE);
	struct registration r;
	size_t n;

	(void)state;
	assert_non_null(text);
	memset(text, '[', SIZE);
	assert_int_equal(registration_parse(
	    (struct kp_slice){ (const uint8_t *)text, SIZE }, &r), KP_EBADMSG);
	n = (size_t)sprintf(text, "{\"subscription\":{\"foo\":1");
	for (unsigned i = 0; n < SIZE - 32; i++)
		n += (size_t)sprintf(text + n, ",\"t%u\":1", i);
	n += (size_t)sprintf(text + n, "}}");
	assert_int_equal(registration_parse(
	    (struct kp_slice){ (const uint8_t *)text, n }, &r), KP_OK);
	assert_true(r.n > 50000);
	assert_int_equal(registration_count(&r, "foo"), 1);
	assert_int_equal(registration_count(&r, "bar"), 0);
	registration_free(&r);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print_is_what_kafka_pixy_writes),
		cmocka_unit_test(test_print_fails_at_the_limit),
		cmocka_unit_test(test_print_is_read_back),
		cmocka_unit_test(test_java_is_known_by_its_timestamp),
		cmocka_unit_test(test_wildcard_takes_every_topic),
		cmocka_unit_test(test_what_is_missing_or_unknown_is_tolerated),
		cmocka_unit_test(test_subscribed_to_nothing),
		cmocka_unit_test(test_what_is_no_object_is_refused),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_a_mebibyte_of_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
