/* What every unit test needs: cmocka, which must come after these headers, and
 * a few short names. */
#ifndef KP_UNIT_H
#define KP_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* An error is shown by its name. */
#define assert_err(got, want)							\
	assert_string_equal(kp_err_name(got), kp_err_name(want))

/* A copy of exactly n bytes, so that a sanitizer sees a read past its end. */
static inline uint8_t *
exact_copy(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

/* Only the tests that match $KP_TEST_FILTER (* and ?) are run. */
static inline void
unit_filter(void)
{
	const char *pattern = getenv("KP_TEST_FILTER");

	if (pattern)
		cmocka_set_test_filter(pattern);
}

/* How often a random test is to be done: in `make check`, and with KP_LONG=1 in
 * `make check-long`. */
static inline unsigned
unit_rounds(unsigned check, unsigned check_long)
{
	return getenv("KP_LONG") ? check_long : check;
}

/* Of everything random in a test; KP_SEED repeats a run. Print it with the counts. */
static inline unsigned
unit_seed(void)
{
	const char *given = getenv("KP_SEED");
	unsigned seed = 1;

	if (given)
		return (unsigned)strtoul(given, NULL, 10);
	return getentropy(&seed, sizeof(seed)) == 0 ? seed : (unsigned)getpid();
}

#endif
