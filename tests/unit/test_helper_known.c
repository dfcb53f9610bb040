/* Which topics groups have read: what is noted is known, for a day, and what is crowded out is
 * what was noted longest ago. */
#include "helper/consume/known.h"

#include <stdio.h>

#include "tests/unit/unit.h"

#define DAY_MS (24 * 60 * 60 * 1000)

static struct known known;

static int
setup(void **state)
{
	(void)state;
	known = (struct known){ 0 };
	return 0;
}

static void
test_both_names_count(void **state)
{
	(void)state;
	assert_int_equal(known_find(&known, "g", "t", 1), -1);
	known_note(&known, "g", "t", 7, 1);
	assert_int_equal(known_find(&known, "g", "t", 1), 7);
	assert_int_equal(known_find(&known, "t", "g", 1), -1);
	assert_int_equal(known_find(&known, "g", "t2", 1), -1);
	assert_int_equal(known_find(&known, "g2", "t", 1), -1);
}

static void
test_it_is_forgotten_after_a_day(void **state)
{
	(void)state;
	known_note(&known, "g", "t", 7, 5);
	assert_int_equal(known_find(&known, "g", "t", 5 + DAY_MS - 1), 7);
	assert_int_equal(known_find(&known, "g", "t", 5 + DAY_MS), -1);
	known_note(&known, "g", "t", 8, 100);
	assert_int_equal(known_find(&known, "g", "t", 5 + DAY_MS), 8);
}

/* Ten times as many as there is room for. */
static void
test_the_oldest_make_room(void **state)
{
	char name[16];
	int n = 10 * KNOWN_SLOTS, left = 0;

	(void)state;
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		known_note(&known, "g", name, i, i);
		assert_int_equal(known_find(&known, "g", name, i), i);
	}
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		left += known_find(&known, "g", name, n) >= 0;
		if (i >= n - 100)
			assert_int_equal(known_find(&known, "g", name, n), i);
	}
	assert_in_range(left, KNOWN_SLOTS / 2, KNOWN_SLOTS);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_names_count),
		TEST(test_it_is_forgotten_after_a_day),
		TEST(test_the_oldest_make_room),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
