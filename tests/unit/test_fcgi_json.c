/* JSON text byte for byte, and the one body that is parsed. */
#include "fcgi/json.h"
#include "fcgi/json_in.h"

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/json_out.h"
#include "tests/unit/unit.h"

static void
check_text(struct kp_buf *b, const char *want)
{
	assert_false(b->failed);
	kp_buf_putc(b, '\0');
	assert_string_equal((char *)b->p, want);
	kp_buf_free(b);
}

static const struct {
	struct kp_slice in;
	const char *want;
} strings[] = {
	{ LIT(""), "\"\"" },
	{ LIT("plain text"), "\"plain text\"" },
	{ LIT("\"\\/"), "\"\\\"\\\\/\"" },
	{ LIT("\n\r\t"), "\"\\n\\r\\t\"" },
	{ LIT("\0\1\b\f\x1f\x7f"), "\"\\u0000\\u0001\\u0008\\u000c\\u001f\x7f\"" },
	{ LIT("<a>&"), "\"\\u003ca\\u003e\\u0026\"" },
	{ LIT("\u00e9\u20ac\U0001f600"), "\"\u00e9\u20ac\U0001f600\"" },
	{ LIT("\u2027\u2028\u2029\u202a"), "\"\u2027\\u2028\\u2029\u202a\"" },
	{ LIT("a\xff" "b"), "\"a\\ufffdb\"" },
	{ LIT("\xc3"), "\"\\ufffd\"" },
	{ LIT("\xe2\x82"), "\"\\ufffd\\ufffd\"" },
	{ LIT("\xc0\xaf"), "\"\\ufffd\\ufffd\"" },
	{ LIT("\xe0\x9f\xbf"), "\"\\ufffd\\ufffd\\ufffd\"" },
	{ LIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },
	{ LIT("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ LIT("\xf0\x8f\xbf\xbf"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ LIT("\xf8\x88\x80\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ LIT("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"),
	    "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"" },
};

static void
test_strings_are_escaped_as_go_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(strings); i++) {
		uint8_t *copy = exact_copy(strings[i].in.p, strings[i].in.n);
		struct kp_buf b;

		kp_buf_init(&b, 4096);
		json_put_string(&b, (struct kp_slice){ copy, strings[i].in.n });
		check_text(&b, strings[i].want);
		free(copy);
	}
}

static void
test_small_replies(void **state)
{
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	json_empty(&b);
	check_text(&b, "{}");
	json_error(&b, LIT("long polling timeout"));
	assert_int_equal(b.len, 37);
	check_text(&b, "{\n  \"error\": \"long polling timeout\"\n}");
	json_produced(&b, &(struct msg_produced){ 7, 974563, 1 });
	check_text(&b, "{\n  \"partition\": 7,\n  \"offset\": 974563\n}");
	json_produced(&b, &(struct msg_produced){ INT32_MAX, INT64_MAX, 0 });
	check_text(&b,
	    "{\n  \"partition\": 2147483647,\n  \"offset\": 9223372036854775807\n}");
}

static void
test_receipts(void **state)
{
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	json_receipt(&b, &(struct msg_receipt){ INT64_MAX, RECEIPT_PENDING, -1, -1, LIT("") });
	check_text(&b, "{\n  \"id\": \"9223372036854775807\",\n  \"state\": \"pending\"\n}");
	json_receipt(&b, &(struct msg_receipt){ 5, RECEIPT_DELIVERED, 0, 974563, LIT("") });
	check_text(&b, "{\n  \"id\": \"5\",\n  \"state\": \"delivered\",\n  \"partition\": 0,\n"
	    "  \"offset\": 974563\n}");
	json_receipt(&b, &(struct msg_receipt){ 5, RECEIPT_DEAD, -1, -1, LIT("<too large>\n") });
	check_text(&b, "{\n  \"id\": \"5\",\n  \"state\": \"dead\",\n"
	    "  \"reason\": \"\\u003ctoo large\\u003e\\n\"\n}");
}

