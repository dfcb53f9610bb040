/* Why a topic gives nothing, and since when: with clocks of the test's. */
#include "common/clock.h"
#include "tests/unit/unit.h"

/* The module under test, with this file's clocks below it. */
#define topic_trouble topic_trouble_under_test
#define groups_troubles groups_troubles_under_test
#include "helper/consume/group_state.h"

#define loop_now_ms(l) ((void)(l), now_ms)
#define clock_wall_ms() wall_ms
#define consumer_unfit(p) ((void)(p), "it is too large")
#define consumer_position(p) ((void)(p), INT64_C(41))
static int64_t now_ms = 1000000, wall_ms = INT64_C(1700000000000);
#include "helper/consume/group_trouble.c"

/* A trouble is shown after a while, also when the clock is set back meanwhile. */
static void
test_a_clock_that_is_set_back_hides_nothing(void **state)
{
	struct groups gs = { 0 };
	struct group g = { .gs = &gs, .name = "g" };
	struct gtopic t = { .g = &g, .name = "t", .why = "no leader", .state = TOPIC_ACTIVE };
	struct msg_group_trouble v[1];

	(void)state;
	gs.list = &g;
	g.topics = &t;
	assert_int_equal(groups_troubles(&gs, v, 1), 0);
	wall_ms -= 3600 * 1000;
	now_ms += SHOW_MS;
	assert_int_equal(groups_troubles(&gs, v, 1), 1);
	assert_true(kp_slice_eq(v[0].group, LIT("g")) && kp_slice_eq(v[0].topic, LIT("t")));
	t.state = TOPIC_LEAVING;
	assert_int_equal(groups_troubles(&gs, v, 1), 0);
}

static const char *
no_trouble(struct coordination *c, const char *topic)
{
	(void)c;
	(void)topic;
	return NULL;
}

/* The operator can do what the text says, whatever the names are; when it has no room for
 * them it still says the offset. */
static void
test_what_to_post(void **state)
{
	struct groups gs = { .env.ops = &(const struct coordination_ops){
	    .trouble = no_trouble } };
	struct group g = { .gs = &gs, .name = "a b&c%\"" };
	struct gtopic t = { .g = &g, .name = "t", .state = TOPIC_ACTIVE };
	struct gpart p = { .t = &t, .partition = 3, .state = GPART_ACTIVE };
	uint32_t retry_s;
	const char *text;

	(void)state;
	t.parts = &p;
	text = topic_trouble(&t, &retry_s);
	assert_string_equal(text, "partition 3 stands still at offset 41 since "
	    "2023-11-14T22:13:20Z: it is too large; to go on behind it, POST "
	    "[{\"partition\": 3, \"offset\": 42}] to /topics/t/offsets?group=a%20b%26c%25%22");
	memset(g.name, '%', GROUP_MAX);
	memset(t.name, 't', TOPIC_MAX);
	text = topic_trouble(&t, &retry_s);
	assert_non_null(strstr(text, "; to go on behind it, set the offset to 42"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_to_post),
		cmocka_unit_test(test_a_clock_that_is_set_back_hides_nothing),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
