/* The loop's workers: how many jobs they take, and that what must end ends there; and who is
 * told that the process stood still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "helper/loop.h"
#include "tests/unit/unit.h"

#define JOBS_MAX 5000

static struct loop *loop;
static uv_sem_t gate;			/* what is at work waits for it */
static uv_thread_t loop_thread;
static unsigned done;
static bool ended_on_loop;

static void
wait_for_gate(struct loop_job *j)
{
	(void)j;
	uv_sem_wait(&gate);
}

static void
count(struct loop_job *j)
{
	(void)j;
	done++;
}

/* A worker, and not the loop, does it, after all others. */
static void
end_work(struct loop_job *j)
{
	uv_thread_t self = uv_thread_self();

	(void)j;
	ended_on_loop = uv_thread_equal(&self, &loop_thread);
}

static void
end_done(struct loop_job *j)
{
	(void)j;
	loop_stop(loop);
}

static void
test_an_end_is_never_refused(void **state)
{
	static struct loop_job jobs[JOBS_MAX];
	struct loop_job end = { .work = end_work, .done = end_done };
	unsigned n = 0;

	(void)state;
	loop = loop_new();
	loop_thread = uv_thread_self();
	uv_sem_init(&gate, 0);
	do {
		assert_true(n < JOBS_MAX);
		jobs[n].work = wait_for_gate;
		jobs[n].done = count;
	} while (loop_work(loop, &jobs[n]) && ++n);
	loop_work_last(loop, &end);
	assert_int_equal(loop_jobs(loop), n + 1);
	for (unsigned i = 0; i < n; i++)
		uv_sem_post(&gate);
	loop_run(loop);
	assert_false(ended_on_loop);
	while (done < n)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	assert_int_equal(loop_jobs(loop), 0);
	loop_free(loop);
	uv_sem_destroy(&gate);
}

struct watcher {
	struct loop_pause pause;
	int64_t told_ms;
	int times;
};

static void
note_pause(void *arg, int64_t ms)
{
	struct watcher *w = arg;

	w->told_ms = ms;
	w->times++;
	loop_pause_end(&w->pause);
}

static void
stand_still(struct loop_task *t)
{
	(void)t;
	uv_sleep(700);
}

/* Each by its own limit; one that has ended is not told. */
static void
test_who_wants_to_know_that_it_stood_still(void **state)
{
	struct watcher w[] = { { .times = 0 }, { .times = 0 }, { .times = 0 } };
	static const int64_t limit_ms[] = { 600, 60000, 600 };
	struct loop_task task = { .run = stand_still };

	(void)state;
	loop = loop_new();
	for (size_t i = 0; i < COUNT(w); i++)
		loop_pause_set(loop, &w[i].pause, limit_ms[i], note_pause, &w[i]);
	loop_pause_end(&w[2].pause);
	loop_pause_end(&w[2].pause);
	loop_post(loop, &task);
	while (w[0].times == 0)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_true(w[0].told_ms >= 700);
	for (int i = 0; i < 5; i++)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	assert_int_equal(w[0].times, 1);
	assert_int_equal(w[1].times + w[2].times, 0);
	loop_pause_end(&w[1].pause);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_end_is_never_refused),
		cmocka_unit_test(test_who_wants_to_know_that_it_stood_still),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
