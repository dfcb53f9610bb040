/* The steps of a group's commits, and what becomes of what each of them said. */
#include "common/log.h"
#include "tests/unit/unit.h"

/* The module under test; what it asks of Kafka is answered by the tests. */
#define group_commit group_commit_under_test
#define group_commit_tick group_commit_tick_under_test
#define group_commit_checked group_commit_checked_under_test
#define group_commit_busy group_commit_busy_under_test
#define group_commit_forget group_commit_forget_under_test
#define group_commit_wait_anew group_commit_wait_anew_under_test
#define topic_is_uncommitted topic_is_uncommitted_under_test
#define topic_commit_trouble topic_commit_trouble_under_test
#define topic_commit_is_well topic_commit_is_well_under_test
#include "common/fault.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_set.h"
#include "helper/consume/group_state.h"

static int64_t clock_ms;
static bool unusable, refuses_check;
static unsigned wrong_steps, checks, checked, forgotten, sent, sets, ticks;
static char token;
static enum kp_err its_err;
static char metadata[64];
static consumer_committed_fn *commit_done_fn;

#define group_now_ms(g) ((void)(g), clock_ms)
#define topic_now_ms(t) ((void)(t), clock_ms)
#define group_usable(g) ((void)(g), !unusable)
#define group_is_member(g) ((void)(g), false)
#define group_run_sets(g) (assert_false(group_commit_busy(g)), sets++)
#define group_tick_soon(g) ((void)(g), ticks++)
#define group_check_new(g, name, env, n)							\
	((void)(g), (void)(name), (void)(env), (void)(n), (struct group_check *)&token)
#define group_check_add(k, p) ((void)(k), (void)(p), checked++)
#define group_check_begin(k) ((void)(k), checks += !refuses_check, !refuses_check)
#define group_check_forget(k) ((void)(k), forgotten++)
#define consumer_position(r) ((void)(r), INT64_C(7))
#define consumer_commit_begin(c, done, g)						\
	((void)(c), (void)(g), commit_done_fn = (done), (struct consumer_commit *)&token)
#define consumer_commit_add(x, t, p, o, m)						\
	((void)(x), (void)(t), (void)(p), (void)(o), note_metadata(m))
#define consumer_commit_send(x) ((void)(x), sent++)
#define consumer_commit_err(x, err, t, p) ((void)(x), (void)(err), (void)(t), (void)(p), its_err)
#undef log_error
#define log_error(...) (wrong_steps++)
#undef log_warn
#define log_warn(...) ((void)0)

static void
note_metadata(struct kp_slice text)
{
	snprintf(metadata, sizeof(metadata), "%.*s", (int)text.n, (const char *)text.p);
}

#include "helper/consume/group_commit.c"

static struct groups gs;
static struct group g;
static struct gtopic t;
static struct gpart part;

static void
drop(void *message)
{
	(void)message;
}

static int
set_up(void **state)
{
	(void)state;
	g = (struct group){ .gs = &gs, .name = "g", .topics = &t };
	t = (struct gtopic){ .g = &g, .group = g.name, .name = "t", .state = TOPIC_ACTIVE,
	    .parts = &part };
	part = (struct gpart){ .t = &t, .state = GPART_ACTIVE,
	    .reader = (struct consumer_part *)&token };
	clock_ms = 1000000;
	committed_init(&part.committed);
	offers_init(&part.offers, 7, 7);
	committed_start(&part.committed, &part.offers, 7, NULL, clock_ms);
	unusable = refuses_check = false;
	wrong_steps = checks = checked = forgotten = sent = sets = ticks = 0;
	its_err = KP_OK;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	offers_clear(&part.offers, drop);
	committed_free(&part.committed);
	assert_int_equal(wrong_steps, 0);
	return 0;
}

static void
done(int64_t offset)
{
	offers_confirm(&part.offers, offers_add(&part.offers, offset, &token, 1));
}

static void
answer(enum kp_err err)
{
	its_err = err;
	commit_done_fn(&g, err, NULL);
}

/* Checked, sent, answered: one at a time. */
static void
test_steps(void **state)
{
	(void)state;
	group_commit(&g);
	assert_int_equal(checks, 0);	/* nothing has changed */
	done(7);
	group_commit(&g);
	assert_int_equal(checks, 1);
	assert_int_equal(checked, 1);
	assert_int_equal(g.commit.state, COMMIT_CHECKING);
	group_commit(&g);
	assert_int_equal(checks, 1);
	group_commit_checked(&g, KP_OK);
	assert_int_equal(g.commit.state, COMMIT_SENT);
	assert_int_equal(sent, 1);
	group_commit(&g);
	assert_int_equal(checks, 1);
	assert_int_equal(sets, 0);
	answer(KP_OK);
	assert_int_equal(g.commit.state, COMMIT_IDLE);
	assert_int_equal(part.committed.offset, 8);
	assert_int_equal(sets, 1);
	assert_int_equal(ticks, 1);
}

