/*
 * --coordination kafka on the mock cluster: what a member does when its commits are
 * refused, and what is stored before the first reply. Members that share a group are
 * tested on real brokers: the mock refuses commits while others join, they do not.
 */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define G "group"
#define POLL_MS 9000			/* a long poll that is expected to be served */
#define JOIN_MS 3500			/* one that finds nothing, and joins */
#define LONG_POLL_MS 3000		/* that of HTTP; a broker waits as long for others */

static const char *const options[] = { "--coordination", "kafka", "-X",
	"consumer.session.timeout.ms=3000", NULL };
/* For a coordinator that has to be found again, by a slow machine. */
static const char *const patient[] = { "--coordination", "kafka", NULL };

static int
setup(void **state)
{
	mock_open(&mock);
	helper_init(&helper);
	stand_start(*state ? *state : options);
	return 0;
}

static int
teardown(void **state)
{
	stand_teardown(state);
	mock_close(&mock);
	return 0;
}

static uint64_t
take(const char *topic, const char *value)
{
	struct msg_message m;
	char got[64];

	assert_err(peer_consume(&peer, topic, G, POLL_MS, &m), KP_OK);
	snprintf(got, sizeof(got), "%.*s", (int)m.value.n, (const char *)m.value.p);
	assert_string_equal(got, value);
	return m.offer;
}

static void
take_and_confirm(const char *topic, const char *value)
{
	peer_confirm(&peer, take(topic, value), true);
}

/* Brokers wait for other members of a new group as long as a request does: it is answered
 * all the same, and what comes after the answer is not skipped. */
static void
test_first_use(void **state)
{
	struct msg_message m;

	(void)state;
	mock_topic(&mock, "first", 2);
	mock_put_many(&mock, "first", 1, "old", 5);
	assert_err(peer_consume(&peer, "first", G, LONG_POLL_MS, &m), KP_ENOMSG);
	assert_int_equal(peer_committed(&peer, "first", G, 0), 0);
	assert_int_equal(peer_committed(&peer, "first", G, 1), 5);
	mock_put_many(&mock, "first", 1, "new", 3);
	take_and_confirm("first", "new0");
	take_and_confirm("first", "new1");
	peer_wait_committed(&peer, "first", G, 1, 7);
}

/* The commit is tried again; nothing is given twice for it. */
static void
test_refused_for_a_while(void **state)
{
	struct msg_message m;

	(void)state;
	mock_topic(&mock, "while", 1);
	assert_err(peer_consume(&peer, "while", G, JOIN_MS, &m), KP_ENOMSG);
	mock_put_many(&mock, "while", 0, "m", 3);
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_COMMIT, 3,
	    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
	take_and_confirm("while", "m0");
	peer_wait_committed(&peer, "while", G, 0, 1);
	take_and_confirm("while", "m1");
	take_and_confirm("while", "m2");
	peer_wait_committed(&peer, "while", G, 0, 3);
}

/* Whose commit is refused for good has lost everything: what it had not committed comes
 * again, and an offer from before counts for nothing. */
static void
lose(const char *topic, rd_kafka_resp_err_t err)
{
	struct msg_message m;
	uint64_t before;

	mock_topic(&mock, topic, 1);
	assert_err(peer_consume(&peer, topic, G, JOIN_MS, &m), KP_ENOMSG);
	mock_put_many(&mock, topic, 0, "m", 3);
	take_and_confirm(topic, "m0");
	peer_wait_committed(&peer, topic, G, 0, 1);
	before = take(topic, "m1");
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_COMMIT, 1, err);
	take_and_confirm(topic, "m2");
	peer_confirm(&peer, before, true);
	helper_wait_logged(&helper, "lost=1");
	assert_int_equal(peer_committed(&peer, topic, G, 0), 1);
	take_and_confirm(topic, "m1");
	take_and_confirm(topic, "m2");
	peer_wait_committed(&peer, topic, G, 0, 3);
}

