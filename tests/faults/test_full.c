/*
 * A disk that is full or fails: nothing is told as kept that is not, what was
 * delivered can leave, it goes on once there is room, and after an error that may
 * have lost something nothing is trusted to the file until a restart.
 */
#include <signal.h>
#include <stdio.h>

#include "tests/faults/check.h"
#include "tests/faults/run.h"
#include "tests/faults/smalldisk.h"
#include "tests/unit/unit.h"

#define MIB (1024 * 1024)
#define CYCLES_A_RUN 4

static char here[500];
static bool mounts;

struct tally {
	unsigned runs, faults, refused_to_open;
	size_t acknowledged, refused, stuck;
	int64_t lost;
};

static void
judge(struct tally *tally, const char *dir, unsigned seed, const char *what)
{
	char file[600];
	struct check c;
	struct trace t;

	snprintf(file, sizeof(file), "%s/trace", here);
	trace_read(&t, file, seed);
	snprintf(file, sizeof(file), "%s/store.db", dir);
	check_store(file, &t, NEVER, 0, &c);
	tally->runs++;
	tally->faults += t.faults > 0;
	for (size_t i = 0; i < t.n_fates; i++) {
		tally->acknowledged += t.fates[i].answered != NEVER;
		tally->refused += t.fates[i].refused != NEVER;
	}
	tally->stuck += t.stuck;
	tally->lost += c.lost;
	trace_free(&t);
	if (!check_ok(&c) || c.back || c.salvaged >= 0)
		fail_msg("%s seed=%u: %s", what, seed, c.text);
}

static void
report(const char *what, const struct tally *t, unsigned seed)
{
	print_message("%s: runs=%u faults=%u acknowledged=%zu refused=%zu stuck=%zu "
	    "lost=%lld refused_to_open=%u seed=%u\n", what, t->runs, t->faults,
	    t->acknowledged, t->refused, t->stuck, (long long)t->lost, t->refused_to_open,
	    seed);
}

/* ---- full ---- */

/* Full again and again, killed when it is full, and opened while it still is. */
static void
fill(struct tally *tally, unsigned seed, size_t bytes, size_t others, bool by_mount)
{
	char number[16], ballast[24], quota[24], cycles[16], trace[600], store[600];
	struct run r = { .dir = "small", .trace = trace, .keep = by_mount,
		.env = { { "KP_SHIM_BRIEF", "1" }, { by_mount ? NULL : "KP_SHIM_QUOTA", quota } },
		.args = { "fill", store, number, cycles, ballast } };
	struct check c;
	int status;

	snprintf(number, sizeof(number), "%u", seed);
	snprintf(cycles, sizeof(cycles), "%d", CYCLES_A_RUN);
	snprintf(ballast, sizeof(ballast), "%zu", others);
	snprintf(quota, sizeof(quota), "%zu", bytes);
	snprintf(trace, sizeof(trace), "%s/trace", here);
	snprintf(store, sizeof(store), "%s/small/store.db", here);
	unlink(trace);
	if (by_mount)
		smalldisk_mount("small", bytes);
	status = run_driver(&r);
	if (status != 128 + SIGKILL)
		fail_msg("disk of %zu bytes, seed=%u: status %d: %s", bytes, seed, status,
		    run_log());
	/* Opened while it is full it may have to wait for room, no more than that. */
	if (by_mount) {
		check_store(store, &(struct trace){ 0 }, NEVER, 0, &c);
		assert_true(!c.crashed && c.opened && c.salvaged < 0);
		smalldisk_resize("small", 2 * bytes + 16 * MIB);
	}
	judge(tally, "small", seed, "full disk");
	if (by_mount)
		smalldisk_unmount("small");	/* so that the next begins empty */
}

