/*
 * What Kafka says of a topic, and what librdkafka does not send: neither is believed at
 * once, nor for ever. Nothing that was kept becomes a dead letter while a cluster starts,
 * what is really gone does, and what stands still is sent again.
 */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define BROKERS 3
#define DOUBT_MS "4000"
#define STUCK_MS "4000"
#define IDLE_MS "1500"

/* Metadata is asked for often, so that errors in it are met, and nobody takes a topic for
 * one that is just being made. */
#define OFTEN "-X", "topic.metadata.refresh.interval.ms=200", \
	"-X", "producer.topic.metadata.propagation.max.ms=0"

static const char *const options[] = { OFTEN, "--syncTimeoutMs", "9000", NULL };
static const char *const in_memory[] = { OFTEN, "--durability", "memory", NULL };
/* A leader that hangs keeps its request for longer than the test takes. */
static const char *const patient[] = { "-X", "producer.socket.timeout.ms=120000", NULL };

static void
wait_ms(int ms)
{
	poll(NULL, 0, ms);
}

static struct msg_status
status(void)
{
	struct msg_status s;

	assert_err(peer_status(&peer, &s), KP_OK);
	return s;
}

static void
wait_for_dead(int64_t n)
{
	int64_t until = clock_mono_ms() + 3 * PEER_WAIT_MS;

	while (status().dead < n) {
		if (clock_mono_ms() > until)
			fail_msg("%lld dead letters, not %lld", (long long)status().dead,
			    (long long)n);
		wait_ms(50);
	}
}

static void
begin(const char *topic)
{
	mock_topic(&mock, topic, 1);
	rd_kafka_mock_partition_set_leader(mock.cluster, topic, 0, 2);
	peer_produce_many(&peer, topic, "k", "m", 0, 10, 1);
	mock_expect(&mock, topic, "m", 10, MOCK_TWICE);
}

static void
expect_none_dead(const char *topic, const char *said)
{
	mock_expect(&mock, topic, "m", 1500, MOCK_TWICE);
	assert_int_equal(status().dead, 0);
	assert_int_equal(status().dropped, 0);
	helper_wait_logged(&helper, said);
}

