/* Log lines, as they arrive on descriptor 2: one event is one line, always. */
#include "common/log.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <unistd.h>

static int saved_stderr, reader;

/* From here to captured() descriptor 2 is a pipe. */
static void
capture(void)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fd[1], STDERR_FILENO);
	close(fd[1]);
	reader = fd[0];
}

/* All that was written, NUL-terminated, in static memory. */
static const char *
captured(void)
{
	static char out[65536];
	size_t n = 0;
	ssize_t k;

	assert_true(log_flush(5000));
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	while ((k = read(reader, out + n, sizeof(out) - 1 - n)) > 0)
		n += (size_t)k;
	close(reader);
	out[n] = '\0';
	return out;
}

static bool
matches(const char *text, const char *pattern)
{
	regex_t re;
	bool found;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	found = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return found;
}

/* Logs `value` and checks that it comes out as `want` at the end of one line. */
static void
check_escape(const char *value, const char *want)
{
	char tail[4096];
	const char *out;

	capture();
	log_info("v=%s", value);
	out = captured();
	snprintf(tail, sizeof(tail), ": v=%s\n", want);
	assert_true(strlen(out) > strlen(tail));
	assert_string_equal(out + strlen(out) - strlen(tail), tail);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

static int
setup(void **state)
{
	(void)state;
	log_init("test", LOG_INFO);
	return 0;
}

static void
test_form_of_a_line(void **state)
{
	const char *out;

	(void)state;
	capture();
	log_warn("area event n=%d", 5);
	out = captured();
	assert_true(matches(out,
	    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
	    "warn test\\[[0-9]+\\]: area event n=5\n$"));
}

static void
test_levels(void **state)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	(void)state;
	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		const char *out;

		log_init("test", (enum log_level)level);
		capture();
		log_error("x");
		log_warn("x");
		log_info("x");
		log_debug("x");
		out = captured();
		for (int k = LOG_ERROR; k <= LOG_DEBUG; k++) {
			char word[20];

			assert_int_equal(log_enabled((enum log_level)k), k <= level);
			snprintf(word, sizeof(word), " %s test", names[k]);
			assert_int_equal(strstr(out, word) != NULL, k <= level);
		}
	}
	log_init("test", LOG_INFO);
}

static void
test_every_control_byte_is_escaped(void **state)
{
	(void)state;
	for (int c = 1; c < 0x80; c++) {
		char value[] = { 'a', (char)c, 'b', '\0' }, want[16];

		snprintf(want, sizeof(want), c < 0x20 || c == 0x7f ? "a\\x%02xb" : "a%cb", c);
		check_escape(value, want);
	}
	check_escape("a\r\n2026-01-31T12:00:00.000Z error test[1]: forged",
	    "a\\x0d\\x0a2026-01-31T12:00:00.000Z error test[1]: forged");
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		    "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
		    "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf" },
		{ "\x80", "\\x80" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc3", "\\xc3" },				/* cut off */
		{ "\xe2\x82", "\\xe2\\x82" },
		{ "\xf0\x9f\x98", "\\xf0\\x9f\\x98" },
		{ "\xe2\x82" "a", "\\xe2\\x82" "a" },
		{ "\xc0\x8a", "\\xc0\\x8a" },			/* overlong newlines */
		{ "\xe0\x80\x8a", "\\xe0\\x80\\x8a" },
		{ "\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a" },
		{ "\xc1\xbf", "\\xc1\\xbf" },
		{ "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf" },
		{ "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },		/* a surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },	/* past U+10FFFF */
		{ "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" },
		{ "\xc2\x85", "\\xc2\\x85" },			/* next line, of C1 */
		{ "\xc2\x9b" "31m", "\\xc2\\x9b" "31m" },		/* a terminal's CSI */
		{ "\xc2\xa0", "\xc2\xa0" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check_escape(cases[i].in, cases[i].want);
}

/* However long, and however much longer by escaping: one line, within its limit. */
static void
test_long_lines_are_cut(void **state)
{
	static const char *const fill[] = { "a", "\n", "\xc3\xa9", "\xe2\x82\xac", "\xff" };

	(void)state;
	for (size_t i = 0; i < COUNT(fill); i++)
		for (size_t n = LOG_LINE_MAX - 120; n < LOG_LINE_MAX + 20; n++) {
			char value[4 * LOG_LINE_MAX] = "";
			const char *out;
			size_t len = strlen(fill[i]);

			for (size_t k = 0; k < n; k++)
				memcpy(value + k * len, fill[i], len);
			capture();
			log_info("%s", value);
			out = captured();
			assert_true(strlen(out) <= LOG_LINE_MAX);
			assert_true(strlen(out) > LOG_LINE_MAX - 150);
			assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
		}
}

/* A caller may log first and look at errno afterwards. */
static void
test_errno_is_kept(void **state)
{
	int after;

	(void)state;
	capture();
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_error("into nowhere");
	after = errno;
	captured();
	assert_int_equal(after, ENOSPC);
}

static void
test_rate(void **state)
{
	struct log_rate r = { 0, 0, 0 };
	unsigned dropped, let = 0, held = 0;

	(void)state;
	for (int i = 0; i < 3 * LOG_RATE_MAX; i++) {
		if (log_rate_ok(&r, &dropped))
			let++;
		else
			held++;
		held -= dropped;
	}
	/* the clock may have stepped to the next second once on the way */
	assert_in_range(let, LOG_RATE_MAX, 2 * LOG_RATE_MAX);
	r.second--;		/* as if a second had passed */
	assert_true(log_rate_ok(&r, &dropped));
	assert_int_equal(dropped, held);
	assert_true(log_rate_ok(&r, &dropped));
	assert_int_equal(dropped, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form_of_a_line),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_every_control_byte_is_escaped),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_errno_is_kept),
		cmocka_unit_test(test_rate),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, setup, NULL);
}
