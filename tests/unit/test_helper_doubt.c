/* Whether a topic is not there, or not for us, for good: with failures and lists of the test's. */
#include "helper/kafka/kafka_list.h"
#include "helper/kafka/producer.h"
#include "tests/unit/unit.h"

struct kafka_list {
	const char *topic;		/* the only one */
	int32_t broker;			/* who answered, */
	int brokers;			/* of so many */
};

static bool
list_has(const struct kafka_list *l, const char *topic)
{
	return strcmp(l->topic, topic) == 0;
}

/* The module under test, with this file's lists below it. */
#define doubt_failed doubt_failed_under_test
#define doubt_end doubt_end_under_test
#define doubt_any doubt_any_under_test
#define doubt_judge doubt_judge_under_test
#define kafka_list_has(l, topic) list_has(l, topic)
#define kafka_list_broker(l) (l)->broker
#define kafka_list_brokers(l) (l)->brokers
#include "helper/produce/doubt.c"

#define T0 1000
#define SECOND 1000
#define MINUTE (60 * SECOND)

static struct doubt doubt;
static const struct delivery not_found = { .err = KP_ENOTFOUND, .of_topic = true },
    denied = { .err = KP_EDENIED, .of_topic = true };

static int
setup(void **state)
{
	(void)state;
	doubt = (struct doubt){ 0 };
	return 0;
}

/* Fails from T0 on, each second, until then; whether it was true in the end. */
static bool
fail_until(const struct delivery *d, int64_t end_ms)
{
	bool over = false;

	for (int64_t ms = T0; ms <= end_ms; ms += SECOND)
		over = doubt_failed(&doubt, d, ms);
	return over;
}

/* This broker, of so many, lists that topic alone. */
static void
judge(const char *topic, int32_t broker, int brokers, int64_t now_ms)
{
	struct kafka_list list = { topic, broker, brokers };

	doubt_judge(&doubt, "t", false, &list, now_ms);
}

static void
test_other_failures_are_no_doubt(void **state)
{
	static const struct delivery later = { .err = KP_EUNAVAIL },
	    never = { .err = KP_ETOOBIG, .permanent = true };

	(void)state;
	assert_false(doubt_failed(&doubt, &later, T0));
	assert_true(doubt_failed(&doubt, &never, T0));
	assert_int_equal(doubt.since_ms, 0);
	assert_false(doubt_any(&doubt));
}

/* Lists do not show it, and are not asked for. */
static void
test_denied_for_a_minute(void **state)
{
	(void)state;
	assert_false(fail_until(&denied, T0 + MINUTE - SECOND));
	assert_false(doubt_any(&doubt));
	judge("t", 1, 3, T0 + MINUTE - SECOND);
	judge("other", 1, 3, T0 + MINUTE - SECOND);
	judge("other", 2, 3, T0 + MINUTE - SECOND);
	assert_true(doubt_failed(&doubt, &denied, T0 + MINUTE));
}

/* However long: one broker's word is not enough, and nobody's is none. */
static void
test_not_found_needs_lists(void **state)
{
	(void)state;
	assert_false(fail_until(&not_found, T0 + 10 * MINUTE));
	assert_true(doubt_any(&doubt));
	judge("other", 1, 3, T0 + 10 * MINUTE);
	judge("other", 1, 3, T0 + 10 * MINUTE);
	judge("other", -1, 3, T0 + 10 * MINUTE);
	assert_false(doubt_failed(&doubt, &not_found, T0 + 10 * MINUTE));
	assert_true(doubt_any(&doubt));
	judge("other", 2, 3, T0 + 10 * MINUTE);
	assert_false(doubt_any(&doubt));
	assert_true(doubt_failed(&doubt, &not_found, T0 + 10 * MINUTE));
}

/* All have said so, but a moment ago all did of any topic. */
static void
test_lists_need_a_minute(void **state)
{
	(void)state;
	fail_until(&not_found, T0 + MINUTE - SECOND);
	judge("other", 1, 2, T0 + SECOND);
	judge("other", 2, 2, T0 + MINUTE - 1);
	assert_true(doubt_any(&doubt));
	judge("other", 2, 2, T0 + MINUTE);
	assert_false(doubt_any(&doubt));
	assert_true(doubt.over);
}

static void
test_the_only_broker(void **state)
{
	(void)state;
	fail_until(&not_found, T0 + MINUTE);
	judge("other", -1, 1, T0 + MINUTE);
	assert_false(doubt.over);
	judge("other", 0, 1, T0 + MINUTE);
	assert_true(doubt.over);
}

/* What was said before says nothing any more. */
static void
test_a_list_that_has_it(void **state)
{
	(void)state;
	fail_until(&not_found, T0 + MINUTE - SECOND);
	judge("other", 1, 2, T0 + MINUTE - SECOND);
	judge("t", 2, 2, T0 + MINUTE - SECOND);
	assert_int_equal(doubt.since_ms, 0);
	assert_false(doubt_failed(&doubt, &not_found, T0 + MINUTE));
	judge("other", 2, 2, T0 + MINUTE + SECOND);
	assert_false(doubt.over);
	doubt_end(&doubt);
	assert_false(doubt_any(&doubt));
}

static void
test_a_gap_begins_anew(void **state)
{
	(void)state;
	fail_until(&denied, T0 + 30 * SECOND);
	assert_false(doubt_failed(&doubt, &denied, T0 + 60 * SECOND - 1));
	assert_true(doubt_failed(&doubt, &denied, T0 + 61 * SECOND));
	setup(NULL);
	fail_until(&denied, T0 + 30 * SECOND);
	assert_false(doubt_failed(&doubt, &denied, T0 + 61 * SECOND));
	assert_false(doubt_failed(&doubt, &denied, T0 + 61 * SECOND + 30 * SECOND));
	assert_false(doubt_failed(&doubt, &denied, T0 + 61 * SECOND + 59 * SECOND));
	assert_true(doubt_failed(&doubt, &denied, T0 + 61 * SECOND + MINUTE));
}

/* Nothing fails, as nothing is reported: each list that does not have it counts as a failure. */
static void
test_what_is_late_and_not_listed(void **state)
{
	struct kafka_list with = { "t", 1, 1 }, without = { "other", 1, 1 };

	(void)state;
	doubt_judge(&doubt, "t", false, &without, T0);
	doubt_judge(&doubt, "t", true, &with, T0);
	assert_int_equal(doubt.since_ms, 0);
	for (int64_t ms = T0; ms < T0 + MINUTE; ms += 5 * SECOND) {
		doubt_judge(&doubt, "t", true, &without, ms);
		assert_true(doubt_any(&doubt));
	}
	doubt_judge(&doubt, "t", true, &without, T0 + MINUTE);
	assert_true(doubt.over);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_other_failures_are_no_doubt),
		TEST(test_denied_for_a_minute),
		TEST(test_not_found_needs_lists),
		TEST(test_lists_need_a_minute),
		TEST(test_the_only_broker),
		TEST(test_a_list_that_has_it),
		TEST(test_a_gap_begins_anew),
		TEST(test_what_is_late_and_not_listed),
	};

	unit_filter();
	return cmocka_run_group_tests_name("doubt", tests, NULL, NULL);
}
