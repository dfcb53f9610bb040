/*
 * Nothing of what was done stays: memory and speed after many waves are those of before,
 * names that nobody uses any more go, and a message costs the same among many topics.
 */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define PARTITIONS 64
#define WINDOW 60
#define ROUND 30000			/* messages, in some 200 waves of each partition */
#define ROUNDS 7
/* Of a round; it was 900 while waves left something. Sanitizers keep what was freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH_KIB 100000
#else
#define GROWTH_KIB 400
#endif
#define TOPICS 2000

static const char *const options[] = { "--durability", "os", NULL };

/* With keys by turns, so that all partitions have something in each wave. */
static void
produce(const char *topic, unsigned n)
{
	char key[8];

	for (unsigned i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%u", i % PARTITIONS);
		peer_ask_produce(&peer, &(struct msg_produce){ .topic = kp_slice_str(topic),
		    .key = kp_slice_str(key), .value = LIT("v") }, 10000);
		if (i >= WINDOW)
			peer_next_produced(&peer);
	}
	for (unsigned i = 0; i < n && i < WINDOW; i++)
		peer_next_produced(&peer);
}

static void
wait_until_delivered(void)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_status s;

	do {
		assert_err(peer_status(&peer, &s), KP_OK);
		if (clock_mono_ms() > until)
			fail_msg("%lld are pending", (long long)s.pending);
		poll(NULL, 0, 5);
	} while (s.pending > 0);
}

static int
by_size(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* Memory comes in steps now and then; what stays behind comes with each round. */
static void
test_waves_leave_nothing_behind(void **state)
{
	long before = 0, growth[ROUNDS];

	(void)state;
	mock_topic(&mock, "waves", PARTITIONS);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin = clock_mono_ms(), cpu = helper_loop_ns(&helper);
		long kib;

		produce("waves", ROUND);
		wait_until_delivered();
		kib = helper_rss_kib(&helper);
		growth[i] = kib - before;
		before = kib;
		print_message("waves: rss_kib=%ld ms=%d loop_us_a_message=%.1f\n", kib,
		    (int)(clock_mono_ms() - begin),
		    (double)(helper_loop_ns(&helper) - cpu) / 1000 / ROUND);
	}
	qsort(growth, ROUNDS, sizeof(growth[0]), by_size);
	assert_true(growth[ROUNDS / 2] < GROWTH_KIB);
}

/* Of the loop, a message, in nanoseconds. */
static int64_t
cost_of(const char *topic)
{
	int64_t cpu;

	mock_topic(&mock, topic, 1);
	produce(topic, 1);
	wait_until_delivered();
	cpu = helper_loop_ns(&helper);
	produce(topic, ROUND);
	return (helper_loop_ns(&helper) - cpu) / ROUND;
}

/* It is not looked for among them by its name. */
static void
test_a_message_among_many_topics(void **state)
{
	int64_t alone, among;
	char topic[32];

	(void)state;
	alone = cost_of("alone");
	for (int i = 0; i < TOPICS; i++) {
		snprintf(topic, sizeof(topic), "other%d", i);
		mock_topic(&mock, topic, 1);
		produce(topic, 1);
	}
	among = cost_of("among");
	print_message("cost: alone %lld ns, among %d topics %lld ns\n", (long long)alone, TOPICS,
	    (long long)among);
	assert_true(among < alone * 3);	/* it was seven times as much */
}

static int
group_setup(void **state)
{
	(void)state;
	mock_open_brokers(&mock, 1);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_waves_leave_nothing_behind, options),
		STAND_TEST(test_a_message_among_many_topics, options),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, group_setup, mock_group_teardown);
}
