/* Acknowledged ranges as text. The cases are those of Kafka-Pixy's own tests of its offset
 * tracker, with the texts worked out by hand from its alphabet. */
#include "helper/consume/sparse.h"
#include "tests/unit/unit.h"

static const struct {
	int64_t base;
	const char *text;
	struct sparse_range v[4];
	size_t n;
} good[] = {
	{ 300, "", { { 0, 0 } }, 0 },
	{ 0, "BB", { { 1, 2 } }, 1 },
	{ 100, "BB", { { 101, 102 } }, 1 },
	{ 301, "BDCC", { { 302, 305 }, { 307, 309 } }, 2 },
	{ 301, "BDCCBD", { { 302, 305 }, { 307, 309 }, { 310, 313 } }, 3 },
	{ 301, "BBHC", { { 302, 303 }, { 310, 312 } }, 2 },
	/* 86 is 2 * 32 + 22, 4096 is 4 * 32 * 32 */
	{ 312, "2CCggEB", { { 398, 400 }, { 4496, 4497 } }, 2 },
	{ 0, "+//////////" "/H" "B", { { INT64_MAX - 1, INT64_MAX } }, 1 },
	{ 1000, "abra1234+/P", { { 1026, 1053 }, { 0, 0 }, }, 2 },
};

/* What a Kafka-Pixy refuses, and what neither of us ever writes. */
static const struct {
	int64_t base;
	const char *text;
} bad[] = {
	{ 10000, "AA" }, { 10000, "0123456789012a" }, { 10000, "a0123456789012b" },
	{ 10000, "1@b" }, { 10000, "a@b" }, { 1000, "abra1234+/PS" }, { 0, "B" }, { 0, "BA" },
	{ 0, "AB" }, { 0, "BBAB" }, { 0, "BB " }, { 0, "by hand" }, { 0, "B=" },
	{ 0, "hABBg" },
	{ 1, "//////////" "//HB" }, { INT64_MAX, "BB" }, { 0, "B//////////" "//H" },
	{ 0, "//////////" "//IB" },
};

static struct sparse_range v[SPARSE_MAX];

static enum kp_err
decode(const char *text, size_t bytes, int64_t base, size_t *n)
{
	uint8_t *copy = exact_copy(text, bytes);
	enum kp_err err = sparse_decode((struct kp_slice){ copy, bytes }, base, v, n);

	free(copy);
	return err;
}

static void
encode(struct sparse_text *t, int64_t base, size_t n)
{
	*t = (struct sparse_text){ .n = 0 };
	for (size_t i = 0; i < n; i++) {
		assert_true(sparse_add(t, base, v[i]));
		base = v[i].to;
	}
}

static void
test_texts_of_kafka_pixy(void **state)
{
	struct sparse_text t;
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_err(decode(good[i].text, strlen(good[i].text), good[i].base, &n), KP_OK);
		for (size_t k = 0; k < good[i].n && k < n && good[i].v[k].to; k++) {
			assert_int_equal(v[k].from, good[i].v[k].from);
			assert_int_equal(v[k].to, good[i].v[k].to);
		}
		assert_int_equal(n, good[i].n);
		encode(&t, good[i].base, n);
		assert_string_equal(t.p, good[i].text);
	}
}

static void
test_other_texts_are_refused(void **state)
{
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		n = 7;
		if (decode(bad[i].text, strlen(bad[i].text), bad[i].base, &n) != KP_EBADMSG)
			fail_msg("taken: %s", bad[i].text);
		assert_int_equal(n, 0);
	}
	assert_err(decode("BB\0", 3, 0, &n), KP_EBADMSG);
}

static void
test_text_is_bounded(void **state)
{
	struct sparse_text t = { .n = 0 };
	size_t n, added = 0;

	(void)state;
	while (sparse_add(&t, (int64_t)added * 2, (struct sparse_range){ (int64_t)added * 2 + 1,
	    (int64_t)added * 2 + 2 }))
		added++;
	assert_int_equal(added, SPARSE_MAX);
	assert_int_equal(t.n, METADATA_MAX);
	assert_err(decode(t.p, t.n, 0, &n), KP_OK);
	assert_int_equal(n, SPARSE_MAX);
	memcpy(t.p + t.n - 2, "BB", 2);
	char *more = malloc(METADATA_MAX + 2);
	memcpy(more, t.p, METADATA_MAX);
	memcpy(more + METADATA_MAX, "BB", 2);
	assert_err(decode(more, METADATA_MAX + 2, 0, &n), KP_EBADMSG);
	free(more);
}

static void
test_random_ranges_come_back(void **state)
{
	unsigned seed = unit_seed(), rounds = unit_rounds(2000, 200000);

	(void)state;
	srandom(seed);
	for (unsigned round = 0; round < rounds; round++) {
		int64_t base = random() % 2 ? 0 : random(), at = base;
		struct sparse_text t;
		static struct sparse_range want[100];
		size_t n = (size_t)random() % 100, got;

		for (size_t i = 0; i < n; i++) {
			want[i].from = at + 1 + (random() >> (random() % 31));
			want[i].to = at = want[i].from + 1 + (random() >> (random() % 31));
			v[i] = want[i];
		}
		encode(&t, base, n);
		assert_err(decode(t.p, t.n, base, &got), KP_OK);
		assert_int_equal(got, n);
		assert_memory_equal(v, want, n * sizeof(*v));
	}
	print_message("sparse: texts=%u seed=%u\n", rounds, seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_of_kafka_pixy),
		cmocka_unit_test(test_other_texts_are_refused),
		cmocka_unit_test(test_text_is_bounded),
		cmocka_unit_test(test_random_ranges_come_back),
	};

	unit_filter();
	return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}
