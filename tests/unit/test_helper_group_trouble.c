/* Why a topic gives nothing, and since when: with clocks of the test's. */
#include "common/clock.h"
#include "tests/unit/unit.h"

/* The module under test, with this file's clocks below it. */
#define topic_trouble topic_trouble_under_test
#define topic_shows_trouble topic_shows_trouble_under_test
#include "helper/consume/group.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_lost.h"
#include "helper/consume/group_topic.h"

#define topic_now_ms(t) ((void)(t), now_ms)
#define group_coord(g) ((void)(g), (struct coordination *)NULL)
#define group_is_cut_off(g) ((void)(g), false)
#define clock_wall_ms() wall_ms
#define consumer_unfit(p) ((void)(p), "it is too large")
#define consumer_position(p) ((void)(p), INT64_C(41))
static int64_t now_ms = 1000000, wall_ms = INT64_C(1700000000000);
#include "helper/consume/group_trouble.c"

/* A trouble is shown after a while, also when the clock is set back meanwhile. */
static void
test_a_clock_that_is_set_back_hides_nothing(void **state)
{
	struct gtopic t = { .group = "g", .name = "t", .why = "no leader", .state = TOPIC_ACTIVE };
	struct msg_group_trouble v[1];

	(void)state;
	assert_false(topic_shows_trouble(&t, v));
	wall_ms -= 3600 * 1000;
	now_ms += SHOW_MS;
	assert_true(topic_shows_trouble(&t, v));
	assert_true(kp_slice_eq(v[0].group, LIT("g")) && kp_slice_eq(v[0].topic, LIT("t")));
	t.state = TOPIC_LEAVING;
	assert_false(topic_shows_trouble(&t, v));
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
	const struct groups_env env = { .ops = &(const struct coordination_ops){
	    .trouble = no_trouble } };
	char group[GROUP_MAX + 1] = "a b&c%\"";
	struct gtopic t = { .group = group, .env = &env, .name = "t", .state = TOPIC_ACTIVE };
	struct gpart p = { .t = &t, .partition = 3, .state = GPART_ACTIVE };
	uint32_t retry_s;
	const char *text;

	(void)state;
	t.parts = &p;
	text = topic_trouble(&t, &retry_s);
	assert_string_equal(text, "partition 3 stands still at offset 41 since "
	    "2023-11-14T22:13:20Z: it is too large; to go on behind it, POST "
	    "[{\"partition\": 3, \"offset\": 42}] to /topics/t/offsets?group=a%20b%26c%25%22");
	memset(group, '%', GROUP_MAX);
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
