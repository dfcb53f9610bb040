/* Partitions that do not have what is to be read next: when Kafka is asked, and what follows. */
#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "tests/unit/unit.h"

/* The module under test; what Kafka says, and the time between two questions, are this file's. */
#define topic_ask_range topic_ask_range_under_test
#include "helper/consume/group.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_topic.h"

#define BEGIN 10
#define END 50

static int64_t clock_ms, position;
static bool no_worker, busy;
static struct loop_job *out;
static unsigned restarted, found, made_again;

#define topic_now_ms(t) ((void)(t), clock_ms)
#define loop_work(l, j) ((void)(l), no_worker ? false : (out = (j), true))
#define consumer_position(r) ((void)(r), position)
#define gpart_restart(p) ((void)(p), restarted++)
#define gpart_found(p) ((void)(p), found++)
#define topic_made_again(t) ((void)(t), made_again++)
#define group_commit_busy(g) ((void)(g), busy)
#undef log_warn
#define log_warn(...) ((void)0)
#include "helper/consume/group_range.c"

static struct groups_env env;
static struct gtopic t;
static struct gpart part, other;
static struct gpart *parts[] = { &other, NULL, &part };

static int
set_up(void **state)
{
	(void)state;
	t = (struct gtopic){ .group = "g", .env = &env, .name = "t", .state = TOPIC_ACTIVE,
	    .parts = &other, .index = parts, .n_index = COUNT(parts) };
	other = (struct gpart){ .next = &part, .t = &t, .state = GPART_ACTIVE };
	part = (struct gpart){ .t = &t, .partition = 2, .state = GPART_ACTIVE, .astray = true };
	clock_ms = 1000000;
	position = BEGIN;
	no_worker = busy = false;
	restarted = found = made_again = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	assert_null(out);
	assert_null(t.range.job);
	return 0;
}

/* What is asked, of which Kafka has all so far; NULL: nothing. */
static struct group_job *
ask(void)
{
	struct group_job *j;

	clock_ms += RETRY_MS;
	topic_ask_range(&t);
	j = (struct group_job *)out;
	for (size_t i = 0; j && i < j->n; i++) {
		j->v[i].begin = BEGIN;
		j->v[i].end = END;
	}
	return j;
}

static void
answer(void)
{
	struct loop_job *job = out;

	out = NULL;
	job->done(job);
}

/* Those that are astray, once at a time, and not again at once. */
static void
test_asked(void **state)
{
	struct group_job *j = ask();

	(void)state;
	assert_int_equal(j->n, 1);
	assert_int_equal(j->v[0].partition, 2);
	assert_string_equal(j->group, "g");
	assert_string_equal(j->topic, "t");
	assert_ptr_equal(ask(), j);
	answer();
	clock_ms--;
	assert_null(ask());
	other.astray = true;
	assert_int_equal(ask()->n, 2);
	answer();
	other.astray = part.astray = false;
	assert_null(ask());
}

static void
test_no_free_worker(void **state)
{
	(void)state;
	no_worker = true;
	assert_null(ask());
	no_worker = false;
	clock_ms -= RETRY_MS;		/* with the next tick */
	assert_non_null(ask());
	answer();
}

/* Kafka has it after all, or has deleted it. */
static void
test_in_range_or_below(void **state)
{
	(void)state;
	ask();
	answer();
	position = END;
	ask();
	answer();
	assert_int_equal(found, 2);
	assert_int_equal(restarted, 0);
	position = BEGIN - 1;
	ask();
	answer();
	assert_int_equal(found, 2);
	assert_int_equal(restarted, 1);
}

/* It may be a leader of old that says so: believed after a while. */
static void
test_ends_before_it(void **state)
{
	int64_t since;

	(void)state;
	position = END + 1;
	ask();
	answer();
	since = part.doubt_ms;
	assert_int_not_equal(since, 0);
	ask();
	answer();
	assert_int_equal(part.doubt_ms, since);
	assert_int_equal(restarted, 0);
	part.doubt_ms = clock_mono_ms() - DOUBT_MS;
	ask();
	answer();
	assert_int_equal(restarted, 1);
	assert_int_equal(found, 0);
}

/* The offset of the group is gone: so is the topic. A commit on its way might put it there. */
static void
test_made_again(void **state)
{
	(void)state;
	busy = true;
	ask()->v[0].committed = -1;
	answer();
	assert_int_equal(made_again, 0);
	busy = false;
	ask()->v[0].committed = -1;
	answer();
	assert_int_equal(made_again, 1);
}

/* It did not answer, or not in time for anything to follow. */
static void
test_no_answer(void **state)
{
	(void)state;
	position = BEGIN - 1;
	ask()->err = KP_EUNAVAIL;
	answer();
	ask();
	part.state = GPART_STOPPING;
	answer();
	part.state = GPART_ACTIVE;
	ask();
	part.astray = false;
	answer();
	part.astray = true;
	ask();
	topic_forget_jobs(&t);
	answer();
	t.range.job = NULL;		/* of a topic that has gone */
	assert_int_equal(restarted, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_free_worker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_range_or_below, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends_before_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_made_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_answer, set_up, tear_down),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
