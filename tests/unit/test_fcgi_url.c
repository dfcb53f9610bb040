/* Queries, forms and paths, kind and hostile. Expected values are those of Go's
 * url.ParseQuery, but for ';', which is a character like any other here. */
#include "fcgi/url.h"

#include <malloc.h>

#include "tests/unit/unit.h"

#define PAIRS_MAX 4

static const struct {
	struct kp_slice text;
	size_t n;
	struct url_pair want[PAIRS_MAX];
} queries[] = {
	{ LIT(""), 0, { { LIT(""), LIT("") } } },
	{ LIT("&"), 0, { { LIT(""), LIT("") } } },
	{ LIT("&&&"), 0, { { LIT(""), LIT("") } } },
	{ LIT("a=1"), 1, { { LIT("a"), LIT("1") } } },
	{ LIT("a"), 1, { { LIT("a"), LIT("") } } },
	{ LIT("a="), 1, { { LIT("a"), LIT("") } } },
	{ LIT("="), 1, { { LIT(""), LIT("") } } },
	{ LIT("=1"), 1, { { LIT(""), LIT("1") } } },
	{ LIT("a=1&b=2&a=3"), 3, { { LIT("a"), LIT("1") }, { LIT("b"), LIT("2") },
	    { LIT("a"), LIT("3") } } },
	{ LIT("a=b=c"), 1, { { LIT("a"), LIT("b=c") } } },
	{ LIT("a+b=c+d"), 1, { { LIT("a b"), LIT("c d") } } },
	{ LIT("a%2Bb=%2b"), 1, { { LIT("a+b"), LIT("+") } } },
	{ LIT("a=%26%3D&b"), 2, { { LIT("a"), LIT("&=") }, { LIT("b"), LIT("") } } },
	{ LIT("a=%00x"), 1, { { LIT("a"), LIT("\0x") } } },
	{ LIT("a=%ff%C3"), 1, { { LIT("a"), LIT("\xff\xc3") } } },
	{ LIT("a=1&b=%&c=3"), 2, { { LIT("a"), LIT("1") }, { LIT("c"), LIT("3") } } },
	{ LIT("a=1&%zz=2&c=3"), 2, { { LIT("a"), LIT("1") }, { LIT("c"), LIT("3") } } },
	{ LIT("a=%4"), 0, { { LIT(""), LIT("") } } },
	{ LIT("a=%g0"), 0, { { LIT(""), LIT("") } } },
	{ LIT("a=%0g"), 0, { { LIT(""), LIT("") } } },
	{ LIT("a=%-1"), 0, { { LIT(""), LIT("") } } },
	{ LIT("a=%%30"), 0, { { LIT(""), LIT("") } } },
	{ LIT("a=1;b=2"), 1, { { LIT("a"), LIT("1;b=2") } } },
	{ LIT("A=1&a=2"), 2, { { LIT("A"), LIT("1") }, { LIT("a"), LIT("2") } } },
};

static void
check_slice(struct kp_slice got, struct kp_slice want)
{
	assert_non_null(got.p);
	assert_int_equal(got.n, want.n);
	assert_memory_equal(got.p, want.p, want.n);
}

static void
test_queries_are_parsed_as_go_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(queries); i++) {
		size_t n = queries[i].text.n;
		uint8_t *copy = exact_copy(queries[i].text.p, n);
		struct url_pairs p;

		assert_err(url_pairs_parse(&p, (struct kp_slice){ copy, n }), KP_OK);
		assert_int_equal(p.n, queries[i].n);
		for (size_t k = 0; k < p.n; k++) {
			check_slice(p.v[k].name, queries[i].want[k].name);
			check_slice(p.v[k].value, queries[i].want[k].value);
		}
		url_pairs_free(&p);
		/* Over the text it is the same. */
		assert_err(url_pairs_parse_in_place(&p, copy, n), KP_OK);
		assert_int_equal(p.n, queries[i].n);
		for (size_t k = 0; k < p.n; k++) {
			check_slice(p.v[k].name, queries[i].want[k].name);
			check_slice(p.v[k].value, queries[i].want[k].value);
		}
		url_pairs_free(&p);
		free(copy);
	}
}

static void
test_first_value_wins_and_all_are_counted(void **state)
{
	struct url_pairs p;

	(void)state;
	assert_err(url_pairs_parse(&p, LIT("g=1&G=2&g=3&s&%zz=4&g=%")), KP_OK);
	check_slice(url_pairs_first(&p, "g"), LIT("1"));
	check_slice(url_pairs_first(&p, "s"), LIT(""));
	assert_null(url_pairs_first(&p, "x").p);
	assert_int_equal(url_pairs_count(&p, "g"), 2);
	assert_int_equal(url_pairs_count(&p, "x"), 0);
	url_pairs_free(&p);
}