static void
test_its_time(void **state)
{
	(void)state;
	done(7);
	group_commit_tick(&g, clock_ms);
	assert_int_equal(checks, 1);
	group_commit_checked(&g, KP_OK);
	answer(KP_OK);
	done(8);
	clock_ms += COMMIT_MS - 1;
	group_commit_tick(&g, clock_ms);
	assert_int_equal(checks, 1);
	clock_ms++;
	group_commit_tick(&g, clock_ms);
	assert_int_equal(checks, 2);
	/* An idle group keeps its offsets. */
	group_commit_checked(&g, KP_OK);
	answer(KP_OK);
	clock_ms += RECOMMIT_MS;
	group_commit_tick(&g, clock_ms);
	assert_int_equal(checks, 2);
	clock_ms++;
	group_commit(&g);
	assert_int_equal(checks, 3);
}

/* What was to be committed is gone, or others may have it: the step ends there. */
static void
test_nothing_left(void **state)
{
	(void)state;
	done(7);
	group_commit(&g);
	part.reader = NULL;
	group_commit_checked(&g, KP_OK);
	assert_false(group_commit_busy(&g));
	assert_int_equal(sent, 0);
	assert_int_equal(sets, 1);
	part.reader = (struct consumer_part *)&token;
	group_commit(&g);
	unusable = true;
	group_commit_checked(&g, KP_OK);
	assert_false(group_commit_busy(&g));
	group_commit(&g);
	assert_int_equal(checks, 2);
	assert_int_equal(sent, 0);
}

static void
test_no_free_worker(void **state)
{
	(void)state;
	refuses_check = true;
	done(7);
	group_commit(&g);
	assert_false(group_commit_busy(&g));
	assert_int_equal(g.commit.unanswered_ms, clock_ms);
}

/* Neither would see what the other one has done. */
static void
test_a_probe_keeps_commits_out(void **state)
{
	(void)state;
	done(7);
	g.probe.job = (struct group_look *)&token;
	assert_true(group_commit_busy(&g));
	group_commit(&g);
	assert_int_equal(checks, 0);
	g.probe.job = NULL;
	group_commit(&g);
	assert_int_equal(checks, 1);
	g.probe.job = (struct group_look *)&token;
	group_commit_checked(&g, KP_OK);
	assert_int_equal(wrong_steps, 1);
	wrong_steps = 0;
}

/* The user hears why, until one succeeds; and nothing more is handed out after a while. */
static void
test_failures(void **state)
{
	int64_t begin = clock_ms;

	(void)state;
	done(7);
	group_commit(&g);
	group_commit_checked(&g, KP_EUNAVAIL);
	assert_false(group_commit_busy(&g));
	assert_string_equal(topic_commit_trouble(&t), COMMIT_FAILS);
	assert_int_equal(g.commit.unanswered_ms, begin);
	clock_ms += HOLD_MS - 1;
	assert_false(topic_is_uncommitted(&t));
	clock_ms++;
	assert_true(topic_is_uncommitted(&t));
	group_commit(&g);
	group_commit_checked(&g, KP_OK);
	answer(KP_EIO);			/* an answer, and a bad one */
	assert_int_equal(g.commit.unanswered_ms, 0);
	assert_true(topic_is_uncommitted(&t));
	assert_int_equal(part.committed.offset, 7);
	topic_commit_is_well(&t);
	assert_string_equal(topic_commit_trouble(&t), COMMIT_FAILS);
	group_commit(&g);
	group_commit_checked(&g, KP_OK);
	answer(KP_OK);
	assert_null(topic_commit_trouble(&t));
	assert_false(topic_is_uncommitted(&t));
}

static void
test_fenced(void **state)
{
	(void)state;
	done(7);
	group_commit(&g);
	group_commit_checked(&g, KP_OK);
	answer(KP_ECONFLICT);
	assert_true(g.probe.fenced);
	assert_null(topic_commit_trouble(&t));
}

/* Brokers that take less beside an offset than we put there still take the offset. */
static void
test_plain(void **state)
{
	struct offer *first = offers_add(&part.offers, 7, &token, 1);

	(void)state;
	done(8);
	group_commit(&g);
	group_commit_checked(&g, KP_OK);
	assert_string_equal(metadata, "BB");
	answer(KP_ETOOBIG);
	assert_null(topic_commit_trouble(&t));
	group_commit(&g);
	group_commit_checked(&g, KP_OK);
	assert_string_equal(metadata, "");
	answer(KP_OK);
	offers_return(&part.offers, first);
}

/* The consumer goes in any state, and a new one begins. */
static void
test_forgotten(void **state)
{
	(void)state;
	group_commit_forget(&g);
	done(7);
	group_commit(&g);
	group_commit_forget(&g);
	assert_int_equal(forgotten, 1);
	assert_false(group_commit_busy(&g));
	group_commit(&g);
	group_commit_checked(&g, KP_OK);
	group_commit_forget(&g);
	assert_int_equal(forgotten, 1);
	assert_false(group_commit_busy(&g));
	group_commit(&g);
	assert_int_equal(checks, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_steps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_its_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_free_worker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_probe_keeps_commits_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fenced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
