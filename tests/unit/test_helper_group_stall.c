/* Partitions that give nothing: when they are noticed, and how often the group starts anew. */
#include "common/fault.h"
#include "common/log.h"
#include "tests/unit/unit.h"

/* The module under test, with a consumer and a clock of this file's below it. */
#define stall_reset stall_reset_under_test
#define stall_gave stall_gave_under_test
#define stall_begin stall_begin_under_test
#define stall_end stall_end_under_test
#include "helper/consume/group_life.h"
#include "helper/consume/group_topic.h"
#include "helper/kafka/kafka_admin.h"

#define consumer_position(r) ((void)(r), position)
#define consumer_progress(r) ((void)(r), position)
#define consumer_waits_for_room(r) ((void)(r), no_room)
#define consumer_unfit(r) ((void)(r), (const char *)NULL)
#define group_throttled_ms(g) ((void)(g), throttled_ms)
#define group_renew(g) ((void)(g), renewed_ms = clock_ms, renewed++)
#define group_renewed_within(g, ms)							\
	((void)(g), renewed_ms && clock_ms - renewed_ms < (ms))
#undef log_warn
#define log_warn(...) ((void)0)
static int64_t clock_ms, position, throttled_ms, renewed_ms;
static bool no_room;
static unsigned renewed;
#include "helper/consume/group_stall.c"

#define END 50

static struct gtopic t;
static struct gpart part;
static struct gpart *parts[1] = { &part };

static int
set_up(void **state)
{
	(void)state;
	t = (struct gtopic){ .group = "g", .name = "t", .state = TOPIC_ACTIVE, .n_partitions = 1,
	    .parts = &part, .index = parts, .n_index = 1, .waiting.n = 1 };
	part = (struct gpart){ .t = &t, .state = GPART_ACTIVE };
	stall_reset(&part.stall);
	clock_ms = 1000000;
	position = 41;
	throttled_ms = renewed_ms = 0;
	no_room = false;
	renewed = 0;
	return 0;
}

/* True: its end was asked for. */
static bool
ask(void)
{
	struct partition_offsets *v;
	size_t n;

	clock_ms += STALL_MS + STALL_EACH_MS;
	v = stall_begin(&t, clock_ms, &n);
	if (v == NULL)
		return false;
	assert_int_equal(n, 1);
	v[0].end = END;
	stall_end(&t, v, n);
	free(v);
	return true;
}

/* Once may be an accident, and what gives messages does not stall. */
static void
test_twice_at_the_same_place(void **state)
{
	(void)state;
	assert_true(ask());
	assert_false(part.stall.stalled);
	position++;
	assert_true(ask());
	assert_false(part.stall.stalled);
	assert_int_equal(renewed, 0);
	assert_true(ask());
	assert_true(part.stall.stalled);
	assert_false(t.stall.stuck);
	assert_int_equal(renewed, 1);
	stall_gave(&part.stall);
	assert_false(part.stall.stalled);
	position = END;
	assert_true(ask());
	assert_true(ask());
	assert_false(part.stall.stalled);
	assert_int_equal(renewed, 1);
}

/* Starting anew has not helped: that is said, and not done again. */
static void
test_stuck(void **state)
{
	(void)state;
	ask();
	ask();
	assert_int_equal(renewed, 1);
	clock_ms += RENEW_MS;
	stall_reset(&part.stall);	/* as it does when it starts */
	ask();
	assert_false(part.stall.stalled);
	ask();
	assert_true(t.stall.stuck);
	assert_int_equal(renewed, 1);
	position++;			/* another place: another try */
	ask();
	ask();
	assert_true(part.stall.stalled);
	assert_false(t.stall.stuck);
	assert_int_equal(renewed, 2);
	position++;			/* so soon, hosts that share the group are spared */
	ask();
	ask();
	assert_true(part.stall.stalled);
	assert_int_equal(renewed, 2);
}

/* There is a good reason for which it gives nothing. */
static void
test_not_asked(void **state)
{
	(void)state;
	t.waiting.n = 0;
	assert_false(ask());
	t.waiting.n = 1;
	no_room = true;
	assert_false(ask());
	no_room = false;
	part.astray = true;
	assert_false(ask());
	part.astray = false;
	part.state = GPART_STOPPING;
	assert_false(ask());
	part.state = GPART_ACTIVE;
	ask();
	ask();
	assert_true(part.stall.stalled);
	throttled_ms = 1;
	assert_false(ask());
	assert_false(part.stall.stalled);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_twice_at_the_same_place, set_up),
		cmocka_unit_test_setup(test_stuck, set_up),
		cmocka_unit_test_setup(test_not_asked, set_up),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
