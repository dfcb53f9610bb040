/* --coordination kafka: what the group is told, in which order, when its consumer, which is
 * a fake here, tells of rebalances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/clock.h"
#include "helper/coordination/group_kafka_consumers.h"
#include "tests/unit/unit.h"

/* The module under test, with this file's consumer and clock below it. */
#define consumer_join fake_join
#define consumer_subscribe fake_subscribe
#define consumer_give_up fake_give_up
#define consumer_lost fake_lost
#define consumer_session_ms fake_session_ms
#define consumer_leave fake_leave
#define loop_pause_set fake_pause_set
#define loop_pause_end fake_pause_end
#define coordination_kafka coordination_kafka_under_test
static enum kp_err fake_join(struct consumer *, const struct consumer_member_events *, void *);
static enum kp_err fake_subscribe(struct consumer *, const char *const *, size_t);
static void fake_give_up(struct consumer *);
static bool fake_lost(const struct consumer *);
static int64_t fake_session_ms(const struct consumer *);
static void fake_leave(struct consumer *);
static void fake_pause_set(struct loop *, struct loop_pause *, int64_t,
    void (*)(void *, int64_t), void *);
static void fake_pause_end(struct loop_pause *);
#include "helper/coordination/group_kafka.c"
#undef loop_pause_set
#undef loop_pause_end

static const struct coordination_ops *const ops = &coordination_kafka_under_test;

/*
 * All that is said, in both directions: "+t0" claimed, "-t0" revoke, "!t0" lost; "S(t,u)"
 * subscribe, "G" give up, "L" leave; "E" the end.
 */
static struct {
	struct coordination_env env;
	struct coordination *c;
	const struct consumer_member_events *events;
	void *arg;
	char told[512];
	bool lost;
	bool release_at_once;
	bool refuse;
	bool no_memory;
	struct loop_pause *pause;
} w;

static void __attribute__((format(printf, 1, 2)))
say(const char *format, ...)
{
	size_t n = strlen(w.told);
	va_list ap;

	va_start(ap, format);
	vsnprintf(w.told + n, sizeof(w.told) - n, format, ap);
	va_end(ap);
}

/* ---- the consumer ---- */

static enum kp_err
fake_join(struct consumer *c, const struct consumer_member_events *member_events, void *arg)
{
	(void)c;
	if (w.no_memory)
		return KP_ENOMEM;
	w.events = member_events;
	w.arg = arg;
	return KP_OK;
}

static enum kp_err
fake_subscribe(struct consumer *c, const char *const *topics, size_t n)
{
	(void)c;
	say("S(");
	for (size_t i = 0; i < n; i++)
		say("%s%s", i ? "," : "", topics[i]);
	say(") ");
	return w.refuse ? KP_EKAFKA : KP_OK;
}

static void
fake_give_up(struct consumer *c)
{
	(void)c;
	w.lost = false;
	say("G ");
}

static bool
fake_lost(const struct consumer *c)
{
	(void)c;
	return w.lost;
}

static int64_t
fake_session_ms(const struct consumer *c)
{
	(void)c;
	return 6000;
}

static void
fake_leave(struct consumer *c)
{
	(void)c;
	say("L ");
	w.events->left(w.arg);
}

static void
fake_pause_set(struct loop *l, struct loop_pause *p, int64_t limit_ms,
    void (*tell)(void *arg, int64_t ms), void *arg)
{
	(void)l;
	p->limit_ms = limit_ms;
	p->paused = tell;
	p->arg = arg;
	w.pause = p;
}

static void
fake_pause_end(struct loop_pause *p)
{
	p->paused = NULL;
}

/* The loop tells of it in its next turn. */
static void
stand_still(int64_t ms)
{
	if (ms > w.pause->limit_ms)
		w.pause->paused(w.pause->arg, ms);
}

/* ---- the group ---- */

static void
on_claimed(void *arg, const char *topic, int32_t partition)
{
	(void)arg;
	say("+%s%d ", topic, partition);
}

static void
on_revoke(void *arg, const char *topic, int32_t partition)
{
	(void)arg;
	say("-%s%d ", topic, partition);
	if (w.release_at_once)
		ops->released(w.c, topic, partition);
}

static void
on_lost(void *arg, const char *topic, int32_t partition)
{
	(void)arg;
	say("!%s%d ", topic, partition);
}

