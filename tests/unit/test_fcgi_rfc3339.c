/* Times as people write them. */
#include "fcgi/rfc3339.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/unit/unit.h"

static bool
parse(const char *text, int64_t *ms)
{
	size_t n = strlen(text);
	uint8_t *copy = exact_copy(text, n);
	bool ok = rfc3339_parse((struct kp_slice){ copy, n }, ms);

	free(copy);
	return ok;
}

static const struct {
	const char *text;
	int64_t ms;
} good[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "1970-01-01T00:00:00.001Z", 1 },
	{ "2026-01-31T12:00:00Z", 1769860800000 },
	{ "2026-01-31t12:00:00z", 1769860800000 },
	{ "2026-01-31T12:00:00.5Z", 1769860800500 },
	{ "2026-01-31T12:00:00.25Z", 1769860800250 },
	{ "2026-01-31T12:00:00.123000000Z", 1769860800123 },
	{ "2026-01-31T13:30:00+01:30", 1769860800000 },
	{ "2026-01-31T00:01:00-11:59", 1769860800000 },
	{ "2026-02-01T11:59:00+23:59", 1769860800000 },
	{ "2026-01-31T12:00:00-00:00", 1769860800000 },
	{ "1969-12-31T23:00:00-01:00", 0 },
	{ "2000-02-29T00:00:00Z", 951782400000 },
	{ "2024-02-29T23:59:59.999Z", 1709251199999 },
	/* Rounded up, or a message of the millisecond before would be found. */
	{ "2026-01-31T12:00:00.0001Z", 1769860800001 },
	{ "2026-01-31T12:00:00.9991Z", 1769860801000 },
	{ "2026-01-31T12:00:00.99900000000000000000000000000000000000000001Z", 1769860801000 },
	/* A leap second, where it is one. */
	{ "2016-12-31T23:59:60Z", 1483228800000 },
	{ "2017-01-01T00:59:60.5+01:00", 1483228800500 },
	{ "9999-12-31T23:59:59.999Z", RFC3339_MAX_MS },
};

static void
test_good_times(void **state)
{
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		ms = -1;
		if (!parse(good[i].text, &ms) || ms != good[i].ms)
			fail_msg("%s: %" PRId64, good[i].text, ms);
	}
}

static const char *const bad[] = {
	"", "Z", "2026", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "12:00:00Z",
	"2026-01-31T12:00Z", "2026-1-31T12:00:00Z", "2026-01-31T12:00:00.Z",
	"2026-01-31T12:00:00,5Z",
	"2026-01-31T12:00:00ZZ", "2026-01-31T12:00:00Z ", " 2026-01-31T12:00:00Z",
	"+2026-01-31T12:00:00Z", "2026-01-31T12:00:00+0100", "2026-01-31T12:00:00+1:00",
	"2026-01-31T12:00:00+24:00", "2026-01-31T12:00:00+01:60", "2026-01-31T12:00:00+01:0",
	"2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31T12:00:61Z",
	"2026-01-31T12:00:60Z", "2026-01-31T23:59:60+01:00", "2026-00-31T12:00:00Z",
	"2026-13-31T12:00:00Z", "2026-01-00T12:00:00Z", "2026-01-32T12:00:00Z",
	"2026-02-29T12:00:00Z", "2026-04-31T12:00:00Z", "1900-02-29T12:00:00Z",
	"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "0000-01-01T00:00:00Z",
	"0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59.9999Z",
	"9999-12-31T23:59:59-23:59", "1769860800000", "now", "2026-01-31T1a:00:00Z",
	"2026-01-31T-1:00:00Z", "2026\xe2\x88\x92" "01-31T12:00:00Z",
};

static void
test_bad_times(void **state)
{
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (parse(bad[i], &ms))
			fail_msg("%s: %" PRId64, bad[i], ms);
}

/* As libc counts, for a day in every few years and a minute in every few days. */
static void
test_as_the_calendar_of_libc(void **state)
{
	unsigned n = 0;

	(void)state;
	for (int64_t s = 0; s < RFC3339_MAX_MS / 1000; s += 86400 * INT64_C(11) + 3607) {
		time_t t = (time_t)s;
		char text[64];
		int64_t ms = -1;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		if (!parse(text, &ms) || ms != s * 1000)
			fail_msg("%s: %" PRId64, text, ms);
		n++;
	}
	assert_true(n > 100000);
}

static void
test_every_truncation_is_refused(void **state)
{
	static const char text[] = "2026-01-31T12:00:00.123456+01:00";
	char cut[sizeof(text)];
	int64_t ms;

	(void)state;
	for (size_t n = 0; n < strlen(text); n++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)n, text);
		assert_false(parse(cut, &ms));
	}
	assert_true(parse(text, &ms));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_times),
		cmocka_unit_test(test_bad_times),
		cmocka_unit_test(test_as_the_calendar_of_libc),
		cmocka_unit_test(test_every_truncation_is_refused),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
