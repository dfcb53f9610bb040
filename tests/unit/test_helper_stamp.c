/* The time that a message is sent with, for a broker with a limit: with clocks of the test's. */
#include "helper/produce/stamp.h"
#include "tests/unit/unit.h"

#define WALL_0 INT64_C(1700000000000)
/* As in stamp.c. */
#define KNOWN_MS (10 * 60 * 1000)
#define LATE_MS 1000

#define HOUR_MS (60 * 60 * 1000)
#define LIMIT_MS (HOUR_MS / 2)
#define BATCH 100
#define REQUEST_MS 5

struct message {
	int64_t accepted_ms, sent_ms;
};

static int64_t now_ms;
static struct stamp stamp;

static int64_t
wall_ms(void)
{
	return WALL_0 + now_ms;
}

static int
setup(void **state)
{
	(void)state;
	now_ms = 1000;
	stamp = (struct stamp){ 0 };
	return 0;
}

static struct message
accepted(int64_t ms)
{
	return (struct message){ .accepted_ms = WALL_0 + ms };
}

static int64_t
time_of(const struct message *m)
{
	return stamp_of(&stamp, m->accepted_ms, wall_ms(), now_ms);
}

/* True: it goes with another time next. */
static bool
refuse(const struct message *m)
{
	return stamp_refused(&stamp, "t", m->accepted_ms, m->sent_ms, wall_ms(), now_ms);
}

static bool
taken(const struct message *m)
{
	return llabs(wall_ms() - m->sent_ms) <= LIMIT_MS;
}

/* One request: all of it, or none, and each of its messages is told so. */
static bool
send_batch(struct message *v, size_t n)
{
	bool ok = true;

	for (size_t i = 0; i < n; i++)
		v[i].sent_ms = time_of(&v[i]);
	now_ms += REQUEST_MS;
	for (size_t i = 0; i < n; i++)
		ok &= taken(&v[i]);
	for (size_t i = 0; i < n && !ok; i++)
		refuse(&v[i]);
	return ok;
}

/* An hour of messages, one in 100 ms, half of which are too old. */
static void
test_a_long_outage(void **state)
{
	struct message v[BATCH];
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
			bool is_young = wall_ms() - v[i].accepted_ms < LIMIT_MS;

			young += is_young;
			lost += is_young && v[i].sent_ms != v[i].accepted_ms;
		}
	}
	assert_true(refused >= 2);
	assert_true(young > 15000 && lost < young / 7);
}

/* Refused with the time of now: not again, unless it has waited since. */
static void
test_now_is_refused(void **state)
{
	struct message m = accepted(now_ms);

	(void)state;
	m.sent_ms = time_of(&m);
	assert_int_equal(m.sent_ms, m.accepted_ms);
	now_ms += REQUEST_MS;
	assert_true(refuse(&m));
	m.sent_ms = time_of(&m);
	assert_int_equal(m.sent_ms, wall_ms());
	now_ms += REQUEST_MS;
	assert_false(refuse(&m));
	now_ms += 2 * LATE_MS;
	assert_true(refuse(&m));
}

/* The clock was set back since; or the time is none at all. */
static void
test_other_clocks(void **state)
{
	struct message ahead = accepted(now_ms + HOUR_MS), none = accepted(-WALL_0);

	(void)state;
	assert_int_equal(time_of(&none), wall_ms());
	ahead.sent_ms = time_of(&ahead);
	assert_int_equal(ahead.sent_ms, ahead.accepted_ms);
	assert_true(refuse(&ahead));
	now_ms += REQUEST_MS;
	assert_int_equal(time_of(&ahead), wall_ms());
	assert_int_equal(time_of(&none), wall_ms());
}

/* The limit may have been raised. */
static void
test_what_is_known_ends(void **state)
{
	struct message old = accepted(now_ms), next;

	(void)state;
	old.sent_ms = time_of(&old);
	now_ms += HOUR_MS;
	assert_true(refuse(&old));
	next = accepted(now_ms - HOUR_MS);
	assert_int_equal(time_of(&next), wall_ms());
	now_ms += KNOWN_MS;
	assert_int_equal(time_of(&next), next.accepted_ms);
}

static void
test_the_other_choice(void **state)
{
	struct message m = accepted(now_ms);

	(void)state;
	stamp.fixed = true;
	m.sent_ms = time_of(&m);
	now_ms += HOUR_MS;
	assert_false(refuse(&m));
	assert_int_equal(time_of(&m), m.accepted_ms);
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
