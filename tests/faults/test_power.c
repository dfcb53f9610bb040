/*
 * Power loss: of whatever the store told as kept, every byte is there again, in
 * whatever state the disk was left between two syncs. And the negative control: a
 * build that does not sync is caught.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/faults/check.h"
#include "tests/faults/run.h"
#include "tests/unit/unit.h"

#define OPERATIONS "310"		/* and what closing adds */
/* Of a trace every operation is tried; with a sanitizer, which makes it slow, some. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 4
#else
#define STRIDE 1
#endif
#define STORE "s/store.db"		/* in a folder that the store makes */

struct tally {
	unsigned images, bad, crashed;
	size_t owed, lost, phantom, changed, back;
	char first[256];
};

static void
trace_driver(struct trace *t, unsigned seed, const char *durability, const char *promise)
{
	char number[16], trace[600], store[600];
	struct run r = { .dir = "disk", .trace = trace, .faults = promise != NULL,
		.env = { { "KP_PAGES_SEEM", "1" }, { promise ? "KP_BREAK" : NULL, promise } },
		.args = { "work", store, number, OPERATIONS, durability } };
	int status;

	snprintf(number, sizeof(number), "%u", seed);
	snprintf(trace, sizeof(trace), "%s/trace", run_absolute("."));
	snprintf(store, sizeof(store), "%s/disk/" STORE, run_absolute("."));
	status = run_driver(&r);
	if (status != 0)
		fail_msg("store_driver seed=%u: status %d: %s", seed, status, run_log());
	trace_read(t, trace, seed);
}

static void
try_image(const struct trace *t, uint64_t at, enum image_kind kind, struct rng *r,
    struct tally *tally)
{
	struct check c;

	run_remove("image");
	assert_int_equal(mkdir("image", 0700), 0);
	image_write(t, at, kind, r, "image");
	check_store("image/" STORE, t, at, 0, &c);
	tally->images++;
	tally->crashed += c.crashed;
	tally->owed += trace_owed(t, at);
	tally->lost += (size_t)c.lost;
	tally->phantom += (size_t)c.phantom;
	tally->changed += (size_t)c.changed;
	tally->back += (size_t)c.back;
	if (check_ok(&c))
		return;
	if (tally->bad++ == 0)
		snprintf(tally->first, sizeof(tally->first), "seed=%u at=%llu of %zu kind=%d: %s",
		    t->seed, (unsigned long long)at, t->n_ops, (int)kind, c.text);
}

/* One image at each operation of a trace, the first of them at its end. */
static void
try_trace(const struct trace *t, struct tally *tally, unsigned most)
{
	struct rng r = rng_of(t->seed, 2);

	for (uint64_t i = 0; i <= t->n_ops && tally->images < most; i += STRIDE)
		try_image(t, t->n_ops - i, i % 8 == 4 ? IMAGE_NONE : (enum image_kind)(2 + i % 5),
		    &r, tally);
}

static void
report(const char *what, const struct tally *t, unsigned seed)
{
	print_message("%s: images=%u acknowledged=%zu lost=%zu phantom=%zu changed=%zu back=%zu "
	    "bad=%u seed=%u\n", what, t->images, t->owed, t->lost, t->phantom, t->changed,
	    t->back, t->bad, seed);
}

static void
test_what_was_kept_survives_power_loss(void **state)
{
	unsigned seed = unit_seed(), want = unit_rounds(300, 5000) / STRIDE;
	struct tally tally = { 0 };
	struct trace t;

	(void)state;
	for (unsigned i = 0; tally.images < want; i++) {
		trace_driver(&t, seed + i, "fsync", NULL);
		/* The trace is worth something: all kinds of moments are in it. */
		assert_true(t.n_fates > 10);
		assert_true(trace_count(&t, SHIM_WRITE, "store.db") > 5);
		assert_true(trace_count(&t, SHIM_SYNC, "-wal") > 10);
		try_trace(&t, &tally, UINT32_MAX);
		trace_free(&t);
	}
	report("power loss", &tally, seed);
	/* At the end of a trace all of it may have left, but not at all of its moments. */
	assert_true(tally.owed > want);
	if (tally.bad)
		fail_msg("%u images of %u: %s", tally.bad, tally.images, tally.first);
}

/* With durability os the newest may be lost, but nothing else goes wrong: no id comes
 * again. */
static void
test_power_loss_with_durability_os_only_loses(void **state)
{
	unsigned seed = unit_seed(), want = unit_rounds(60, 1000) / STRIDE;
	struct tally tally = { 0 };
	struct rng r = rng_of(seed, 3);
	struct check c;
	struct trace t;

	(void)state;
	trace_driver(&t, seed, "os", NULL);
	for (unsigned i = 0; i < want; i++) {
		uint64_t at = rng_below(&r, (unsigned)t.n_ops + 1);

		run_remove("image");
		assert_int_equal(mkdir("image", 0700), 0);
		image_write(&t, at, (enum image_kind)(i % IMAGE_KINDS), &r, "image");
		check_store("image/" STORE, &t, at, 0, &c);
		tally.images++;
		tally.bad += c.crashed || !c.opened || !c.sound || c.changed || c.disordered ||
		    c.repeated;
		if (tally.bad && !tally.first[0])
			snprintf(tally.first, sizeof(tally.first), "image %u: %s", i, c.text);
	}
	trace_free(&t);
	report("power loss, durability os", &tally, seed);
	if (tally.bad)
		fail_msg("%s", tally.first);
}