/* Others fill the disk, and make room again; then the store does it alone. */
static void
fill_disks(const char *what, unsigned cycles, bool by_mount)
{
	unsigned seed = unit_seed(), runs = cycles / CYCLES_A_RUN;
	struct rng r = rng_of(seed, 8);
	struct tally tally = { 0 };

	for (unsigned i = 0; i < runs; i++)
		if (i % 4 == 3)
			fill(&tally, seed + i, 1 * MIB + rng_below(&r, 7 * MIB), 0, by_mount);
		else
			fill(&tally, seed + i, 12 * MIB + rng_below(&r, 5 * MIB), 5 * MIB,
			    by_mount);
	tally.faults = cycles;
	report(what, &tally, seed);
	assert_true(tally.refused > 0 && tally.acknowledged > 0);
}

static void
test_a_full_disk_refuses_and_recovers(void **state)
{
	(void)state;
	if (mounts)
		fill_disks("full disk", unit_rounds(20, 200), true);
	else
		print_message("full disk: no mount namespace here, the shim's quota does\n");
}

static void
test_a_full_quota_refuses_and_recovers(void **state)
{
	(void)state;
	fill_disks("full quota", mounts ? CYCLES_A_RUN : unit_rounds(20, 200), false);
}

/* ---- the nth call fails ---- */

static void
fail_at(struct tally *tally, unsigned seed, const char *rule)
{
	char number[16], trace[600], store[600];
	struct run r = { .dir = "disk", .trace = trace,
		.env = { { "KP_PAGES_SEEM", "1" }, { "KP_SHIM_FAIL", rule } },
		.args = { "work", store, number, "200", "fsync" } };
	int status;

	snprintf(number, sizeof(number), "%u", seed);
	snprintf(trace, sizeof(trace), "%s/trace", here);
	snprintf(store, sizeof(store), "%s/disk/store.db", here);
	status = run_driver(&r);
	tally->refused_to_open += status == 2;
	if (status != 0 && status != 2)
		fail_msg("KP_SHIM_FAIL=%s seed=%u: status %d: %s", rule, seed, status, run_log());
	judge(tally, "disk", seed, rule);
}

/* The first ones while the file is made, then anywhere. */
static void
test_the_nth_write_fails(void **state)
{
	static const char *const errors[] = { "ENOSPC", "EIO", "SHORT", "EFBIG" };
	static const char *const kinds[] = { "write", "any", "write", "truncate", "open",
		"unlink" };
	unsigned seed = unit_seed(), n = unit_rounds(40, 500);
	struct rng r = rng_of(seed, 9);
	struct tally tally = { 0 };
	char rule[64];

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		bool rare = i % 6 > 2;

		snprintf(rule, sizeof(rule), "%s:*:%u%s:%s", kinds[i % 6],
		    rare ? 1 + rng_below(&r, 6) : i < n / 2 ? i + 1 : 1 + rng_below(&r, 150),
		    rng_below(&r, 3) ? "" : "+", errors[rng_below(&r, 4)]);
		fail_at(&tally, seed + i, rule);
	}
	report("nth write", &tally, seed);
	assert_true(tally.faults > n / 2);
}

/* The driver looks that nothing is taken for kept after KP_EIO. */
static void
test_a_failed_sync_poisons_the_store(void **state)
{
	unsigned seed = unit_seed(), n = unit_rounds(12, 200);
	struct rng r = rng_of(seed, 10);
	struct tally tally = { 0 };
	char rule[64];

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		snprintf(rule, sizeof(rule), "sync:%s:%u:EIO", i % 3 ? "-wal" : "*",
		    1 + rng_below(&r, i % 3 ? 25 : 40));
		fail_at(&tally, seed + i, rule);
	}
	report("failed sync", &tally, seed);
	assert_true(tally.faults > n / 2 && tally.refused > 0);
}

static int
unmount(void **state)
{
	(void)state;
	if (mounts)
		smalldisk_unmount("small");
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_full_disk_refuses_and_recovers, unmount),
		cmocka_unit_test(test_a_full_quota_refuses_and_recovers),
		cmocka_unit_test(test_the_nth_write_fails),
		cmocka_unit_test(test_a_failed_sync_poisons_the_store),
	};

	unit_filter();
	snprintf(here, sizeof(here), "%s", run_absolute("."));
	mounts = smalldisk_allowed();
	return cmocka_run_group_tests_name("full", tests, NULL, NULL);
}
