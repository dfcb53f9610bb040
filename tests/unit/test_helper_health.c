/* What /_status says of a part, and that a start takes a moment. */
#include "common/clock.h"
#include "tests/unit/unit.h"

/* The module under test, with this file's clocks and parts below it. */
#define health_new health_new_under_test
#define health_stop health_stop_under_test
#define health_free health_free_under_test
#define health_get health_get_under_test
#include "helper/admin/health.h"

#define loop_now_ms(l) fake_now_ms(l)
#define clock_wall_ms() fake_wall_ms()
#define zk_trouble(z) fake_zk_trouble(z)
#define sender_stats(s, out) fake_sender_stats(s, out)
#define sender_store(s) NULL
#define loop_work(l, j) true
#define kafka_admin_left_out(a, out, cap) ((void)(out), (void)(cap), false)
static int64_t fake_now_ms(struct loop *);
static int64_t fake_wall_ms(void);
static const char *fake_zk_trouble(struct zk *);
static void fake_sender_stats(struct sender *, struct sender_stats *);
#include "helper/admin/health.c"

static struct {
	struct loop *loop;
	struct health *health;
	int64_t now_ms, wall_ms;
	const char *trouble;		/* of ZooKeeper */
} w;

static int64_t
fake_now_ms(struct loop *l)
{
	(void)l;
	return w.now_ms;
}

static int64_t
fake_wall_ms(void)
{
	return w.wall_ms;
}

static const char *
fake_zk_trouble(struct zk *z)
{
	(void)z;
	return w.trouble;
}

static void
fake_sender_stats(struct sender *s, struct sender_stats *out)
{
	(void)s;
	memset(out, 0, sizeof(*out));
}

static struct msg_part
zookeeper_after(int64_t ms, const char *trouble)
{
	struct msg_part kafka, zookeeper, store;

	w.now_ms += ms;
	w.wall_ms += ms;
	w.trouble = trouble;
	health_get(w.health, &kafka, &zookeeper, &store);
	return zookeeper;
}

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.now_ms = 1000000;
	w.wall_ms = INT64_C(1700000000000);
	w.loop = loop_new();
	w.health = health_new(w.loop, NULL, (struct zk *)&w, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	health_stop(w.health);
	loop_free(w.loop);
	health_free(w.health);
	return 0;
}

static void
test_a_start_is_no_error(void **state)
{
	struct msg_part p = zookeeper_after(0, "no answer");

	(void)state;
	assert_int_equal(p.state, PART_DOWN);
	assert_true(p.error_ms > 0);
	p = zookeeper_after(300, NULL);
	assert_int_equal(p.state, PART_UP);
	assert_int_equal(p.error_ms, 0);
	/* What comes later is one, and stays. */
	zookeeper_after(100, "connection refused");
	p = zookeeper_after(100, NULL);
	assert_int_equal(p.state, PART_UP);
	assert_int_equal(p.error_ms, w.wall_ms - 100);
	assert_true(kp_slice_eq(p.error, LIT("connection refused")));
}

static void
test_a_start_that_takes_long_is_one(void **state)
{
	struct msg_part p;

	(void)state;
	zookeeper_after(0, "no answer");
	zookeeper_after(START_MS, "no answer");
	p = zookeeper_after(1, NULL);
	assert_int_equal(p.state, PART_UP);
	assert_int_equal(p.error_ms, w.wall_ms - 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_start_is_no_error),
		TEST(test_a_start_that_takes_long_is_one),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
