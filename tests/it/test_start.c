/*
 * Where the partitions of a group start: nothing that came after the group is skipped,
 * whatever the clock of a producer says, and nothing comes twice because of what a broker
 * says for a moment.
 */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define LONG_AGO_MS 1000000000000	/* 2001, by the clock of the producer */
#define UNLED "partition 1 has no leader since 20"

static const char *const member[] = { "--coordination", "kafka", NULL };

static int
setup(void **state)
{
	helper_init(&helper);
	stand_start(*state);
	return 0;
}

/* A message, of long ago as its producer says. */
static void
put_old(const char *topic, int32_t partition, const char *value)
{
	assert_int_equal(rd_kafka_producev(mock.producer, RD_KAFKA_V_TOPIC(topic),
	    RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	    RD_KAFKA_V_VALUE((void *)(uintptr_t)value, strlen(value)),
	    RD_KAFKA_V_TIMESTAMP(LONG_AGO_MS), RD_KAFKA_V_END), 0);
	assert_int_equal(rd_kafka_flush(mock.producer, PEER_WAIT_MS), 0);
}

static void
lead(const char *topic, int32_t broker)
{
	assert_int_equal(rd_kafka_mock_partition_set_leader(mock.cluster, topic, 1, broker), 0);
}

/* Long polls until one is answered with this text. */
static void
poll_until_told(const char *topic, const char *text)
{
	int64_t until = clock_mono_ms() + 2 * PEER_WAIT_MS;
	struct msg_message m;

	do {
		assert_true(clock_mono_ms() < until);
		assert_true(peer_consume(&peer, topic, topic, 500, &m) != KP_OK);
	} while (strstr(peer.text, text) == NULL);
}

/* The next one must be this. */
static void
take(const char *topic, int32_t partition, int64_t offset)
{
	int64_t until = clock_mono_ms() + 2 * PEER_WAIT_MS;
	struct msg_message m;

	while (peer_consume(&peer, topic, topic, 1000, &m) != KP_OK)
		assert_true(clock_mono_ms() < until);
	assert_int_equal(m.partition, partition);
	assert_int_equal(m.offset, offset);
	peer_confirm(&peer, m.offer, true);
}

/* Two messages are in there already; a third comes as soon as there is a leader. */
static void
test_no_leader_at_first(void **state)
{
	const char *topic = *state ? "unled-member" : "unled";

	mock_topic(&mock, topic, 2);
	mock_put_many(&mock, topic, 0, "old", 2);
	mock_put_many(&mock, topic, 1, "old", 2);
	lead(topic, -1);
	poll_until_told(topic, UNLED);
	/* The other one has started at its end. */
	mock_put(&mock, topic, 0, NULL, "new");
	take(topic, 0, 2);
	lead(topic, 1);
	put_old(topic, 1, "new");
	for (int i = 0; i < 3; i++)
		take(topic, 1, i);
	peer_wait_committed(&peer, topic, topic, 1, 3);
}

/* It is remembered where it starts, also when the helper is killed in between. */
static void
test_no_leader_and_a_kill(void **state)
{
	(void)state;
	mock_topic(&mock, "killed", 2);
	mock_put_many(&mock, "killed", 1, "old", 2);
	lead("killed", -1);
	poll_until_told("killed", UNLED);
	helper_kill(&helper);
	peer_close(&peer);
	lead("killed", 1);
	put_old("killed", 1, "new");
	stand_start(NULL);
	for (int i = 0; i < 3; i++)
		take("killed", 1, i);
}

/* A group that has been there goes on where it was. */
static void
test_no_leader_later(void **state)
{
	(void)state;
	mock_topic(&mock, "later", 2);
	mock_put_many(&mock, "later", 1, "old", 2);
	poll_until_told("later", "long polling timeout");
	mock_put_many(&mock, "later", 1, "m", 2);
	take("later", 1, 2);
	peer_wait_committed(&peer, "later", "later", 1, 3);
	stand_kill();
	lead("later", -1);
	poll_until_told("later", UNLED);
	lead("later", 1);
	take("later", 1, 3);
}

/* The end that a broker told was not the end. */
static void
test_end_in_doubt(void **state)
{
	const char *topic = "doubt";
	struct msg_offset v = { 0, 0, 0, 4, LIT(""), false };

	(void)state;
	mock_topic(&mock, topic, 1);
	mock_put_many(&mock, topic, 0, "m", 2);
	assert_err(peer_set_offsets(&peer, topic, topic, &v, 1), KP_OK);
	peer_ask_consume(&peer, topic, topic, 100);
	helper_wait_logged(&helper, "partition ends before its offset");
	mock_put_many(&mock, topic, 0, "m", 3);
	peer_close(&peer);
	peer_open(&peer, &helper);
	take(topic, 0, 4);
}

/* It was: the nearest message is the next one. */
static void
test_end_that_stays(void **state)
{
	struct msg_offset v = { 0, 0, 0, 4, LIT(""), false };
	struct msg_message m;

	(void)state;
	mock_topic(&mock, "stays", 1);
	mock_put_many(&mock, "stays", 0, "m", 2);
	assert_err(peer_set_offsets(&peer, "stays", "stays", &v, 1), KP_OK);
	assert_err(peer_consume(&peer, "stays", "stays", 3000, &m), KP_ENOMSG);
	mock_put(&mock, "stays", 0, NULL, "new");
	take("stays", 0, 2);
}

/* What is out stays out, and what was consumed does not come again. */
static void
test_out_of_range_for_a_moment(void **state)
{
	const char *topic = *state ? "range-member" : "range";
	rd_kafka_resp_err_t errors[] = { RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
		RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE };
	struct msg_message m;
	uint64_t offer;

	mock_topic(&mock, topic, 1);
	poll_until_told(topic, "long polling timeout");
	mock_put_many(&mock, topic, 0, "m", 3);
	take(topic, 0, 0);
	assert_err(peer_consume(&peer, topic, topic, PEER_WAIT_MS, &m), KP_OK);
	offer = m.offer;
	take(topic, 0, 2);
	rd_kafka_mock_push_request_errors_array(mock.cluster, MOCK_FETCH, COUNT(errors), errors);
	mock_put_many(&mock, topic, 0, "m", 2);
	take(topic, 0, 3);
	peer_confirm(&peer, offer, true);
	take(topic, 0, 4);
	peer_wait_committed(&peer, topic, topic, 0, 5);
	assert_int_equal(helper_logged(&helper, "partition out of range"), 0);
}

#define TEST(test, options) cmocka_unit_test_prestate_setup_teardown(test, setup, \
	stand_teardown, (void *)(uintptr_t)(options))

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_leader_at_first, NULL),
		TEST(test_no_leader_at_first, member),
		TEST(test_no_leader_and_a_kill, NULL),
		TEST(test_no_leader_later, NULL),
		TEST(test_end_in_doubt, NULL),
		TEST(test_end_that_stays, NULL),
		TEST(test_out_of_range_for_a_moment, NULL),
		TEST(test_out_of_range_for_a_moment, member),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
