/* What Kafka is asked about topics now and then, and what follows from its answers. */
#include "common/log.h"
#include "tests/unit/unit.h"

/* The module under test; what the worker would ask of Kafka is answered by the tests. */
#define groups_look groups_look_under_test
#define group_forget_probe group_forget_probe_under_test
#define group_is_probed group_is_probed_under_test
#define group_is_fenced group_is_fenced_under_test
#define group_fence group_fence_under_test
#define group_tick_fenced group_tick_fenced_under_test
#include "helper/consume/group_check.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_set.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_state.h"

static int64_t clock_ms;
static struct loop_job *out;
static unsigned wrong_steps, restarted, left, made_again, sets;
static int32_t joined;
static char token;

#define loop_now_ms(l) ((void)(l), clock_ms)
#define loop_work(l, j) ((void)(l), out = (j), true)
#define topic_trouble(t, retry_s) ((void)(t), *(retry_s) = 0, (const char *)NULL)
#define stall_begin(t, now, n) ((void)(t), (void)(now), *(n) = 0, NULL)
#define gpart_restart(p) ((void)(p), restarted++)
#define topic_start_parts(t) ((void)(t))
#define topic_join(t, n) ((t)->n_partitions = joined = (n))
#define topic_leave(t) ((void)(t), left++)
#define topic_made_again(t) ((void)(t), made_again++)
#define topics_forget(ts, name) ((void)(ts), (void)(name))
#define group_is_member(g) ((void)(g), false)
#define group_run_sets(g) (assert_false(group_commit_busy(g)), sets++)
#define group_tick_soon(g) ((void)(g))
#undef log_error
#define log_error(...) (wrong_steps++)
#undef log_warn
#define log_warn(...) ((void)0)
#include "helper/consume/group_look.c"

static struct groups gs;
static struct group g;
static struct gtopic t;
static struct gpart part;

static int
set_up(void **state)
{
	(void)state;
	gs = (struct groups){ .list = &g };
	g = (struct group){ .gs = &gs, .name = "g", .topics = &t };
	t = (struct gtopic){ .g = &g, .group = g.name, .env = &gs.env, .name = "t",
	    .state = TOPIC_ACTIVE, .n_partitions = 4, .parts = &part, .waiting.n = 1 };
	part = (struct gpart){ .t = &t, .partition = 2, .state = GPART_ACTIVE };
	clock_ms = 1000000;
	out = NULL;
	wrong_steps = restarted = left = made_again = sets = 0;
	joined = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	assert_null(out);
	assert_int_equal(gs.look.n, 0);
	assert_int_equal(wrong_steps, 0);
	return 0;
}

/* The one that is due; all is well with it, so far. NULL: none is. */
static struct group_look *
begin(void)
{
	struct group_look *k;

	groups_look(&gs);
	k = (struct group_look *)out;
	if (k) {
		k->there = k->j.n_led;
		memset(k->j.led, true, (size_t)k->j.n_led);
	}
	return k;
}

static void
end(void)
{
	struct loop_job *job = out;

	out = NULL;
	job->done(job);
}

/* One at a time of a topic, and those that have waited longest first. */
static void
test_due(void **state)
{
	struct gtopic other = { .g = &g, .group = g.name, .env = &gs.env, .name = "other",
	    .state = TOPIC_ACTIVE, .look.began_ms = clock_ms - LOOK_IDLY_MS };

	(void)state;
	t.next = &other;
	t.look.began_ms = clock_ms - LOOK_MS + 1;
	assert_string_equal(begin()->j.topic, "other");	/* nobody waits for it */
	end();
	assert_null(begin());
	clock_ms++;
	assert_string_equal(begin()->j.topic, "t");
	assert_int_equal(gs.look.n, 1);
	groups_look(&gs);
	assert_int_equal(gs.look.n, 1);
	end();
	clock_ms += LOOK_MS - 1;
	assert_null(begin());
	part.no_leader = true;
	assert_non_null(begin());
	end();
	assert_false(part.no_leader);
}

static void
test_leaders(void **state)
{
	(void)state;
	begin()->j.led[2] = false;
	end();
	assert_true(part.no_leader);
	clock_ms += LOOK_MS;
	begin()->j.err = KP_EUNAVAIL;
	end();
	assert_true(part.no_leader);	/* nobody has said anything else */
	assert_true(gs.look.away);
	clock_ms += LOOK_MS;
	begin();
	end();
	assert_false(part.no_leader);
	assert_false(gs.look.away);
}

/* A probe and a commit are never on their way together. */
static void
test_probe(void **state)
{
	(void)state;
	assert_int_equal(begin()->probe, 2);
	assert_true(group_commit_busy(&g));
	end();
	assert_false(group_commit_busy(&g));
	assert_int_equal(sets, 1);
	clock_ms += LOOK_MS;
	assert_int_equal(begin()->probe, -1);	/* so soon */
	assert_false(group_commit_busy(&g));
	end();
	clock_ms += PROBE_MS;
	g.commit.state = COMMIT_SENT;
	assert_int_equal(begin()->probe, -1);
	end();
	probe_enter(&g, (struct group_look *)&token);
	assert_int_equal(wrong_steps, 1);
	wrong_steps = 0;
}

/* Brokers that manage the group refuse it: all parts start again, once. */
static void
test_refused(void **state)
{
	(void)state;
	begin()->refused = true;
	end();
	assert_true(g.probe.fenced);
	assert_int_equal(restarted, 0);
	group_tick_fenced(&g);
	group_tick_fenced(&g);
	assert_int_equal(restarted, 1);
}

static void
test_offset_is_gone(void **state)
{
	(void)state;
	begin()->gone = true;
	end();
	assert_int_equal(made_again, 1);
}

/* The group's consumer, or the topic, goes meanwhile. */
static void
test_forgotten(void **state)
{
	(void)state;
	begin()->refused = true;
	group_forget_probe(&g);
	group_forget_probe(&g);
	assert_false(group_commit_busy(&g));
	end();
	assert_false(g.probe.fenced);
	clock_ms += PROBE_MS;
	begin()->j.led[2] = false;
	topic_forget_jobs(&t);
	end();
	assert_false(part.no_leader);
}

/* Once may be a broker that is behind. */
static void
test_size(void **state)
{
	(void)state;
	begin()->there = 5;
	end();
	assert_int_equal(joined, 5);
	for (unsigned i = 0; i < FEWER_TIMES; i++) {
		assert_int_equal(left, 0);
		clock_ms += LOOK_MS;
		begin()->there = 4;
		end();
	}
	assert_int_equal(left, 1);
	for (unsigned i = 0; i < 2 * FEWER_TIMES; i++) {
		clock_ms += LOOK_MS;
		begin()->there = i % 2 ? 5 : 4;
		end();
	}
	assert_int_equal(left, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_due, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leaders, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_probe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_offset_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_size, set_up, tear_down),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