static const struct {
	struct kp_slice key, value;
	const char *want_key, *want_value;
} messages[] = {
	{ { NULL, 0 }, { NULL, 0 }, "null", "null" },
	{ LIT(""), LIT(""), "\"\"", "\"\"" },
	{ LIT("f"), LIT("fo"), "\"Zg==\"", "\"Zm8=\"" },
	{ LIT("foo"), LIT("foob"), "\"Zm9v\"", "\"Zm9vYg==\"" },
	{ LIT("fooba"), LIT("foobar"), "\"Zm9vYmE=\"", "\"Zm9vYmFy\"" },
	{ LIT("\xff\xff\xff"), LIT("\xfb\xef\xbe"), "\"////\"", "\"++++\"" },
	{ LIT("\0"), LIT("\0\0"), "\"AA==\"", "\"AAA=\"" },
};

static void
test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		const struct msg_message m = { 1, 3, 5, messages[i].key, messages[i].value };
		char want[256];
		struct kp_buf b;

		snprintf(want, sizeof(want), "{\n  \"key\": %s,\n  \"value\": %s,\n"
		    "  \"partition\": 3,\n  \"offset\": 5\n}", messages[i].want_key,
		    messages[i].want_value);
		kp_buf_init(&b, 4096);
		json_message(&b, &m);
		check_text(&b, want);
	}
}

static void
test_a_message_past_the_limit_marks_the_buffer(void **state)
{
	const struct msg_message m = { .value = LIT("0123456789") };
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 32);
	json_message(&b, &m);
	assert_true(b.failed);
	kp_buf_free(&b);
}

static void
test_offsets(void **state)
{
	struct msg_offset v[] = {
		{ 0, 1, 10, 4, LIT("me<ta"), false },
		{ 1, 0, 3, -1, LIT(""), false },
	};
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	json_offsets(&b, &(struct msg_offsets){ .v = v, .n = 2 });
	check_text(&b, "[\n  {\n    \"partition\": 0,\n    \"begin\": 1,\n    \"end\": 10,\n"
	    "    \"count\": 9,\n    \"offset\": 4,\n    \"lag\": 6,\n"
	    "    \"metadata\": \"me\\u003cta\"\n  },\n"
	    "  {\n    \"partition\": 1,\n    \"begin\": 0,\n    \"end\": 3,\n"
	    "    \"count\": 3,\n    \"offset\": -1,\n    \"lag\": 0\n  }\n]");
	json_offsets(&b, &(struct msg_offsets){ 0 });
	check_text(&b, "[]");
}

static void
test_consumers_are_sorted_and_idle_members_left_out(void **state)
{
	int32_t a[] = { 2, 0, 10, 1 }, c[] = { 7 }, d[] = { 3 };
	struct msg_consumer v[] = {
		{ LIT("g2"), LIT("m\"1"), d, 1 },
		{ LIT("g1"), LIT("pixy_b"), c, 1 },
		{ LIT("g1"), LIT("pixy_a"), a, 4 },
		{ LIT("g1"), LIT("idle"), NULL, 0 },
		{ LIT("g0"), LIT("idle"), NULL, 0 },
	};
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	json_consumers(&b, &(struct msg_consumers){ v, COUNT(v) });
	check_text(&b, "{\n  \"g1\": {\n    \"pixy_a\": [0,1,2,10],\n    \"pixy_b\": [7]\n  },\n"
	    "  \"g2\": {\n    \"m\\\"1\": [3]\n  }\n}");
	json_consumers(&b, &(struct msg_consumers){ v, 0 });
	check_text(&b, "{}");
	/* Sorted, the idle ones are the first two. */
	json_consumers(&b, &(struct msg_consumers){ v, 2 });
	check_text(&b, "{}");
}