static void
on_closed(void *arg)
{
	(void)arg;
	say("E ");
}

static const struct coordination_events group_events = { on_claimed, on_revoke, on_lost };

/* ---- */

static void
turn(void)
{
	for (int i = 0; i < 5; i++)
		uv_run(loop_uv(w.env.loop), UV_RUN_NOWAIT);
}

static void
expect(const char *want)
{
	turn();
	assert_string_equal(w.told, want);
	w.told[0] = '\0';
}

static void
assign(const char *topic, int32_t n)
{
	struct consumer_slot v[8];

	memset(v, 0, sizeof(v));
	for (int32_t i = 0; i < n; i++) {
		snprintf(v[i].topic, sizeof(v[i].topic), "%s", topic);
		v[i].partition = i;
	}
	w.events->assigned(w.arg, v, (size_t)n);
}

static void
take_back(bool lost)
{
	w.lost = lost;
	w.events->revoked(w.arg, lost);
}

static void
hold(const char *topic, int32_t n)
{
	assert_int_equal(ops->subscribe(w.c, topic, n), KP_OK);
	turn();
	assign(topic, n);
	turn();
	w.told[0] = '\0';
}

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.env.loop = loop_new();
	return ops->open(&w.env, "g", &group_events, NULL, &w.c) != KP_OK ||
	    ops->attach(w.c, NULL) != KP_OK;
}

static int
teardown(void **state)
{
	(void)state;
	w.told[0] = '\0';
	ops->close(w.c, on_closed, NULL);
	turn();
	loop_free(w.env.loop);
	return strcmp(w.told, "L E ") != 0;
}

static void
test_joins_and_holds(void **state)
{
	(void)state;
	assert_int_equal(ops->subscribe(w.c, "t", 2), KP_OK);
	assert_string_equal(w.told, "");
	expect("S(t) ");
	assert_non_null(ops->trouble(w.c, "t"));
	assign("t", 2);
	expect("+t0 +t1 ");
	assert_null(ops->trouble(w.c, "t"));
	assert_non_null(ops->trouble(w.c, "u"));
	assert_int_equal(ops->subscribe(w.c, "t", 3), KP_OK);
	expect("");
}

/* Kafka's words, until it works. */
static void
test_says_why_it_does_not_join(void **state)
{
	(void)state;
	assert_int_equal(ops->subscribe(w.c, "t", 1), KP_OK);
	turn();
	assert_string_equal(ops->trouble(w.c, "t"), "rebalancing");
	w.events->error(w.arg, "Group authorization failed");
	assert_non_null(strstr(ops->trouble(w.c, "t"), "Group authorization failed"));
	assign("t", 0);
	assert_null(ops->trouble(w.c, "t"));
}

/* Topics that come while others are being joined wait for the next rebalance, together. */
static void
test_topics_wait_for_the_end_of_a_rebalance(void **state)
{
	(void)state;
	w.release_at_once = true;
	assert_int_equal(ops->subscribe(w.c, "t", 1), KP_OK);
	expect("S(t) ");
	assert_int_equal(ops->subscribe(w.c, "u", 1), KP_OK);
	assert_int_equal(ops->subscribe(w.c, "v", 1), KP_OK);
	expect("");
	assign("t", 1);
	expect("+t0 S(v,u,t) ");
	assert_non_null(ops->trouble(w.c, "t"));
	take_back(false);
	expect("-t0 G ");
	assign("u", 1);
	expect("+u0 ");
	assert_null(ops->trouble(w.c, "v"));
	ops->unsubscribe(w.c, "v");
	ops->unsubscribe(w.c, "t");
	expect("S(u) ");
}

static void
test_gives_up_when_all_is_released(void **state)
{
	(void)state;
	hold("t", 3);
	take_back(false);
	expect("-t0 -t1 -t2 ");
	ops->released(w.c, "t", 1);
	ops->released(w.c, "t", 1);
	ops->released(w.c, "x", 0);
	ops->released(w.c, "t", 0);
	expect("");
	assert_non_null(ops->trouble(w.c, "t"));
	ops->released(w.c, "t", 2);
	expect("G ");
	assign("t", 1);
	expect("+t0 ");
}

