/* The time that a message is sent with, for a broker with a limit: with clocks of the test's. */
#include "common/clock.h"
#include "tests/unit/unit.h"

/* The module under test, with this file's clocks below it. */
#define stamp_of stamp_of_under_test
#define stamp_refused stamp_refused_under_test
#include "helper/produce/sender_state.h"
#include "helper/produce/stamp.h"

#define loop_now_ms(l) ((void)(l), now_ms)
#define clock_wall_ms() (WALL_0 + now_ms)
#define WALL_0 INT64_C(1700000000000)
static int64_t now_ms;
#include "helper/produce/stamp.c"

#define HOUR_MS (60 * 60 * 1000)
#define LIMIT_MS (HOUR_MS / 2)
#define BATCH 100
#define REQUEST_MS 5

static struct sender sender;
static struct lane lane;

static int
setup(void **state)
{
	(void)state;
	now_ms = 1000;
	sender = (struct sender){ 0 };
	lane = (struct lane){ .sender = &sender, .name = "t" };
	return 0;
}

static struct entry
accepted(int64_t ms)
{
	return (struct entry){ .sender = &sender, .lane = &lane, .row.accepted_ms = WALL_0 + ms };
}

static bool
taken(const struct entry *e)
{
	return llabs(clock_wall_ms() - e->stamp_ms) <= LIMIT_MS;
}

/* One request: all of it, or none, and each of its messages is told so. */
static bool
send_batch(struct entry *v, size_t n)
{
	bool ok = true;

	for (size_t i = 0; i < n; i++)
		v[i].stamp_ms = stamp_of(&v[i]);
	now_ms += REQUEST_MS;
	for (size_t i = 0; i < n; i++)
		ok &= taken(&v[i]);
	for (size_t i = 0; i < n && !ok; i++)
		stamp_refused(&v[i]);
	return ok;
}

/* An hour of messages, one in 100 ms, half of which are too old. */
static void
test_a_long_outage(void **state)
{
	struct entry v[BATCH];
	unsigned refused = 0, young = 0, lost = 0;

	(void)state;
	now_ms += HOUR_MS;
	for (int64_t at = 1000; at < 1000 + HOUR_MS; at += BATCH * 100) {
		for (size_t i = 0; i < BATCH; i++)
			v[i] = accepted(at + (int64_t)i * 100);
		while (!send_batch(v, BATCH)) {
			refused++;
			assert_true(refused < 20);
		}
		for (size_t i = 0; i < BATCH; i++) {
			bool is_young = clock_wall_ms() - v[i].row.accepted_ms < LIMIT_MS;

			young += is_young;
			lost += is_young && v[i].stamp_ms != v[i].row.accepted_ms;
		}
	}
	assert_true(refused >= 2);
	assert_true(young > 15000 && lost < young / 7);
}

/* Refused with the time of now: not again, unless it has waited since. */
static void
test_now_is_refused(void **state)
{
	struct entry e = accepted(now_ms);

	(void)state;
	e.stamp_ms = stamp_of(&e);
	assert_int_equal(e.stamp_ms, e.row.accepted_ms);
	now_ms += REQUEST_MS;
	assert_true(stamp_refused(&e));
	e.stamp_ms = stamp_of(&e);
	assert_int_equal(e.stamp_ms, clock_wall_ms());
	now_ms += REQUEST_MS;
	assert_false(stamp_refused(&e));
	now_ms += 2 * LATE_MS;
	assert_true(stamp_refused(&e));
}

/* The clock was set back since; or the time is none at all. */
static void
test_other_clocks(void **state)
{
	struct entry ahead = accepted(now_ms + HOUR_MS), none = accepted(-WALL_0);

	(void)state;
	ahead.stamp_ms = stamp_of(&ahead);
	assert_int_equal(ahead.stamp_ms, ahead.row.accepted_ms);
	assert_true(stamp_refused(&ahead));
	now_ms += REQUEST_MS;
	assert_int_equal(stamp_of(&ahead), clock_wall_ms());
	assert_int_equal(stamp_of(&none), clock_wall_ms());
}

/* The limit may have been raised. */
static void
test_what_is_known_ends(void **state)
{
	struct entry old = accepted(now_ms), next;

	(void)state;
	old.stamp_ms = stamp_of(&old);
	now_ms += HOUR_MS;
	assert_true(stamp_refused(&old));
	next = accepted(now_ms - HOUR_MS);
	assert_int_equal(stamp_of(&next), clock_wall_ms());
	now_ms += KNOWN_MS;
	assert_int_equal(stamp_of(&next), next.row.accepted_ms);
}

static void
test_the_other_choice(void **state)
{
	struct entry e = accepted(now_ms);

	(void)state;
	sender.old_times_die = true;
	e.stamp_ms = stamp_of(&e);
	now_ms += HOUR_MS;
	assert_false(stamp_refused(&e));
	assert_int_equal(stamp_of(&e), e.row.accepted_ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_long_outage, setup),
		cmocka_unit_test_setup(test_now_is_refused, setup),
		cmocka_unit_test_setup(test_other_clocks, setup),
		cmocka_unit_test_setup(test_what_is_known_ends, setup),
		cmocka_unit_test_setup(test_the_other_choice, setup),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