static void
test_offsets_body_as_a_reply_gave_it(void **state)
{
	static const struct kp_slice body = LIT(" [{\"partition\": 2, \"begin\": 0, \"end\": 9,"
	    "\"count\": 9, \"offset\": -2, \"lag\": \"x\", \"metadata\": \"\\u0000m\"},\n"
	    "{\"offset\": 9223372036854775807, \"partition\": 0}] \n");
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	char why[256];

	(void)state;
	assert_err(json_parse_offsets(body, &doc, &m, why, sizeof(why)), KP_OK);
	assert_int_equal(m.n, 2);
	assert_int_equal(m.v[0].partition, 0);
	assert_true(m.v[0].offset == INT64_MAX);
	assert_int_equal(m.v[0].metadata.n, 0);
	assert_int_equal(m.v[1].partition, 2);
	assert_int_equal(m.v[1].offset, -2);
	assert_true(kp_slice_eq(m.v[1].metadata, LIT("\0m")));
	json_doc_free(&doc);
}

static void
test_offsets_body_with_times(void **state)
{
	static const struct kp_slice body = LIT("[{\"partition\": 1, \"time\": "
	    "\"2026-01-31T13:00:00.25+01:00\", \"metadata\": \"m\"}, {\"time\": 0, "
	    "\"partition\": 0}, {\"partition\": 2, \"offset\": 7}]");
	static const int64_t offsets[] = { 0, 1769860800250, 7 };
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	char why[256];

	(void)state;
	assert_err(json_parse_offsets(body, &doc, &m, why, sizeof(why)), KP_OK);
	assert_int_equal(m.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(m.v[i].partition, i);
		assert_true(m.v[i].offset == offsets[i]);
		assert_int_equal(m.v[i].by_time, i < 2);
	}
	assert_true(kp_slice_eq(m.v[1].metadata, LIT("m")));
	json_doc_free(&doc);
}

