/* Offsets that a user sets: what they wait for, who commits them; and each is answered once. */
#include "tests/unit/unit.h"

/* The module under test; Kafka and the rest of the group are this file's. */
#define groups_set_offsets groups_set_offsets_under_test
#define group_run_sets group_run_sets_under_test
#define topic_adopt_sets topic_adopt_sets_under_test
#include "helper/consume/group_job.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_state.h"

static bool member, busy, no_worker, no_memory;
static struct loop_job *out;
static consumer_committed_fn *own_done;
static void *own_arg;
static unsigned disowned, started, stepped, answers;
static enum kp_err answered;
static char token;

static bool
commit_own(struct group_job *j, consumer_committed_fn *done)
{
	if (no_memory)
		j->err = KP_ENOMEM;
	own_done = done;
	own_arg = j;
	return !no_memory;
}

#define group_is_member(g) ((void)(g), member)
#define group_commit_busy(g) ((void)(g), busy)
#define loop_work(l, j) ((void)(l), no_worker ? false : (out = (j), true))
#define job_commit_own(g, j, done) ((void)(g), commit_own((j), (done)))
#define gpart_disown(p) ((void)(p), disowned++)
#define topic_start_parts(t) ((void)(t), started++)
#define topic_step(t) ((void)(t))
#define group_step(g) ((void)(g), stepped++)
#include "helper/consume/group_set.c"

static struct groups gs;
static struct group g;
static struct gtopic t, other;
static struct gpart part;
static struct gpart *parts[] = { NULL, &part };

static int
set_up(void **state)
{
	(void)state;
	gs = (struct groups){ .list = &g };
	g = (struct group){ .gs = &gs, .name = "g", .topics = &t,
	    .consumer = (struct consumer *)&token };
	t = (struct gtopic){ .next = &other, .g = &g, .group = g.name, .name = "t",
	    .parts = &part, .index = parts, .n_index = COUNT(parts) };
	other = (struct gtopic){ .g = &g, .group = g.name, .name = "other" };
	part = (struct gpart){ .t = &t, .partition = 1 };
	member = busy = no_worker = no_memory = false;
	out = NULL;
	own_done = NULL;
	disowned = started = stepped = answers = 0;
	return 0;
}

/* Each was answered once, and nothing is held or kept of it. */
static int
tear_down(void **state)
{
	(void)state;
	assert_null(out);
	assert_null(gs.sets);
	assert_null(g.sets);
	assert_int_equal(g.own_sets, 0);
	assert_int_equal(t.holds + other.holds, 0);
	return 0;
}

static void
answer(void *arg, enum kp_err err, const char *why)
{
	assert_ptr_equal(arg, &token);
	(void)why;
	answers++;
	answered = err;
}

static void
set(const char *group, const char *topic)
{
	struct partition_offsets *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	v->partition = 1;
	groups_set_offsets(&gs, group, topic, v, 1, 1000, answer, &token);
}

static void
worker_says(enum kp_err err)
{
	struct loop_job *job = out;

	assert_non_null(job);
	out = NULL;
	((struct group_job *)job)->err = err;
	job->done(job);
}

static void
test_group_is_not_here(void **state)
{
	(void)state;
	set("elsewhere", "t");
	assert_int_equal(disowned, 0);
	assert_int_equal(answers, 0);
	assert_string_equal(((struct group_job *)out)->group, "elsewhere");
	worker_says(KP_ECONFLICT);
	assert_int_equal(answers, 1);
	assert_err(answered, KP_ECONFLICT);
	assert_int_equal(started, 0);
}

/* Nothing is offered or committed from now on; then it starts from there. */
static void
test_topic_is_here(void **state)
{
	(void)state;
	set("g", "t");
	assert_int_equal(disowned, 1);
	assert_int_equal(t.holds, 1);
	worker_says(KP_OK);
	assert_int_equal(answers, 1);
	assert_err(answered, KP_OK);
	assert_int_equal(started, 1);
}

/* A commit or a start that is on its way would overwrite it. */
static void
test_waits(void **state)
{
	(void)state;
	busy = true;
	set("g", "t");
	set("g", "other");
	group_run_sets(&g);
	assert_null(out);
	busy = false;
	t.start = (struct group_start *)&token;
	group_run_sets(&g);
	assert_string_equal(((struct group_job *)out)->topic, "other");
	worker_says(KP_OK);
	group_run_sets(&g);
	assert_null(out);
	t.start = NULL;
	group_run_sets(&g);
	assert_string_equal(((struct group_job *)out)->topic, "t");
	worker_says(KP_OK);
	assert_int_equal(answers, 2);
}

/* A topic that comes meanwhile starts after it. */
static void
test_adopted(void **state)
{
	(void)state;
	g.topics = NULL;
	set("g", "t");
	set("g", "other");
	topic_adopt_sets(&other);
	worker_says(KP_OK);
	assert_int_equal(other.holds, 0);
	assert_int_equal(started, 1);
	out = &gs.sets->j.job;
	topic_adopt_sets(&t);
	assert_int_equal(t.holds, 1);
	worker_says(KP_OK);
	assert_int_equal(started, 2);
}

/* Brokers that manage the group take it from its own consumer alone, which stays as long. */
static void
test_member(void **state)
{
	(void)state;
	member = true;
	set("g", "t");
	assert_null(out);
	assert_int_equal(g.own_sets, 1);
	own_done(own_arg, KP_ECONFLICT, NULL);
	assert_err(answered, KP_EUNAVAIL);	/* it may be the next generation already */
	assert_int_equal(stepped, 1);
	no_memory = true;
	set("g", "t");
	assert_int_equal(answers, 2);
	assert_err(answered, KP_ENOMEM);
	g.closing = true;
	set("g", "t");
	worker_says(KP_OK);
	assert_int_equal(answers, 3);
}

static void
test_too_late_or_too_many(void **state)
{
	(void)state;
	no_worker = true;
	set("g", "t");
	assert_err(answered, KP_EUNAVAIL);
	assert_int_equal(answers, 1);
	assert_int_equal(started, 1);
	no_worker = false;
	gs.closing = true;
	set("g", "t");
	assert_err(answered, KP_EUNAVAIL);
	assert_int_equal(answers, 2);
	assert_int_equal(disowned, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_group_is_not_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_topic_is_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_adopted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_member, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_late_or_too_many, set_up, tear_down),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