/* These tests would notice. */
static void
test_a_store_that_does_not_sync_is_caught(void **state)
{
	unsigned seed = unit_seed();
	struct tally tally = { 0 };
	struct trace t;

	(void)state;
	trace_driver(&t, seed, "fsync", "no-sync");
	try_trace(&t, &tally, 60 / STRIDE);
	trace_free(&t);
	report("power loss, no-sync", &tally, seed);
	assert_true(tally.lost > 0);
	assert_true(tally.bad > tally.images / 4);
}

static size_t
read_both(const char *a, const char *b, uint8_t **pa, uint8_t **pb)
{
	size_t n[2];
	const char *names[] = { a, b };
	uint8_t **to[] = { pa, pb };

	for (int i = 0; i < 2; i++) {
		FILE *f = fopen(names[i], "re");

		if (f == NULL)
			fail_msg("%s is not there", names[i]);
		*to[i] = malloc(1 << 24);
		assert_non_null(*to[i]);
		n[i] = fread(*to[i], 1, 1 << 24, f);
		fclose(f);
	}
	assert_int_equal(n[0], n[1]);
	return n[0];
}

/* The shim sees all that happens: what it has written down makes the same files. */
static void
test_a_trace_is_complete(void **state)
{
	static const char *const names[] = { "", "-wal" };
	unsigned seed = unit_seed();
	struct rng r = rng_of(seed, 4);
	uint8_t *a, *b;
	struct trace t;

	(void)state;
	trace_driver(&t, seed, "fsync", NULL);
	run_remove("image");
	assert_int_equal(mkdir("image", 0700), 0);
	image_write(&t, t.n_ops, IMAGE_ALL, &r, "image");
	for (size_t i = 0; i < COUNT(names); i++) {
		char real[64], made[64];
		struct stat st;
		size_t n;

		snprintf(real, sizeof(real), "disk/" STORE "%s", names[i]);
		snprintf(made, sizeof(made), "image/" STORE "%s", names[i]);
		if (stat(real, &st) < 0 && stat(made, &st) < 0)
			continue;
		n = read_both(real, made, &a, &b);
		assert_memory_equal(a, b, n);
		free(a);
		free(b);
	}
	trace_free(&t);
}

/* A file with two writes and a sync between them: each image is one that may be. */
static void
test_images_follow_the_model(void **state)
{
	struct trace_op ops[] = {
		{ .kind = SHIM_CREATE, .object = 1, .path = "f" },
		{ .kind = SHIM_SYNC_DIR, .path = "" },
		{ .kind = SHIM_WRITE, .object = 1, .data = (const uint8_t *)"aaaa",
		    .data_bytes = 4 },
		{ .kind = SHIM_SYNC, .object = 1 },
		{ .kind = SHIM_WRITE, .object = 1, .offset = 2, .data = (const uint8_t *)"bbbb",
		    .data_bytes = 4 },
		{ .kind = SHIM_TRUNCATE, .object = 1, .offset = 3 },
	};
	struct trace t = { .ops = ops, .n_ops = COUNT(ops) };
	/* Content and size are each of some moment since the sync. */
	static const char *const may_be[] = { "aaaa", "aabb", "aabbbb", "aab", "aaaa\0\0",
		"aaa", "aab\0", "aab\0\0\0" };
	static const size_t sizes[] = { 4, 4, 6, 3, 6, 3, 4, 6 };
	unsigned seen[COUNT(may_be)] = { 0 };
	struct rng r = rng_of(unit_seed(), 5);

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		char bytes[16];
		size_t n, m = 0;
		FILE *f;

		run_remove("image");
		assert_int_equal(mkdir("image", 0700), 0);
		image_write(&t, t.n_ops, IMAGE_ANY_MOMENT, &r, "image");
		f = fopen("image/f", "re");
		assert_non_null(f);
		n = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		while (m < COUNT(may_be) && (n != sizes[m] || memcmp(bytes, may_be[m], n) != 0))
			m++;
		if (m == COUNT(may_be))
			fail_msg("%zu bytes %.*s", n, (int)n, bytes);
		seen[m]++;
	}
	for (size_t m = 0; m < COUNT(may_be); m++)
		assert_true(seen[m] || m == 5);	/* a cut that shows takes away what it cut */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_follow_the_model),
		cmocka_unit_test(test_a_trace_is_complete),
		cmocka_unit_test(test_what_was_kept_survives_power_loss),
		cmocka_unit_test(test_power_loss_with_durability_os_only_loses),
		cmocka_unit_test(test_a_store_that_does_not_sync_is_caught),
	};

	unit_filter();
	return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