/* Before the list, and nowhere else. */
static void
test_offsets_body_with_a_byte_order_mark(void **state)
{
	static const struct kp_slice bodies[] = {
		LIT("\xef\xbb\xbf[{\"partition\": 1, \"offset\": 7}]"),
		LIT("\xef\xbb\xbf"), LIT("\xef\xbb"), LIT("\xef\xbb\xbf\xef\xbb\xbf[]"),
		LIT("[\xef\xbb\xbf{\"partition\": 1, \"offset\": 7}]"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		uint8_t *copy = exact_copy(bodies[i].p, bodies[i].n);
		const struct kp_slice body = { copy, bodies[i].n };
		struct msg_offsets m = { 0 };
		struct json_doc doc;
		char why[256];

		assert_err(json_parse_offsets(body, &doc, &m, why, sizeof(why)),
		    i == 0 ? KP_OK : KP_EBADREQ);
		assert_int_equal(m.n, i == 0);
		json_doc_free(&doc);
		free(copy);
	}
}

#define ELEMENT(s) "[{\"partition\": 0, \"offset\": 1}, " s "]"

/* A body, and what the error must say. */
static const struct {
	const char *body, *why;
} bad_bodies[] = {
	{ "", "line 1" },
	{ "[", "line 1" },
	{ "\n[{]", "line 2" },
	{ "nonsense", "line 1" },
	{ "{}", "a list of objects is expected" },
	{ "null", "a list of objects is expected" },
	{ "\"[]\"", "a list of objects is expected" },
	{ "[] x", "line 1" },
	{ "[][]", "line 1" },
	{ "[1]", "element 0 is not an object" },
	{ "[null]", "element 0 is not an object" },
	{ ELEMENT("[]"), "element 1 is not an object" },
	{ "[{}]", "element 0: \"partition\" is missing" },
	{ ELEMENT("{\"partition\": 1}"), "element 1: \"offset\" is missing" },
	{ ELEMENT("{\"offset\": 1}"), "element 1: \"partition\" is missing" },
	{ ELEMENT("{\"partition\": \"1\", \"offset\": 1}"), "\"partition\" is not an integer" },
	{ ELEMENT("{\"partition\": 1.0, \"offset\": 1}"), "\"partition\" is not an integer" },
	{ ELEMENT("{\"partition\": true, \"offset\": 1}"), "\"partition\" is not an integer" },
	{ ELEMENT("{\"partition\": -1, \"offset\": 1}"), "\"partition\" is out of range" },
	{ ELEMENT("{\"partition\": 2147483648, \"offset\": 1}"), "\"partition\" is out of range" },
	{ ELEMENT("{\"partition\": 1, \"offset\": null}"), "\"offset\" is not an integer" },
	{ ELEMENT("{\"partition\": 1, \"offset\": 1e3}"), "\"offset\" is not an integer" },
	{ ELEMENT("{\"partition\": 1, \"offset\": -3}"), "\"offset\" is out of range" },
	{ ELEMENT("{\"partition\": 1, \"offset\": 9223372036854775808}"), "too big" },
	{ ELEMENT("{\"partition\": 1, \"offset\": -9223372036854775809}"), "too big" },
	{ ELEMENT("{\"partition\": 1, \"offset\": 1e999}"), "line 1" },
	{ ELEMENT("{\"partition\": 1, \"offset\": 01}"), "line 1" },
	{ ELEMENT("{\"partition\": 1, \"offset\": 1, \"metadata\": 1}"), "\"metadata\" is not" },
	{ ELEMENT("{\"partition\": 1, \"offset\": 1, \"offset\": 2}"), "duplicate" },
	{ ELEMENT("{\"partition\": 0, \"offset\": 1}"), "partition 0 is given twice" },
	{ ELEMENT("{\"partition\": 0, \"time\": 1}"), "partition 0 is given twice" },
	{ ELEMENT("{\"partition\": 1, \"offset\": 1, \"time\": 1}"),
	    "element 1: \"time\" and \"offset\" exclude each other" },
	{ ELEMENT("{\"partition\": 1, \"offset\": null, \"time\": 1}"), "exclude each other" },
	{ ELEMENT("{\"partition\": 1, \"time\": -1}"), "element 1: \"time\" is out of range" },
	{ ELEMENT("{\"partition\": 1, \"time\": 253402300800000}"), "\"time\" is out of range" },
	{ ELEMENT("{\"partition\": 1, \"time\": 1.5}"), "\"time\" is neither a time, such as" },
	{ ELEMENT("{\"partition\": 1, \"time\": null}"), "\"time\" is neither" },
	{ ELEMENT("{\"partition\": 1, \"time\": \"\"}"), "\"time\" is neither" },
	{ ELEMENT("{\"partition\": 1, \"time\": \"1769860800000\"}"), "\"time\" is neither" },
	{ ELEMENT("{\"partition\": 1, \"time\": \"2026-02-29T00:00:00Z\"}"), "is neither" },
	{ ELEMENT("{\"partition\": 1, \"time\": \"2026-01-31T12:00:00Z\\u0000\"}"),
	    "is neither" },
	{ "[{\"partition\": 0, \"offset\": 1, \"x\": \"\xff\"}]", "line 1" },
	{ "[{\"partition\": 0, \"offset\": 1},]", "line 1 column 32: an object is expected" },
	{ "[{\"partition\": 0, \"offset\": 1} {}]", "line 1 column 32: ',' or ']' is expected" },
	{ "[,]", "line 1 column 2: an object is expected" },
	{ "[{\"partition\": 0,\n\"offset\": 1,\n \"\u20ac\": x}]", "line 3 column 7" },
	{ "[{\"partition\": 0, \"offset\": 1", "line 1" },
	{ "[{\"partition\": 0, \"offset\": 1, \"x\": \"\\", "line 1" },
};

static void
test_bad_offsets_bodies_are_refused_with_the_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_bodies); i++) {
		size_t n = strlen(bad_bodies[i].body);
		uint8_t *copy = exact_copy(bad_bodies[i].body, n);
		struct msg_offsets m = { 0 };
		struct json_doc doc;
		char why[256] = "";

		assert_err(json_parse_offsets((struct kp_slice){ copy, n }, &doc, &m, why,
		    sizeof(why)), KP_EBADREQ);
		if (strstr(why, bad_bodies[i].why) == NULL)
			fail_msg("%s: \"%s\"", bad_bodies[i].body, why);
		json_doc_free(&doc);
		free(copy);
	}
}