/* What is no pair takes nothing, however much of it there is. */
static void
test_pairs_take_little_whatever_the_text_is(void **state)
{
	static const char *const units[] = { "&", "a&", "=&", "%zz&", "a=%&" };
	struct url_pairs p;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, SIZE_MAX);
	for (size_t i = 0; i < COUNT(units); i++) {
		enum kp_err want = i == 1 || i == 2 ? KP_EBADREQ : KP_OK;

		kp_buf_reset(&b);
		while (b.len < 1000000)
			kp_buf_puts(&b, units[i]);
		assert_err(url_pairs_parse(&p, kp_buf_slice(&b)), want);
		assert_in_range(malloc_usable_size(p.v), 0, 64 * 1024);
		assert_in_range(malloc_usable_size(p.bytes), 0, b.len + 8192);
		url_pairs_free(&p);
	}
	kp_buf_free(&b);
}

static void
test_absent_text_has_no_pairs(void **state)
{
	struct url_pairs p;

	(void)state;
	assert_err(url_pairs_parse(&p, (struct kp_slice){ 0 }), KP_OK);
	assert_int_equal(p.n, 0);
	url_pairs_free(&p);
}

static void
test_plus_is_itself_in_a_path(void **state)
{
	uint8_t out[8];
	size_t n;

	(void)state;
	assert_true(url_decode(LIT("a+b%2F"), false, out, &n));
	check_slice((struct kp_slice){ out, n }, LIT("a+b/"));
	assert_false(url_decode(LIT("a%2"), false, out, &n));
}

static const struct {
	struct kp_slice target, path, query;
} targets[] = {
	{ LIT("/a/b"), LIT("/a/b"), { NULL, 0 } },
	{ LIT("/a?"), LIT("/a"), LIT("") },
	{ LIT("/a?x=1?y"), LIT("/a"), LIT("x=1?y") },
	{ LIT("http://h:1/a?x"), LIT("/a"), LIT("x") },
	{ LIT("https://h"), LIT(""), { NULL, 0 } },
	{ LIT("/http://h/a"), LIT("/http://h/a"), { NULL, 0 } },
	{ LIT("*"), LIT("*"), { NULL, 0 } },
	{ LIT(""), LIT(""), { NULL, 0 } },
};

static void
test_targets_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++) {
		struct kp_slice query = url_query(targets[i].target);

		assert_true(kp_slice_eq(url_path(targets[i].target), targets[i].path));
		assert_int_equal(query.p == NULL, targets[i].query.p == NULL);
		assert_true(kp_slice_eq(query, targets[i].query));
	}
}

static const struct {
	struct kp_slice path, prefix, want;
} prefixes[] = {
	{ LIT("/k/topics"), LIT("/k"), LIT("/topics") },
	{ LIT("/k/topics"), LIT("/k/"), LIT("/topics") },
	{ LIT("/kk/topics"), LIT("/k"), LIT("/kk/topics") },
	{ LIT("/k"), LIT("/k"), LIT("/k") },
	{ LIT("/topics"), LIT(""), LIT("/topics") },
	{ LIT("/topics"), LIT("/"), LIT("/topics") },
	{ LIT("/topics"), LIT("/a-prefix-that-is-longer"), LIT("/topics") },
	{ LIT("/a/b/topics"), LIT("/a/b"), LIT("/topics") },
};

static void
test_prefix_is_taken_off_as_whole_segments(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(prefixes); i++)
		assert_true(kp_slice_eq(url_less_prefix(prefixes[i].path, prefixes[i].prefix),
		    prefixes[i].want));
}

static void
test_segments_keep_the_empty_ones(void **state)
{
	static const struct kp_slice want[] = { LIT("a"), LIT(""), LIT("b%2F"), LIT("") };
	struct kp_slice path = LIT("/a//b%2F/"), s;

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_true(url_segment(&path, &s));
		assert_true(kp_slice_eq(s, want[i]));
	}
	assert_false(url_segment(&path, &s));
	path = LIT("a/b");
	assert_false(url_segment(&path, &s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queries_are_parsed_as_go_does),
		cmocka_unit_test(test_first_value_wins_and_all_are_counted),
		cmocka_unit_test(test_pairs_take_little_whatever_the_text_is),
		cmocka_unit_test(test_absent_text_has_no_pairs),
		cmocka_unit_test(test_plus_is_itself_in_a_path),
		cmocka_unit_test(test_targets_are_cut),
		cmocka_unit_test(test_prefix_is_taken_off_as_whole_segments),
		cmocka_unit_test(test_segments_keep_the_empty_ones),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