/* All brokers go, and two come back that do not know the topic for 2 s. */
static void
unknown_while_a_cluster_starts(const char *topic)
{
	begin(topic);
	mock_down(&mock);
	peer_produce_many(&peer, topic, "k", "m", 10, 1000, 60);
	rd_kafka_mock_topic_set_error(mock.cluster, topic,
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	rd_kafka_mock_broker_set_up(mock.cluster, 2);
	rd_kafka_mock_broker_set_up(mock.cluster, 3);
	wait_ms(2000);			/* for as long as it is said */
	peer_produce_many(&peer, topic, "k", "m", 1000, 1500, 60);
	rd_kafka_mock_topic_set_error(mock.cluster, topic, RD_KAFKA_RESP_ERR_NO_ERROR);
	mock_up(&mock);
	expect_none_dead(topic, "count changed from 1 to 0");
}

static void
test_unknown_while_a_cluster_starts(void **state)
{
	(void)state;
	unknown_while_a_cluster_starts("starting");
}

static void
test_unknown_while_a_cluster_starts_in_memory(void **state)
{
	(void)state;
	unknown_while_a_cluster_starts("starting2");
}

static void
deny(unsigned times)
{
	while (times-- > 0)
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
		    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
}

static void
test_denied_while_a_cluster_starts(void **state)
{
	(void)state;
	begin("starting3");
	deny(4);
	peer_produce_many(&peer, "starting3", "k", "m", 10, 1500, 60);
	expect_none_dead("starting3", "authorization failed");
}

static void
test_sync_waits_for_a_topic_that_is_known(void **state)
{
	struct msg_produced got;

	(void)state;
	mock_topic(&mock, "waiting", 1);
	assert_err(peer_produce(&peer, "waiting", NULL, "m0", true, &got), KP_OK);
	rd_kafka_mock_topic_set_error(mock.cluster, "waiting",
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	wait_ms(1500);			/* so that librdkafka has learnt it */
	peer_ask_produce(&peer, &(struct msg_produce){ .topic = LIT("waiting"),
	    .value = LIT("m1"), .sync = true }, 8000);
	wait_ms(500);
	rd_kafka_mock_topic_set_error(mock.cluster, "waiting", RD_KAFKA_RESP_ERR_NO_ERROR);
	peer_next_produced(&peer);
	mock_expect(&mock, "waiting", "m", 2, MOCK_ONCE);
}

/* For longer than a doubt lasts: only what was for it is put aside. */
static void
expect_dead(const char *topic)
{
	peer_produce_many(&peer, topic, "k", "m", 10, 30, 10);
	assert_int_equal(status().dead, 0);
	wait_for_dead(20);
	assert_int_equal(status().dead, 20);
	assert_int_equal(status().pending, 0);
}

static void
test_a_topic_that_is_gone(void **state)
{
	(void)state;
	begin("gone");
	begin("there");
	rd_kafka_mock_topic_set_error(mock.cluster, "gone",
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	wait_ms(1500);			/* so that librdkafka has learnt it */
	expect_dead("gone");
	peer_produce_many(&peer, "there", "k", "m", 10, 30, 10);
	mock_expect(&mock, "there", "m", 30, MOCK_ONCE);
}

/* What librdkafka had of it then is not reported, either. */
static void
test_a_topic_that_goes_while_kafka_is_away(void **state)
{
	(void)state;
	begin("goes");
	mock_down(&mock);
	peer_produce_many(&peer, "goes", "k", "m", 10, 30, 10);
	rd_kafka_mock_topic_set_error(mock.cluster, "goes",
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	/* Not its leader, which would take what is for it. */
	rd_kafka_mock_broker_set_up(mock.cluster, 1);
	rd_kafka_mock_broker_set_up(mock.cluster, 3);
	wait_for_dead(20);
	assert_int_equal(status().dead, 20);
	assert_int_equal(status().pending, 0);
}

static void
test_a_topic_that_is_not_ours(void **state)
{
	(void)state;
	begin("denied");
	deny(1000);
	expect_dead("denied");
}

/* Its leader takes the request, and never answers: a new handle sends it again, and what
 * comes after it. */
static void
test_a_leader_that_swallows(void **state)
{
	(void)state;
	mock_topic(&mock, "swallowed", 1);
	rd_kafka_mock_partition_set_leader(mock.cluster, "swallowed", 0, 1);
	peer_produce_many(&peer, "swallowed", "k", "m", 0, 10, 1);
	mock_expect(&mock, "swallowed", "m", 10, MOCK_ONCE);
	rd_kafka_mock_broker_push_request_error_rtts(mock.cluster, 1, MOCK_PRODUCE, (size_t)1,
	    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 600 * 1000);
	peer_produce_many(&peer, "swallowed", "k", "m", 10, 500, 60);
	assert_true(status().pending > 0);
	helper_wait_logged(&helper, "new handle");
	mock_expect(&mock, "swallowed", "m", 500, MOCK_TWICE);
	assert_int_equal(status().dead, 0);
}

/* Those who are in use go on, in order, while handles change. */
static void
test_names_go_with_their_handle(void **state)
{
	struct msg_produced got;
	unsigned n = 10;

	(void)state;
	begin("busy");
	for (int i = 0; i < 3; i++) {
		int before = helper_logged(&helper, "producer renewed");
		int64_t until = clock_mono_ms() + PEER_WAIT_MS;

		assert_err(peer_produce(&peer, "once", "k", "m0", i % 2, &got), KP_OK);
		while (helper_logged(&helper, "producer renewed") == before) {
			assert_true(clock_mono_ms() < until);
			peer_produce_many(&peer, "busy", "k", "m", n, n + 20, 20);
			n += 20;
			wait_ms(5);	/* a pace that can be read back */
		}
	}
	mock_expect(&mock, "busy", "m", n, MOCK_ONCE);
}

/* ---- */

static int
setup(void **state)
{
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_PRODUCE);
	mock_up(&mock);
	helper_init(&helper);
	setenv("KP_STUCK_MS", STUCK_MS, 1);
	setenv("KP_IDLE_MS", IDLE_MS, 1);
	helper_start_faulty(&helper, mock.brokers, *state, "KP_DOUBT_MS", DOUBT_MS);
	unsetenv("KP_STUCK_MS");
	unsetenv("KP_IDLE_MS");
	peer_open(&peer, &helper);
	return 0;
}

static int
group_setup(void **state)
{
	(void)state;
	mock_open_brokers(&mock, BROKERS);
	return 0;
}

#define IMPATIENT(test, options) \
	cmocka_unit_test_prestate_setup_teardown(test, setup, stand_teardown, \
	    (void *)(uintptr_t)(options))

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_unknown_while_a_cluster_starts, options),
		STAND_TEST(test_unknown_while_a_cluster_starts_in_memory, in_memory),
		STAND_TEST(test_denied_while_a_cluster_starts, options),
		STAND_TEST(test_sync_waits_for_a_topic_that_is_known, options),
		IMPATIENT(test_a_topic_that_is_gone, options),
		IMPATIENT(test_a_topic_that_goes_while_kafka_is_away, options),
		IMPATIENT(test_a_topic_that_is_not_ours, options),
		IMPATIENT(test_a_leader_that_swallows, patient),
		IMPATIENT(test_names_go_with_their_handle, options),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, group_setup, mock_group_teardown);
}