/* A parser that reads C strings may take it for an end, or for nothing. */
static void
test_offsets_body_with_a_nul_byte_is_refused(void **state)
{
	static const char whole[] = "[{\"partition\": 1, \"offset\": 23, \"metadata\": \"m\"}] ";
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	char why[256];

	(void)state;
	for (size_t i = 0; i <= strlen(whole); i++) {
		uint8_t *copy = exact_copy(whole, sizeof(whole));

		memmove(copy + i + 1, copy + i, strlen(whole) - i);
		copy[i] = '\0';
		assert_err(json_parse_offsets((struct kp_slice){ copy, sizeof(whole) }, &doc, &m,
		    why, sizeof(why)), KP_EBADREQ);
		json_doc_free(&doc);
		free(copy);
	}
}

/* `n` times `unit` as the list's text, or bare. */
static enum kp_err
parse_repeated(const char *unit, size_t n, const char *before, const char *after)
{
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	enum kp_err err;
	struct kp_buf b;
	char why[256];

	kp_buf_init(&b, 4u * 1024 * 1024);
	kp_buf_puts(&b, before);
	for (size_t i = 0; i < n; i++)
		kp_buf_puts(&b, unit);
	kp_buf_puts(&b, after);
	err = json_parse_offsets(kp_buf_slice(&b), &doc, &m, why, sizeof(why));
	json_doc_free(&doc);
	kp_buf_free(&b);
	return err;
}