/* librdkafka joins again by itself, before it is told that all is released. */
static void
test_an_assignment_waits_for_what_is_owed(void **state)
{
	(void)state;
	hold("t", 3);
	take_back(false);
	ops->released(w.c, "t", 0);
	expect("-t0 -t1 -t2 ");
	assign("t", 3);
	expect("");
	assert_non_null(ops->trouble(w.c, "t"));
	ops->released(w.c, "t", 2);
	expect("");
	ops->released(w.c, "t", 1);
	expect("+t0 +t1 +t2 ");
	assert_null(ops->trouble(w.c, "t"));
	take_back(false);
	expect("-t0 -t1 -t2 ");
}

static void
test_an_assignment_that_waits_is_taken_back(void **state)
{
	(void)state;
	hold("t", 1);
	take_back(false);
	assign("u", 1);
	take_back(false);
	expect("-t0 ");
	ops->released(w.c, "t", 0);
	expect("G ");
	hold("t", 1);
	take_back(false);
	assign("u", 1);
	take_back(true);
	expect("-t0 !t0 G ");
}

static void
test_the_second_of_two_assignments_stands(void **state)
{
	(void)state;
	hold("t", 2);
	assign("t", 1);
	expect("!t0 !t1 +t0 ");
}

static void
test_nothing_is_owed_for_what_is_lost(void **state)
{
	(void)state;
	hold("t", 2);
	w.lost = true;
	assert_false(ops->usable(w.c));
	take_back(true);
	expect("!t0 !t1 G ");
	assert_true(ops->usable(w.c));
	ops->released(w.c, "t", 0);
	expect("");
}

static void
test_the_last_topic_leaves(void **state)
{
	(void)state;
	w.release_at_once = true;
	hold("t", 1);
	ops->unsubscribe(w.c, "t");
	expect("S() ");
	take_back(false);
	expect("-t0 G ");
	assert_int_equal(ops->subscribe(w.c, "t", 1), KP_OK);
	expect("S(t) ");
}

static void
test_a_refused_subscription_is_tried_again(void **state)
{
	(void)state;
	w.refuse = true;
	assert_int_equal(ops->subscribe(w.c, "t", 1), KP_OK);
	expect("S(t) ");
	w.refuse = false;
	for (int i = 0; i < 100 && w.told[0] == '\0'; i++)
		uv_run(loop_uv(w.env.loop), UV_RUN_ONCE);
	expect("S(t) ");
}

/* Less than half a session is nothing; more, and all has to be proved. */
static void
test_stands_still(void **state)
{
	(void)state;
	hold("t", 2);
	stand_still(3000);
	assert_true(ops->usable(w.c));
	stand_still(3001);
	assert_false(ops->usable(w.c));
	assert_string_equal(w.told, "");
	assert_non_null(ops->trouble(w.c, "t"));
	expect("!t0 !t1 +t0 +t1 ");
	assert_true(ops->usable(w.c));
	assert_null(ops->trouble(w.c, "t"));
}

static void
test_stands_still_while_it_gives_up(void **state)
{
	(void)state;
	hold("t", 2);
	take_back(false);
	expect("-t0 -t1 ");
	ops->released(w.c, "t", 0);
	stand_still(4000);
	assert_false(ops->usable(w.c));
	expect("!t0 !t1 G ");
	ops->released(w.c, "t", 1);
	expect("");
}

/* What was opened is gone: LeakSanitizer looks. No timer of it fires either. */
static void
test_a_member_that_cannot_be_made_leaves_nothing(void **state)
{
	struct coordination *c;

	(void)state;
	w.no_memory = true;
	assert_int_equal(ops->open(&w.env, "other", &group_events, NULL, &c), KP_OK);
	assert_int_equal(ops->attach(c, NULL), KP_ENOMEM);
	expect("");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_joins_and_holds),
		TEST(test_says_why_it_does_not_join),
		TEST(test_topics_wait_for_the_end_of_a_rebalance),
		TEST(test_gives_up_when_all_is_released),
		TEST(test_an_assignment_waits_for_what_is_owed),
		TEST(test_an_assignment_that_waits_is_taken_back),
		TEST(test_the_second_of_two_assignments_stands),
		TEST(test_nothing_is_owed_for_what_is_lost),
		TEST(test_the_last_topic_leaves),
		TEST(test_a_refused_subscription_is_tried_again),
		TEST(test_stands_still),
		TEST(test_stands_still_while_it_gives_up),
		TEST(test_a_member_that_cannot_be_made_leaves_nothing),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
