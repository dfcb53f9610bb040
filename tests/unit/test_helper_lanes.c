/* Blocking calls in lanes: none takes the workers of another, and what is slow waits for its
 * like. */
#include "helper/loop.h"

#include <stdio.h>

#include "tests/unit/unit.h"

#define WAIT_MS 10000
#define SLOW_MS 1200			/* more than what makes a key slow */
#define QUEUE_MAX 2000

struct call {
	struct loop_job job;		/* first */
	uv_sem_t *until;		/* NULL, or: it takes until this is posted */
	unsigned sleep_ms;
	bool done;
};

static struct loop *loop;
static struct loop_timer deadline;
static unsigned done;
static bool late;

static int
setup(void **state)
{
	char workers[16];

	(void)state;
	snprintf(workers, sizeof(workers), "%d", LOOP_WORKERS);
	setenv("UV_THREADPOOL_SIZE", workers, 1);
	loop = loop_new();
	assert_non_null(loop);
	done = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	assert_int_equal(loop_jobs(loop), 0);
	loop_free(loop);
	return 0;
}

static void
call_work(struct loop_job *job)
{
	struct call *c = (struct call *)job;

	if (c->until)
		uv_sem_wait(c->until);
	if (c->sleep_ms)
		uv_sleep(c->sleep_ms);
}

static void
call_done(struct loop_job *job)
{
	((struct call *)job)->done = true;
	done++;
	loop_stop(loop);
}

static bool
call(struct call *c, enum loop_lane lane, const char *key, uv_sem_t *until)
{
	*c = (struct call){ .until = until, .job = { .work = call_work, .done = call_done,
	    .lane = lane, .keys = { 0, key ? loop_key('t', key) : 0 } } };
	return loop_work(loop, &c->job);
}

static void
is_late(void *arg)
{
	(void)arg;
	late = true;
	loop_stop(loop);
}

static void
await(unsigned n)
{
	late = false;
	loop_timer_set(loop, &deadline, WAIT_MS, 0, is_late, NULL);
	while (done < n && !late)
		loop_run(loop);
	loop_timer_end(&deadline);
	assert_false(late);
}

static void
test_full_lanes_hold_up_no_other(void **state)
{
	static struct call held[LOOP_LANES - 1][QUEUE_MAX], c;
	unsigned n = 0;
	uv_sem_t until;

	(void)state;
	uv_sem_init(&until, 0);
	for (int free_one = 0; free_one < LOOP_LANES; free_one++) {
		done = n = 0;
		for (int i = 0, k = 0; i < LOOP_LANES; i++) {
			unsigned m = 0;

			if (i == free_one)
				continue;
			/* Each has an end. */
			while (call(&held[k][m], (enum loop_lane)i, NULL, &until))
				assert_true(++m < QUEUE_MAX);
			n += m;
			k++;
		}
		assert_int_equal(loop_jobs(loop), n);
		assert_true(call(&c, (enum loop_lane)free_one, NULL, NULL));
		await(1);
		assert_true(c.done);
		for (unsigned i = 0; i < n; i++)
			uv_sem_post(&until);
		await(n + 1);
	}
	uv_sem_destroy(&until);
}

static void
test_slow_ones_wait_for_each_other(void **state)
{
	static struct call slow[20], quick[20], first;
	uv_sem_t until;

	(void)state;
	uv_sem_init(&until, 0);
	assert_true(call(&first, LOOP_QUESTIONS, "slow", NULL));
	await(1);
	first.sleep_ms = SLOW_MS;
	assert_true(loop_work(loop, &first.job));
	await(2);
	for (size_t i = 0; i < COUNT(slow); i++)
		assert_true(call(&slow[i], LOOP_QUESTIONS, "slow", &until));
	for (size_t i = 0; i < COUNT(quick); i++)
		assert_true(call(&quick[i], LOOP_QUESTIONS, i % 2 ? "quick" : NULL, NULL));
	await(2 + COUNT(quick));
	for (size_t i = 0; i < COUNT(slow); i++)
		assert_false(slow[i].done);
	/* Once it is quick again, it is one of them. */
	for (size_t i = 0; i < COUNT(slow); i++)
		uv_sem_post(&until);
	await(2 + COUNT(quick) + COUNT(slow));
	uv_sem_destroy(&until);
}

static void
test_keys(void **state)
{
	(void)state;
	assert_true(loop_key('t', "a") != loop_key('g', "a"));
	assert_true(loop_key('t', "a") != loop_key('t', "b"));
	assert_true(loop_key('t', "") != 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_full_lanes_hold_up_no_other),
		TEST(test_slow_ones_wait_for_each_other),
		TEST(test_keys),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