static void
test_offsets_body_limits(void **state)
{
	(void)state;
	assert_err(parse_repeated("[", 100000, "", ""), KP_EBADREQ);
	assert_err(parse_repeated("{\"a\":", 100000, "", ""), KP_EBADREQ);
	assert_err(parse_repeated("[", 30, "[{\"partition\":0,\"offset\":1,\"x\":",
	    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]"), KP_OK);
	/* Brackets in strings are no depth. */
	assert_err(parse_repeated("[\\\"", 1000, "[{\"partition\":0,\"offset\":1,\"x\":\"",
	    "\"}]"), KP_OK);
	assert_err(parse_repeated("m", METADATA_MAX,
	    "[{\"partition\":0,\"offset\":1,\"metadata\":\"", "\"}]"), KP_OK);
	assert_err(parse_repeated("m", METADATA_MAX + 1,
	    "[{\"partition\":0,\"offset\":1,\"metadata\":\"", "\"}]"), KP_EBADREQ);
	assert_err(parse_repeated("{},", PARTITIONS_MAX, "[", "{}]"), KP_EBADREQ);
	assert_err(parse_repeated("0,", JSON_VALUES_MAX - 4, "[{\"partition\":0,\"offset\":1,"
	    "\"x\":[", "0]}]"), KP_OK);
	assert_err(parse_repeated("0,", JSON_VALUES_MAX - 3, "[{\"partition\":0,\"offset\":1,"
	    "\"x\":[", "0]}]"), KP_EBADREQ);
	assert_err(parse_repeated("", 0, "[]", ""), KP_OK);
}

/* What jansson has now, and the most that it had. */
static size_t tree_bytes, tree_peak;

static void *
count_malloc(size_t n)
{
	size_t *p = malloc(sizeof(max_align_t) + n);

	if (p == NULL)
		return NULL;
	*p = n;
	tree_bytes += n;
	if (tree_peak < tree_bytes)
		tree_peak = tree_bytes;
	return (char *)p + sizeof(max_align_t);
}

static void
count_free(void *p)
{
	size_t *begin;

	if (p == NULL)
		return;
	begin = (size_t *)((char *)p - sizeof(max_align_t));
	tree_bytes -= *begin;
	free(begin);
}

#define BODY_MAX (1024u * 1024)

/* Bodies of up to a MiB that a tree would blow up: what stands before, again and again, and
 * at the end. */
static const struct {
	const char *before, *unit, *after;
} bombs[] = {
	{ "[", "{},", "{}]" },
	{ "[{\"partition\":0,\"offset\":1,\"x\":[", "{},", "{}]}]" },
	{ "[{\"partition\":0,\"offset\":1,\"x\":[", "[],", "[]]}]" },
	{ "[{\"partition\":0,\"offset\":1,\"x\":[", "0,", "0]}]" },
	{ "[{\"partition\":0,\"offset\":1,\"x\":\"", "x", "\"}]" },
	{ "[{\"partition\":0,\"offset\":1,\"x\":\"", "x", "" },
	{ "[{\"partition\":0,\"offset\":1,\"", "x", "\":1}]" },
	{ "[", "{\"partition\":0,\"time\":0},", "{}]" },
	{ "[", "0,", "0]" },
	{ "[", ",", "]" },
	{ "[", "[],", "[]]" },
	{ "{", "\"a\":{},", "\"b\":{}}" },
	{ "[{\"partition\":0,\"offset\":1,\"metadata\":\"x\"},",
	    "{\"partition\":1,\"offset\":1,\"metadata\":\"\"},", "{}]" },
};

static void
check_bomb(size_t i, size_t bytes)
{
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	struct kp_buf b;
	char why[256];
	size_t made;

	kp_buf_init(&b, BODY_MAX + 256);
	kp_buf_puts(&b, bombs[i].before);
	while (b.len < bytes)
		kp_buf_puts(&b, bombs[i].unit);
	kp_buf_puts(&b, bombs[i].after);
	tree_peak = tree_bytes = 0;
	json_parse_offsets(kp_buf_slice(&b), &doc, &m, why, sizeof(why));
	made = tree_peak + malloc_usable_size(doc.v) + malloc_usable_size(doc.metadata);
	if (made > 4 * b.len + 192 * 1024)
		fail_msg("%s%s...: %zu bytes of %zu", bombs[i].before, bombs[i].unit, made,
		    b.len);
	assert_int_equal(tree_bytes, 0);
	json_doc_free(&doc);
	kp_buf_free(&b);
}

static void
test_offsets_body_takes_four_times_its_bytes_at_most(void **state)
{
	static const size_t sizes[] = { 10, 1000, 30 * 1024, 64 * 1024, BODY_MAX - 100 };

	(void)state;
	for (size_t i = 0; i < COUNT(bombs); i++)
		for (size_t k = 0; k < COUNT(sizes); k++)
			check_bomb(i, sizes[k]);
}

/* As many as can be, each as long as can be. */
static void
test_offsets_body_may_be_full_of_metadata(void **state)
{
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	struct kp_buf b;
	char why[256];

	(void)state;
	kp_buf_init(&b, BODY_MAX);
	for (int i = 0; i < 40; i++) {
		kp_buf_printf(&b, "%s{\"partition\":%d,\"offset\":1,\"metadata\":\"", i ? "," : "[",
		    40 - i);
		for (int k = 0; k < METADATA_MAX; k++)
			kp_buf_printf(&b, "\\u00%02x", i);
		kp_buf_puts(&b, "\"}");
	}
	kp_buf_puts(&b, "]");
	assert_err(json_parse_offsets(kp_buf_slice(&b), &doc, &m, why, sizeof(why)), KP_OK);
	assert_int_equal(m.n, 40);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(m.v[i].partition, i + 1);
		assert_int_equal(m.v[i].metadata.n, METADATA_MAX);
		assert_int_equal(m.v[i].metadata.p[0], 39 - i);
		assert_int_equal(m.v[i].metadata.p[METADATA_MAX - 1], 39 - i);
	}
	json_doc_free(&doc);
	kp_buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings_are_escaped_as_go_does),
		cmocka_unit_test(test_small_replies),
		cmocka_unit_test(test_receipts),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_a_message_past_the_limit_marks_the_buffer),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_consumers_are_sorted_and_idle_members_left_out),
		cmocka_unit_test(test_offsets_body_as_a_reply_gave_it),
		cmocka_unit_test(test_offsets_body_with_times),
		cmocka_unit_test(test_offsets_body_with_a_byte_order_mark),
		cmocka_unit_test(test_bad_offsets_bodies_are_refused_with_the_place),
		cmocka_unit_test(test_offsets_body_with_a_nul_byte_is_refused),
		cmocka_unit_test(test_offsets_body_limits),
		cmocka_unit_test(test_offsets_body_takes_four_times_its_bytes_at_most),
		cmocka_unit_test(test_offsets_body_may_be_full_of_metadata),
	};

	json_set_alloc_funcs(count_malloc, count_free);
	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