static void
test_unknown_member(void **state)
{
	(void)state;
	lose("unknown", RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
}

static void
test_old_generation(void **state)
{
	(void)state;
	lose("old", RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
}

/* Offsets are not read before it is sure that they can be committed. */
static void
test_initial_offset_is_refused(void **state)
{
	struct msg_message m;
	struct wire_frame f;
	struct peer other;
	uint32_t id;

	(void)state;
	mock_topic(&mock, "initial", 1);
	mock_put_many(&mock, "initial", 0, "old", 2);
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_COMMIT, 1,
	    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
	id = peer_ask_consume(&peer, "initial", G, 2 * POLL_MS);
	helper_wait_logged(&helper, "lost=1");
	helper_wait_logged(&helper, "partition started");
	peer_open(&other, &helper);
	assert_int_equal(peer_committed(&other, "initial", G, 0), 2);
	peer_close(&other);
	mock_put_many(&mock, "initial", 0, "new", 1);
	assert_err(peer_reply(&peer, id, MSG_MESSAGE, &f), KP_OK);
	assert_err(msg_message_decode(f.body, &m), KP_OK);
	assert_int_equal(m.offset, 2);
}

/* A new topic is a rebalance: it waits for what is out, and that counts; what nobody
 * confirms for 3 s comes again. */
static void
test_rebalance_waits_for_confirms(void **state)
{
	struct msg_message m;
	struct peer other;
	uint64_t first, second;
	int64_t start;

	(void)state;
	mock_topic(&mock, "one", 1);
	mock_topic(&mock, "two", 1);
	assert_err(peer_consume(&peer, "one", G, JOIN_MS, &m), KP_ENOMSG);
	mock_put_many(&mock, "one", 0, "m", 3);
	first = take("one", "m0");
	second = take("one", "m1");
	peer_open(&other, &helper);
	start = clock_mono_ms();
	peer_ask_consume(&other, "two", G, POLL_MS);
	helper_wait_logged(&helper, "membership revoked");
	poll(NULL, 0, 500);		/* it waits all this time */
	peer_confirm(&peer, first, true);
	helper_wait_logged(&helper, "partition released");
	assert_in_range(clock_mono_ms() - start, 3000, 4500);
	peer_confirm(&peer, second, true);
	take_and_confirm("one", "m1");
	take_and_confirm("one", "m2");
	peer_wait_committed(&peer, "one", G, 0, 3);
	peer_close(&other);
}

/* A long stop of the process: all that is held starts again, by a commit that proves
 * that we still are a member. What was offered before comes again. */
static void
test_after_a_pause(void **state)
{
	struct msg_message m;
	uint64_t before;

	(void)state;
	mock_topic(&mock, "pause", 1);
	assert_err(peer_consume(&peer, "pause", G, JOIN_MS, &m), KP_ENOMSG);
	mock_put_many(&mock, "pause", 0, "m", 2);
	before = take("pause", "m0");
	helper_signal(&helper, SIGSTOP);
	poll(NULL, 0, 1900);		/* more than half of its session, and not all */
	peer_confirm(&peer, before, true);
	helper_signal(&helper, SIGCONT);
	helper_wait_logged(&helper, "membership doubtful");
	take_and_confirm("pause", "m0");
	take_and_confirm("pause", "m1");
	peer_wait_committed(&peer, "pause", G, 0, 2);
}

/* Its partitions are lost with messages that were read ahead; they come again, and it
 * ends in time. */
static void
test_no_broker_for_longer_than_a_session(void **state)
{
	struct msg_message m;
	int64_t start;

	(void)state;
	mock_topic(&mock, "away", 2);
	assert_err(peer_consume(&peer, "away", G, JOIN_MS, &m), KP_ENOMSG);
	mock_put_many(&mock, "away", 0, "m", 100);
	take_and_confirm("away", "m0");
	peer_wait_committed(&peer, "away", G, 0, 1);
	mock_down(&mock);
	helper_wait_logged(&helper, "lost=1");
	assert_err(peer_consume(&peer, "away", G, 100, &m), KP_EUNAVAIL);
	mock_up(&mock);
	take_and_confirm("away", "m1");
	take_and_confirm("away", "m2");
	peer_wait_committed(&peer, "away", G, 0, 3);
	start = clock_mono_ms();
	peer_close(&peer);
	helper_stop(&helper, STOP_MS);
	assert_in_range(clock_mono_ms() - start, 0, 6000);
	assert_int_equal(helper_logged(&helper, "not everything ended in time"), 0);
	stand_start(options);
}

/* Kafka 0.8 has no groups of its own. */
static void
test_too_old_a_kafka(void **state)
{
	static const char *const old[] = { "--coordination", "kafka", "--kafkaVersion",
		"0.8.2.2", NULL };
	struct helper h;

	(void)state;
	helper_init(&h);
	assert_int_equal(helper_run(&h, mock.brokers, old), 1);
	assert_int_equal(helper_logged(&h, "from Kafka 0.9 on"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_use, setup, teardown),
		cmocka_unit_test_prestate_setup_teardown(test_refused_for_a_while, setup, teardown,
		    (void *)(uintptr_t)patient),
		cmocka_unit_test_setup_teardown(test_unknown_member, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_generation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_initial_offset_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rebalance_waits_for_confirms, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_after_a_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_broker_for_longer_than_a_session, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_too_old_a_kafka, setup, teardown),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
