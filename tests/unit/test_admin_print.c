/* Numbers, spans and hostile text, as people are shown them. */
#include "deploy/admin/print.h"

#include "tests/unit/unit.h"

static void
test_counts_have_separators(void **state)
{
	static const struct {
		int64_t n;
		const char *want;
	} rows[] = {
		{ 0, "0" }, { 7, "7" }, { 999, "999" }, { 1000, "1,000" }, { 123456, "123,456" },
		{ 1234567, "1,234,567" }, { -1, "-1" }, { -100, "-100" }, { -1000, "-1,000" },
		{ -123456, "-123,456" }, { INT64_MAX, "9,223,372,036,854,775,807" },
		{ INT64_MIN, "-9,223,372,036,854,775,808" },
	};
	char text[PRINT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(print_count(rows[i].n, text), rows[i].want);
}

static void
test_bytes_have_units(void **state)
{
	static const struct {
		int64_t n;
		const char *want;
	} rows[] = {
		{ 0, "0 B" }, { 1, "1 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" }, { 1048524, "1023.9 KiB" }, { 1048525, "1.0 MiB" },
		{ 1048576, "1.0 MiB" }, { 1 << 30, "1.0 GiB" }, { INT64_MAX, "8.0 EiB" },
	};
	char text[PRINT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(print_bytes(rows[i].n, text), rows[i].want);
}

static void
test_spans_have_two_units(void **state)
{
	static const struct {
		int64_t s;
		const char *want;
	} rows[] = {
		{ 0, "0 s" }, { 59, "59 s" }, { 60, "1 min 0 s" }, { 61, "1 min 1 s" },
		{ 3599, "59 min 59 s" }, { 3600, "1 h 0 min" }, { 86399, "23 h 59 min" },
		{ 86400, "1 d 0 h" }, { 9 * 86400 + 7205, "9 d 2 h" },
		{ INT64_MAX, "106751991167300 d 15 h" },
	};
	char text[PRINT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(print_span(rows[i].s, text), rows[i].want);
}

static void
test_nothing_reaches_a_terminal_but_characters(void **state)
{
	static const struct {
		struct kp_slice in;
		const char *want;
	} rows[] = {
		{ LIT(""), "" }, { LIT("plain \u20ac"), "plain \u20ac" },
		{ LIT("\x1b[2J\a"), "\\x1b[2J\\x07" },
		{ LIT("a\nb\r\t\0"), "a\\x0ab\\x0d\\x09\\x00" },
		{ LIT("\x7f"), "\\x7f" }, { LIT("\xc2\x9b" "31m"), "\\xc2\\x9b31m" },
		{ LIT("\xff\xe2\x82"), "\\xff\\xe2\\x82" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t *copy = exact_copy(rows[i].in.p, rows[i].in.n);
		struct kp_slice s = { copy, rows[i].in.n };
		struct kp_buf b;

		kp_buf_init(&b, 256);
		print_text(&b, s);
		assert_true(kp_slice_eq(kp_buf_slice(&b), kp_slice_str(rows[i].want)));
		if (i != 1)	/* the only one with a character of several bytes */
			assert_int_equal(print_width(s), strlen(rows[i].want));
		else
			assert_int_equal(print_width(s), 7);
		kp_buf_free(&b);
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_have_separators),
		cmocka_unit_test(test_bytes_have_units),
		cmocka_unit_test(test_spans_have_two_units),
		cmocka_unit_test(test_nothing_reaches_a_terminal_but_characters),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
