/* Buffers: their limit, the failed mark, and memory that cannot be had. */
#include "common/buf.h"
#include "common/err.h"
#include "tests/unit/unit.h"

/* Under a sanitizer too, a request that no machine can fill must fail and not end the test. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
	return __asan_default_options();
}

static void
test_slice_of_string(void **state)
{
	(void)state;
	assert_null(kp_slice_str(NULL).p);
	assert_int_equal(kp_slice_str(NULL).n, 0);
	assert_non_null(kp_slice_str("").p);
	assert_true(kp_slice_eq(kp_slice_str("abc"), LIT("abc")));
	assert_false(kp_slice_eq(LIT("abc"), LIT("abd")));
	assert_false(kp_slice_eq(LIT("abc"), LIT("ab")));
	assert_true(kp_slice_eq(LIT("a\0b"), LIT("a\0b")));
	assert_false(kp_slice_eq(LIT("a\0b"), LIT("a\0c")));
}

static void
test_slice_dup_ends_with_nul(void **state)
{
	char *s = kp_slice_dup((struct kp_slice){ (const uint8_t *)"abcdef", 3 });

	(void)state;
	assert_string_equal(s, "abc");
	free(s);
	s = kp_slice_dup((struct kp_slice){ NULL, 0 });
	assert_string_equal(s, "");
	free(s);
}

static void
test_put_up_to_the_limit(void **state)
{
	static const char bytes[600];
	struct kp_buf b;

	(void)state;
	for (size_t limit = 0; limit <= sizeof(bytes); limit += 50) {
		kp_buf_init(&b, limit);
		kp_buf_put(&b, bytes, limit);
		assert_false(b.failed);
		assert_int_equal(b.len, limit);
		kp_buf_putc(&b, 'x');
		assert_true(b.failed);
		assert_int_equal(b.len, limit);
		kp_buf_free(&b);
	}
}

/* A failed put changes nothing, and nothing follows it: no hole in the bytes. */
static void
test_failed_mark_stops_later_puts(void **state)
{
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 10);
	kp_buf_puts(&b, "12345");
	kp_buf_puts(&b, "678901");
	assert_true(b.failed);
	kp_buf_puts(&b, "6");
	kp_buf_putc(&b, '7');
	kp_buf_printf(&b, "%d", 8);
	assert_false(kp_buf_reserve(&b, 1));
	assert_true(kp_slice_eq(kp_buf_slice(&b), LIT("12345")));
	kp_buf_reset(&b);
	kp_buf_puts(&b, "1234567890");
	assert_false(b.failed);
	assert_true(kp_slice_eq(kp_buf_slice(&b), LIT("1234567890")));
	kp_buf_free(&b);
	assert_int_equal(b.limit, 10);
	assert_null(b.p);
}

static void
test_no_memory_sets_the_mark(void **state)
{
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, SIZE_MAX);
	kp_buf_puts(&b, "kept");
	assert_false(kp_buf_reserve(&b, SIZE_MAX / 4));
	assert_true(b.failed);
	assert_true(kp_slice_eq(kp_buf_slice(&b), LIT("kept")));
	kp_buf_reset(&b);
	/* len + n would wrap around */
	kp_buf_puts(&b, "kept");
	assert_false(kp_buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	kp_buf_free(&b);
}

static void
test_printf_up_to_the_limit(void **state)
{
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 8);
	kp_buf_printf(&b, "%s", "");
	kp_buf_printf(&b, "%04d-%s", 12, "abc");
	assert_false(b.failed);
	assert_true(kp_slice_eq(kp_buf_slice(&b), LIT("0012-abc")));
	kp_buf_printf(&b, "%c", 'x');
	assert_true(b.failed);
	assert_true(kp_slice_eq(kp_buf_slice(&b), LIT("0012-abc")));
	kp_buf_free(&b);
}

