/* A group that does not find Kafka: when it gets a new consumer, and how soon the next one. */
#include "common/fault.h"
#include "common/log.h"
#include "tests/unit/unit.h"

/* The module under test; time, Kafka and the rest of the group are this file's. */
#define group_find_kafka group_find_kafka_under_test
#define group_note_peers group_note_peers_under_test
#define group_goes_down group_goes_down_under_test
#define group_tick_down group_tick_down_under_test
#define group_left_lost group_left_lost_under_test
#define group_is_cut_off group_is_cut_off_under_test
#define group_leaves_lost group_leaves_lost_under_test
#include "helper/consume/group_state.h"

static int64_t clock_ms, lost_since_ms;
static bool member, no_memory, refused, joined;
static unsigned peers, changed, renewed, probes;
static void (*probed_fn)(void *arg, enum kp_err err);
static char token;

#define group_now_ms(g) ((void)(g), clock_ms)
#define kafka_peers(k) ((void)(k), (struct kafka_peers *)NULL)
#define kafka_peers_generation(p) ((void)(p), peers)
#define kafka_reach_lost(r, since) ((void)(r), lost_since_ms = (since), true)
#define consumer_is_refused(c) ((void)(c), refused)
#define consumer_give_up_commits(c) ((void)(c))
#define consumer_free(c) ((void)(c), changed++)
#define consumer_probe(c, probed) ((void)(c), probed_fn = (probed), probes++)
#define gpart_hand_over(p, next) ((void)(p), (void)(next))
#define group_new_consumer(g) ((void)(g), no_memory ? NULL : (struct consumer *)&token)
#define group_is_member(g) ((void)(g), member)
#define group_renew(g) ((void)(g), renewed++)
#undef log_warn
#define log_warn(...) ((void)0)
#undef log_info
#define log_info(...) ((void)0)
#include "helper/consume/group_lost.c"

static bool
is_joined(struct coordination *c)
{
	(void)c;
	return joined;
}

static const struct coordination_ops ops = { .joined = is_joined };
static struct groups gs = { .env.ops = &ops };
static struct gtopic t;
static struct group g;

static int
set_up(void **state)
{
	(void)state;
	g = (struct group){ .gs = &gs, .name = "g", .consumer = (struct consumer *)&token,
	    .coord = (struct coordination *)&token, .topics = &t };
	clock_ms = 100 * (int64_t)WAIT_MAX_MS;
	member = no_memory = refused = false;
	joined = true;
	changed = renewed = probes = 0;
	group_note_peers(&g);
	return 0;
}

/* After so long; how often it has got a new one by then. */
static unsigned
find_after(int64_t ms)
{
	clock_ms += ms;
	group_find_kafka(&g, clock_ms);
	return changed;
}

/* A new one at once; then later and later, until all is well for a while. */
static void
test_less_and_less_often(void **state)
{
	(void)state;
	assert_int_equal(find_after(0), 0);
	group_goes_down(&g);
	assert_int_equal(find_after(0), 1);
	assert_false(g.lost.down || g.lost.leaves);
	group_goes_down(&g);
	assert_int_equal(find_after(KAFKA_LOST_MS - 1), 1);
	assert_int_equal(find_after(1), 2);
	group_goes_down(&g);
	assert_int_equal(find_after(2 * KAFKA_LOST_MS - 1), 2);
	assert_int_equal(find_after(1), 3);
	for (int i = 0; i < 20; i++) {
		group_goes_down(&g);
		find_after(2 * (int64_t)WAIT_MAX_MS);
	}
	assert_in_range(g.lost.wait_ms, WAIT_MAX_MS, 2 * WAIT_MAX_MS);
	find_after(KAFKA_LOST_MS);
	assert_int_not_equal(g.lost.wait_ms, 0);
	find_after(1);
	assert_int_equal(g.lost.wait_ms, 0);
}

/* Whatever of it has lasted longest counts, and nothing of it does with the next consumer. */
static void
test_since_when(void **state)
{
	(void)state;
	group_goes_down(&g);
	g.commit.unanswered_ms = clock_ms - 5;
	find_after(1);
	assert_int_equal(lost_since_ms, clock_ms - 6);
	assert_int_equal(g.commit.unanswered_ms, 0);
	assert_int_equal(g.lost.down_ms, 0);
	joined = false;
	find_after(WAIT_MAX_MS);
	assert_int_equal(changed, 1);	/* others are dividing the partitions */
	refused = true;
	find_after(1);
	assert_int_equal(lost_since_ms, clock_ms - KAFKA_LOST_MS / 2);
	assert_int_equal(changed, 2);
}

/* Who holds its partitions as a member leaves with them, and can commit nothing. */
static void
test_a_member_leaves(void **state)
{
	(void)state;
	member = true;
	group_goes_down(&g);
	assert_int_equal(find_after(0), 0);
	assert_int_equal(renewed, 1);
	assert_true(g.lost.leaves);
	group_left_lost(&g);
	assert_false(g.lost.leaves);
}

/* Not lost: it can commit what it holds. */
static void
test_other_peers(void **state)
{
	(void)state;
	no_memory = true;
	peers++;
	assert_int_equal(find_after(0), 0);
	no_memory = false;
	assert_int_equal(find_after(0), 1);
	group_note_peers(&g);
	assert_int_equal(find_after(0), 1);
	member = true;
	peers++;
	find_after(0);
	assert_int_equal(renewed, 1);
	assert_false(g.lost.leaves);
}

static void
test_down_until_a_sign_of_life(void **state)
{
	(void)state;
	group_tick_down(&g);
	assert_int_equal(probes, 0);
	group_goes_down(&g);
	clock_ms++;
	group_goes_down(&g);
	assert_int_equal(g.lost.down_ms, clock_ms - 1);
	group_tick_down(&g);
	assert_int_equal(probes, 1);
	probed_fn(&g, KP_EUNAVAIL);
	assert_true(g.lost.down);
	probed_fn(&g, KP_OK);
	assert_false(g.lost.down);
	assert_int_equal(g.lost.down_ms, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_less_and_less_often, set_up),
		cmocka_unit_test_setup(test_since_when, set_up),
		cmocka_unit_test_setup(test_a_member_leaves, set_up),
		cmocka_unit_test_setup(test_other_peers, set_up),
		cmocka_unit_test_setup(test_down_until_a_sign_of_life, set_up),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
