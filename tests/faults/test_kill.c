/*
 * SIGKILL inside SQLite, where common/fault.h cannot reach: before the sync of a
 * commit (P3), in the middle of a checkpoint (P10), when the log is begun anew (P11);
 * and again while the store recovers.
 */
#include <signal.h>
#include <stdio.h>

#include "tests/faults/check.h"
#include "tests/faults/run.h"
#include "tests/unit/unit.h"

#define OPERATIONS "300"
#define AGAIN 3				/* kills in a row while it recovers */

struct tally {
	unsigned runs, kills;
	size_t acknowledged, back;
	int64_t lost;
};

static char here[500];

/* Killed at KIND:SUFFIX:turn; true when it got there. */
static bool
killed(unsigned seed, const char *point, unsigned turn, bool os)
{
	char number[16], trace[600], store[600], at[64];
	struct run r = { .dir = "disk", .trace = trace,
		.env = { { "KP_PAGES_SEEM", "1" }, { "KP_SHIM_KILL", at } },
		.args = { "work", store, number, OPERATIONS, os ? "os" : "fsync" } };
	int status;

	snprintf(number, sizeof(number), "%u", seed);
	snprintf(trace, sizeof(trace), "%s/trace", here);
	snprintf(store, sizeof(store), "%s/disk/store.db", here);
	snprintf(at, sizeof(at), "%s:%u", point, turn);
	status = run_driver(&r);
	if (status != 0 && status != 128 + SIGKILL)
		fail_msg("KP_SHIM_KILL=%s seed=%u: status %d: %s", at, seed, status, run_log());
	return status != 0;
}

/* Opens and closes, and is killed in between. */
static unsigned
kill_recovery(struct rng *r)
{
	char store[600], at[64];
	struct run run = { .dir = "disk", .keep = true, .env = { { "KP_SHIM_KILL", at } },
		.args = { "work", store, "0", "0", "fsync" } };
	unsigned kills = 0;

	snprintf(store, sizeof(store), "%s/disk/store.db", here);
	for (int i = 0; i < AGAIN; i++) {
		int status;

		snprintf(at, sizeof(at), "any:*:%u", 1 + rng_below(r, 25));
		status = run_driver(&run);
		if (status != 0 && status != 128 + SIGKILL)
			fail_msg("recovery, KP_SHIM_KILL=%s: status %d: %s", at, status,
			    run_log());
		kills += status != 0;
	}
	return kills;
}

static void
kill_once(struct tally *tally, unsigned seed, const char *point, unsigned turn, struct rng *r)
{
	struct trace t;
	struct check c;
	char trace[600];

	/* A turn that never comes is tried with half of it. */
	while (!killed(seed, point, turn, turn % 4 == 3)) {
		assert_true(turn > 1);
		turn /= 2;
	}
	tally->kills += 1 + kill_recovery(r);
	tally->runs++;
	snprintf(trace, sizeof(trace), "%s/trace", here);
	trace_read(&t, trace, seed);
	check_store("disk/store.db", &t, NEVER, CHECK_WORK, &c);
	tally->acknowledged += trace_owed(&t, NEVER - 1);
	tally->lost += c.lost;
	tally->back += (size_t)c.back;
	trace_free(&t);
	if (!check_ok(&c) || !c.worked || c.back || c.salvaged >= 0)
		fail_msg("KP_SHIM_KILL=%s:%u seed=%u: %s", point, turn, seed, c.text);
}

static void
kill_at(const char *name, const char *point, unsigned turns)
{
	unsigned seed = unit_seed(), rounds = unit_rounds(6, 100);
	struct rng r = rng_of(seed, 7);
	struct tally tally = { 0 };

	for (unsigned i = 0; i < rounds; i++)
		kill_once(&tally, seed + i, point, 1 + rng_below(&r, turns), &r);
	print_message("%s: runs=%u kills=%u acknowledged=%zu lost=%lld back=%zu seed=%u\n", name,
	    tally.runs, tally.kills, tally.acknowledged, (long long)tally.lost, tally.back, seed);
}

static void
test_killed_before_the_sync_of_a_commit(void **state)
{
	(void)state;
	kill_at("P3 before the sync", "sync:-wal", 40);
}

static void
test_killed_in_a_checkpoint(void **state)
{
	(void)state;
	kill_at("P10 in a checkpoint", "write:store.db", 30);
}

static void
test_killed_when_the_log_begins_anew(void **state)
{
	(void)state;
	kill_at("P11 a new log", "rewind:-wal", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_before_the_sync_of_a_commit),
		cmocka_unit_test(test_killed_in_a_checkpoint),
		cmocka_unit_test(test_killed_when_the_log_begins_anew),
	};

	unit_filter();
	snprintf(here, sizeof(here), "%s", run_absolute("."));
	return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
