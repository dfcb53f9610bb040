/* --coordination local: everything is ours, and the group hears of it from the loop only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "helper/coordination/coordination.h"

static const struct coordination_ops *const ops = &coordination_local;

/* What the group was told, as "+t0" (claimed) and "-t0" (revoke). */
static struct {
	struct coordination_env env;
	struct coordination *c;
	char told[256];
	bool inside;			/* a call of the interface */
	bool release_at_once;
	bool closed;
} w;

static void
note(char what, const char *topic, int32_t partition)
{
	size_t n = strlen(w.told);

	assert_false(w.inside);
	snprintf(w.told + n, sizeof(w.told) - n, "%c%s%d ", what, topic, partition);
}

static void
on_claimed(void *arg, const char *topic, int32_t partition)
{
	assert_ptr_equal(arg, &w);
	note('+', topic, partition);
}

static void
on_revoke(void *arg, const char *topic, int32_t partition)
{
	assert_ptr_equal(arg, &w);
	note('-', topic, partition);
	if (w.release_at_once)
		ops->released(w.c, topic, partition);
}

static void
on_lost(void *arg, const char *topic, int32_t partition)
{
	(void)arg;
	fail_msg("lost %s %d", topic, partition);
}

static const struct coordination_events events = { on_claimed, on_revoke, on_lost };

/* Runs what was posted; what it was told, since the last time, is as expected. */
static void
expect(const char *want)
{
	for (int i = 0; i < 5; i++)
		uv_run(loop_uv(w.env.loop), UV_RUN_NOWAIT);
	assert_string_equal(w.told, want);
	w.told[0] = '\0';
}

static void
subscribe(const char *topic, int32_t n)
{
	w.inside = true;
	assert_int_equal(ops->subscribe(w.c, topic, n), KP_OK);
	w.inside = false;
}

static void
unsubscribe(const char *topic)
{
	w.inside = true;
	ops->unsubscribe(w.c, topic);
	w.inside = false;
}

static void
released(const char *topic, int32_t partition)
{
	w.inside = true;
	ops->released(w.c, topic, partition);
	w.inside = false;
}

static void
on_closed(void *arg)
{
	assert_false(w.inside);
	*(bool *)arg = true;
}

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.env.loop = loop_new();
	return ops->open(&w.env, "g", &events, &w, &w.c) != KP_OK;
}

static int
teardown(void **state)
{
	(void)state;
	w.inside = true;
	ops->close(w.c, on_closed, &w.closed);
	w.inside = false;
	for (int i = 0; i < 5; i++)
		uv_run(loop_uv(w.env.loop), UV_RUN_NOWAIT);
	loop_free(w.env.loop);
	return !w.closed;
}

static void
test_takes_all(void **state)
{
	(void)state;
	subscribe("t", 3);
	assert_non_null(ops->trouble(w.c, "t"));
	expect("+t0 +t1 +t2 ");
	assert_null(ops->trouble(w.c, "t"));
	subscribe("t", 3);
	expect("");
	subscribe("t", 4);
	expect("+t3 ");
	subscribe("u", 1);
	expect("+u0 ");
}

static void
test_gives_all_back(void **state)
{
	(void)state;
	w.release_at_once = true;
	subscribe("t", 2);
	expect("+t0 +t1 ");
	unsubscribe("t");
	expect("-t0 -t1 ");
	subscribe("t", 2);
	expect("+t0 +t1 ");
}

static void
test_wanted_again_before_it_is_released(void **state)
{
	(void)state;
	subscribe("t", 2);
	expect("+t0 +t1 ");
	unsubscribe("t");
	expect("-t0 -t1 ");
	released("t", 0);
	subscribe("t", 2);
	expect("+t0 ");
	assert_non_null(ops->trouble(w.c, "t"));
	released("t", 1);
	expect("+t1 ");
	assert_null(ops->trouble(w.c, "t"));
}

/* What was not told yet is not told at all. */
static void
test_changed_its_mind(void **state)
{
	(void)state;
	subscribe("t", 1);
	unsubscribe("t");
	expect("");
	subscribe("t", 1);
	expect("+t0 ");
	unsubscribe("t");
	subscribe("t", 1);
	expect("");
}

/* A topic that was made again may have fewer partitions. */
static void
test_takes_no_more_than_there_are(void **state)
{
	(void)state;
	subscribe("t", 3);
	expect("+t0 +t1 +t2 ");
	unsubscribe("t");
	expect("-t0 -t1 -t2 ");
	released("t", 2);
	subscribe("t", 1);
	released("t", 1);
	released("t", 0);
	expect("+t0 ");
	assert_null(ops->trouble(w.c, "t"));
	subscribe("t", 2);
	expect("+t1 ");
}

static void
test_ignores_what_it_never_asked_for(void **state)
{
	(void)state;
	subscribe("t", 1);
	expect("+t0 ");
	released("t", 0);
	released("t", 7);
	released("t", -1);
	released("x", 0);
	unsubscribe("x");
	assert_null(ops->trouble(w.c, "x"));
	expect("");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_takes_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gives_all_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wanted_again_before_it_is_released, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_changed_its_mind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_no_more_than_there_are, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_ignores_what_it_never_asked_for, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