static void
test_consume_from_the_front(void **state)
{
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 100);
	kp_buf_consume(&b, 0);
	kp_buf_puts(&b, "abcdef");
	kp_buf_consume(&b, 0);
	kp_buf_consume(&b, 2);
	assert_true(kp_slice_eq(kp_buf_slice(&b), LIT("cdef")));
	kp_buf_puts(&b, "gh");
	kp_buf_consume(&b, 6);
	assert_int_equal(b.len, 0);
	assert_non_null(kp_buf_slice(&b).p);
	kp_buf_free(&b);
	assert_non_null(kp_buf_slice(&b).p);
}

static void
test_buffers_share_a_quota_but_for_what_is_small(void **state)
{
	static const uint8_t bytes[100000];
	struct kp_quota q = { .max = 250000 };
	struct kp_buf b[3];

	(void)state;
	for (size_t i = 0; i < COUNT(b); i++) {
		kp_buf_init_quota(&b[i], SIZE_MAX, &q);
		kp_buf_put(&b[i], bytes, KP_QUOTA_FREE);
	}
	assert_int_equal(q.used, 0);
	for (size_t i = 0; i < COUNT(b); i++)
		kp_buf_put(&b[i], bytes, sizeof(bytes) - KP_QUOTA_FREE);
	assert_int_equal(q.used, 200000);
	assert_false(b[1].failed);
	assert_true(b[2].failed && b[2].no_room && b[2].len == KP_QUOTA_FREE);
	kp_buf_free(&b[0]);
	assert_int_equal(q.used, 100000);
	/* It fails until it is emptied, and is no fuller for it. */
	kp_buf_putc(&b[2], 'x');
	assert_int_equal(b[2].len, KP_QUOTA_FREE);
	kp_buf_reset(&b[2]);
	kp_buf_put(&b[2], bytes, sizeof(bytes));
	assert_false(b[2].failed || b[2].no_room);
	/* Past the limit is another matter. */
	b[1].limit = sizeof(bytes);
	kp_buf_putc(&b[1], 'x');
	assert_true(b[1].failed && !b[1].no_room);
	for (size_t i = 0; i < COUNT(b); i++)
		kp_buf_free(&b[i]);
	assert_int_equal(q.used, 0);
	assert_true(b[1].quota == &q);
}

static void
test_a_quota_is_never_passed(void **state)
{
	struct kp_quota q = { .max = 10 };

	(void)state;
	assert_false(kp_quota_take(&q, 11));
	assert_false(kp_quota_take(&q, SIZE_MAX));
	assert_true(kp_quota_take(&q, 0));
	assert_true(kp_quota_take(&q, 9));
	assert_false(kp_quota_take(&q, 2));
	assert_false(kp_quota_take(&q, SIZE_MAX));
	assert_true(kp_quota_take(&q, 1));
	assert_true(kp_quota_take(&q, 0));
	kp_quota_give(&q, 10);
	assert_int_equal(q.used, 0);
}

/* The list in err.h is the protocol: every number has a name and a text. */
static void
test_every_error_has_name_and_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KP_ERR_COUNT; i++) {
		assert_memory_equal(kp_err_name((enum kp_err)i), "KP_", 3);
		assert_true(strlen(kp_err_text((enum kp_err)i)) > 1);
	}
	assert_string_equal(kp_err_text((enum kp_err)KP_ERR_COUNT), "unknown error");
	assert_string_equal(kp_err_text((enum kp_err)-1), "unknown error");
	assert_string_equal(kp_err_name((enum kp_err)KP_ERR_COUNT), "KP_UNKNOWN");
	assert_string_equal(kp_err_name((enum kp_err)-1), "KP_UNKNOWN");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slice_of_string),
		cmocka_unit_test(test_slice_dup_ends_with_nul),
		cmocka_unit_test(test_put_up_to_the_limit),
		cmocka_unit_test(test_failed_mark_stops_later_puts),
		cmocka_unit_test(test_no_memory_sets_the_mark),
		cmocka_unit_test(test_printf_up_to_the_limit),
		cmocka_unit_test(test_consume_from_the_front),
		cmocka_unit_test(test_buffers_share_a_quota_but_for_what_is_small),
		cmocka_unit_test(test_a_quota_is_never_passed),
		cmocka_unit_test(test_every_error_has_name_and_text),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
