/*
 * A disk that changes what it holds: flipped bits and lost ends of the file and of
 * its log. The store opens, goes on working, and gives back what was accepted byte
 * for byte, or a dead letter, or nothing; never something else.
 */
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/check.h"
#include "tests/faults/run.h"
#include "tests/unit/unit.h"

#define STORE "damaged/store.db"
#define FLIPS_MAX 64

struct tally {
	unsigned cases, crashed, unopened, set_aside;
	int64_t present, missing, dead, phantom, changed, disordered;
	char first[256];
};

struct original {
	struct trace t;
	uint8_t *bytes[2];		/* of the file, of its log */
	size_t n[2];
};

static uint8_t *
read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "re");
	uint8_t *bytes = malloc(1 << 25);

	assert_non_null(bytes);
	*n = f ? fread(bytes, 1, 1 << 25, f) : 0;
	if (f)
		fclose(f);
	return bytes;
}

static void
free_original(struct original *o)
{
	trace_free(&o->t);
	free(o->bytes[0]);
	free(o->bytes[1]);
}

static void
run_to_original(struct original *o, unsigned seed, bool with_log)
{
	char number[16], trace[600], store[600];
	struct run r = { .dir = "disk", .trace = trace,
		.env = { { "KP_PAGES_SEEM", "1" },
		    { with_log ? "KP_SHIM_KILL" : NULL, "sync:-wal:90" } },
		/* The kill comes long before the last of them. */
		.args = { "work", store, number, with_log ? "12000" : "1200", "fsync" } };
	int status;

	snprintf(number, sizeof(number), "%u", seed);
	snprintf(trace, sizeof(trace), "%s/trace", run_absolute("."));
	snprintf(store, sizeof(store), "%s/disk/store.db", run_absolute("."));
	status = run_driver(&r);
	if (status != (with_log ? 128 + SIGKILL : 0))
		fail_msg("store_driver seed=%u: status %d: %s", seed, status, run_log());
	trace_read(&o->t, trace, seed);
	o->bytes[0] = read_file("disk/store.db", &o->n[0]);
	o->bytes[1] = read_file("disk/store.db-wal", &o->n[1]);
}

/* Killed before the Nth sync of the log: a file and a log with something in both. Where
 * the log has just begun anew, the next seed does it. */
static void
make_original(struct original *o, unsigned seed, bool with_log)
{
	unsigned last = seed + 10;

	run_to_original(o, seed, with_log);
	while (with_log && o->n[1] <= 4096 && seed < last) {
		free_original(o);
		run_to_original(o, ++seed, with_log);
	}
	assert_true(o->n[0] > 4096 && (o->n[1] > 4096) == with_log);
}

static void
write_file(const char *path, const uint8_t *bytes, size_t n)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	chmod(path, 0600);
}

/* 1 to 64 bytes anywhere or close together, or an end that is gone. */
static void
damage(struct rng *r, uint8_t *bytes, size_t *n)
{
	unsigned flips = 1 + rng_below(r, FLIPS_MAX), how = rng_below(r, 4);
	size_t base = rng_below(r, (unsigned)*n);

	if (how == 0) {
		*n = rng_below(r, (unsigned)*n + 1);
		return;
	}
	for (unsigned i = 0; i < (how == 1 ? 1 : flips); i++) {
		size_t at = how == 2 ? base + rng_below(r, 128) : rng_below(r, (unsigned)*n);

		if (at < *n)
			bytes[at] ^= (uint8_t)(1 + rng_below(r, 255));
	}
}

static unsigned
set_aside(void)
{
	glob_t g;
	unsigned n = 0;

	if (glob(STORE ".damaged-*", 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			n += strstr(g.gl_pathv[i], "-wal") == NULL;
	globfree(&g);
	return n;
}

static void
note(struct tally *tally, unsigned seed, const char *what, const char *text)
{
	if (tally->first[0] == '\0')
		snprintf(tally->first, sizeof(tally->first), "case %u of seed %u: %s: %s",
		    tally->cases, seed, what, text);
}

static void
judge(struct tally *tally, const struct check *c, unsigned seed)
{
	unsigned aside = set_aside();

	tally->present += c->present;
	tally->missing += c->lost;
	tally->dead += c->dead;
	tally->phantom += c->phantom;
	tally->changed += c->changed;
	tally->disordered += c->disordered;
	tally->set_aside += aside;
	tally->crashed += c->crashed;
	tally->unopened += !c->opened;
	if (c->crashed || !c->opened)
		note(tally, seed, "it does not open", c->text);
	else if (c->changed || c->phantom)
		note(tally, seed, "not what was accepted", c->text);
	else if (!c->worked || !c->sound)
		note(tally, seed, "it does not work", c->text);
	else if (aside != (c->salvaged >= 0))
		note(tally, seed, "set aside without a line in the log, or the reverse", c->text);
	else if (c->salvaged >= 0 &&
	    (c->salvaged != c->rows || c->salvaged_dead != c->dead_rows))
		note(tally, seed, "the log counts other rows than there are", c->text);
}

static void
try_damage(const struct original *o, struct rng *r, struct tally *tally)
{
	static const char *const names[] = { STORE, STORE "-wal" };
	int which = o->n[1] ? (int)rng_below(r, 2) : 0;
	struct check c;

	run_remove("damaged");
	assert_int_equal(mkdir("damaged", 0700), 0);
	for (int i = 0; i < 2; i++) {
		size_t n = o->n[i];
		uint8_t *copy = exact_copy(o->bytes[i], n);

		if (i == which)
			damage(r, copy, &n);
		if (o->n[i])
			write_file(names[i], copy, n);
		free(copy);
	}
	/* As every store has it. */
	write_file(STORE "-reserve", (const uint8_t *)"", 0);
	check_store(STORE, &o->t, NEVER, CHECK_WORK | CHECK_DAMAGED, &c);
	tally->cases++;
	judge(tally, &c, o->t.seed);
}

static void
run_cases(const char *what, unsigned cases, unsigned of_each, bool with_log)
{
	unsigned seed = unit_seed();
	struct tally tally = { 0 };
	struct original o;

	for (unsigned i = 0; i * of_each < cases; i++) {
		struct rng r = rng_of(seed + i, 6);

		make_original(&o, seed + i, with_log);
		for (unsigned n = 0; n < of_each; n++)
			try_damage(&o, &r, &tally);
		free_original(&o);
	}
	print_message("%s: cases=%u set_aside=%u rows=%lld dead=%lld missing=%lld disordered=%lld "
	    "phantom=%lld changed=%lld crashed=%u unopened=%u seed=%u\n", what, tally.cases,
	    tally.set_aside,
	    (long long)tally.present, (long long)tally.dead, (long long)tally.missing,
	    (long long)tally.disordered, (long long)tally.phantom, (long long)tally.changed,
	    tally.crashed, tally.unopened, seed);
	if (tally.first[0])
		fail_msg("%s", tally.first);
	assert_true(tally.set_aside > 0 && tally.present > 0);
}

static void
test_a_damaged_file_gives_nothing_false(void **state)
{
	(void)state;
	run_cases("damage", unit_rounds(100, 1000), 50, false);
}

static void
test_a_damaged_log_gives_nothing_false(void **state)
{
	(void)state;
	run_cases("damage, with a log", unit_rounds(100, 1000), 50, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_damaged_file_gives_nothing_false),
		cmocka_unit_test(test_a_damaged_log_gives_nothing_false),
	};

	unit_filter();
	return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
