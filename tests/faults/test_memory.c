/* Memory that runs out: each allocation of the store and of SQLite fails once. The
 * answer is an error, and nothing that was answered is lost. */
#include <signal.h>
#include <stdio.h>

#include "tests/faults/check.h"
#include "tests/faults/run.h"
#include "tests/unit/unit.h"

static char here[500];

/* The loop ends the process where it cannot have a timer: see loop_timer_set(). Not
 * so where the heap is broken. */
static bool
ended_for_a_timer(int status)
{
	return status == 128 + SIGABRT && strstr(run_log(), "free()") == NULL &&
	    strstr(run_log(), "malloc()") == NULL && strstr(run_log(), "corrupt") == NULL;
}

static void
test_the_nth_allocation_fails(void **state)
{
	unsigned seed = unit_seed(), n = unit_rounds(200, 5000);
	unsigned faults = 0, unopened = 0, ended = 0;
	struct rng r = rng_of(seed, 11);
	size_t acknowledged = 0, refused = 0;
	char number[16], trace[600], store[600], turn[16];
	struct run run = { .dir = "disk", .trace = trace, .malloc_fails = true,
		.env = { { "KP_PAGES_SEEM", "1" }, { "KP_MALLOC_FAIL", turn },
		{ "KP_MALLOC_AT", NULL } },
		.args = { "work", store, number, "240", "fsync" } };

	(void)state;
	snprintf(trace, sizeof(trace), "%s/trace", here);
	snprintf(store, sizeof(store), "%s/disk/store.db", here);
	for (unsigned i = 0; i < n; i++) {
		struct trace t;
		struct check c;
		int status;

		snprintf(number, sizeof(number), "%u", seed + i);
		/* Opening takes many allocations, three times; half of the runs are at work. */
		run.env[2][1] = i % 2 ? "work" : "open";
		snprintf(turn, sizeof(turn), "%u%s", 1 + rng_below(&r, i % 2 ? 300 : 9000),
		    rng_below(&r, 20) ? "" : "+");
		status = run_driver(&run);
		ended += status == 128 + SIGABRT;
		if (status != 0 && status != 2 && !ended_for_a_timer(status))
			fail_msg("KP_MALLOC_FAIL=%s seed=%u: status %d: %s", turn, seed + i,
			    status, run_log());
		trace_read(&t, trace, seed + i);
		check_store("disk/store.db", &t, NEVER, 0, &c);
		if (!check_ok(&c) || c.back || c.salvaged >= 0)
			fail_msg("KP_MALLOC_FAIL=%s seed=%u: %s", turn, seed + i, c.text);
		faults += t.faults > 0;
		unopened += status == 2;
		acknowledged += trace_owed(&t, NEVER - 1);
		for (size_t f = 0; f < t.n_fates; f++)
			refused += t.fates[f].refused != NEVER;
		trace_free(&t);
	}
	print_message("memory: runs=%u faults=%u acknowledged=%zu refused=%zu lost=0 "
	    "refused_to_open=%u ended=%u seed=%u\n", n, faults, acknowledged, refused, unopened,
	    ended, seed);
	assert_true(faults > n / 2 && refused > 0 && ended < n / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_nth_allocation_fails),
	};

	unit_filter();
	snprintf(here, sizeof(here), "%s", run_absolute("."));
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
