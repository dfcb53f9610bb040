/*
 * A broker comes back on another port, to which only the name in --kafkaPeers leads. The mock
 * cannot move: another one, with the same topics, takes its place. The helper's waits are
 * short. And a name there that is no broker's.
 */
#include "common/clock.h"
#include "tests/it/door.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define LOST_MS "3000"
#define FOUND_MS 20000

static const char *const member[] = { "--coordination", "kafka", "-X",
	"consumer.session.timeout.ms=6000", NULL };
static const char *const holding[] = { "--coordination", "kafka", "-X",
	"consumer.session.timeout.ms=45000", NULL };
static const char *const alone[] = { "--initialOffset", "oldest", NULL };

static struct door door;

static int
setup(void **state)
{
	mock_open(&mock);
	door_open(&door, mock.brokers);
	helper_init(&helper);
	helper_start_faulty(&helper, door.address, *state, "KP_LOST_MS", LOST_MS);
	peer_open(&peer, &helper);
	return 0;
}

static int
teardown(void **state)
{
	stand_teardown(state);
	door_close(&door);
	mock_close(&mock);
	return 0;
}

/* From 2.4 to 2.9 librdkafka uses memory that is free when the id of a topic changes, and that of
 * the other mock is another one. */
static void
skip_where_ids_must_stay(void)
{
	if (rd_kafka_version() >= 0x02040000 && rd_kafka_version() < 0x020a0000)
		skip();
}

/* The new one has as many messages as the old one, and what the group has committed; -1: it
 * has nothing of the group. */
static void
move(const char *topic, unsigned messages, int64_t committed)
{
	struct mock next;

	mock_open(&next);
	mock_topic(&next, topic, 1);
	mock_put_many(&next, topic, 0, "m", messages);
	if (committed >= 0)
		mock_commit(&next, topic, topic, 0, committed);
	mock_close(&mock);
	mock = next;
	door_lead_to(&door, mock.brokers);
}

/* The next one is that. */
static void
take(const char *topic, int64_t offset)
{
	int64_t until = clock_mono_ms() + FOUND_MS;
	struct msg_message m;

	while (peer_consume(&peer, topic, topic, 1000, &m) != KP_OK)
		if (clock_mono_ms() > until)
			fail_msg("no message %lld: %s", (long long)offset, peer.text);
	assert_int_equal(m.offset, offset);
	peer_confirm(&peer, m.offer, true);
}

static void
await_committed(const char *topic, int64_t offset)
{
	int64_t until = clock_mono_ms() + FOUND_MS;
	struct msg_message m;

	do {
		if (clock_mono_ms() > until)
			fail_msg("%lld is not committed: %s", (long long)offset, peer.text);
		assert_true(peer_consume(&peer, topic, topic, 500, &m) != KP_OK);
	} while (peer_committed(&peer, topic, topic, 0) != offset);
}

static void
await_empty(const char *topic)
{
	int64_t until = clock_mono_ms() + FOUND_MS;
	struct msg_message m;

	while (peer_consume(&peer, topic, topic, 1000, &m) != KP_ENOMSG)
		assert_true(clock_mono_ms() < until);
}

static void
await_assigned_again(const char *topic)
{
	int64_t until = clock_mono_ms() + FOUND_MS;
	struct msg_message m;

	while (helper_logged(&helper, "membership assigned") < 2) {
		assert_true(clock_mono_ms() < until);
		peer_consume(&peer, topic, topic, 1000, &m);
	}
}

/* What was handed out before does not come again, and what comes is committed. */
static void
test_commits_go_on(void **state)
{
	(void)state;
	skip_where_ids_must_stay();
	mock_topic(&mock, "local", 1);
	mock_put_many(&mock, "local", 0, "m", 2);
	take("local", 0);
	take("local", 1);
	peer_wait_committed(&peer, "local", "local", 0, 2);
	move("local", 3, 2);
	take("local", 2);
	await_committed("local", 3);
	assert_int_equal(helper_logged(&helper, "it gets a new consumer"), 1);
	assert_int_equal(helper_logged(&helper, "partition released"), 0);
}

static void
test_member_joins_again(void **state)
{
	(void)state;
	skip_where_ids_must_stay();
	mock_topic(&mock, "member", 1);
	await_empty("member");
	mock_put_many(&mock, "member", 0, "m", 1);
	take("member", 0);
	peer_wait_committed(&peer, "member", "member", 0, 1);
	move("member", 0, -1);
	await_assigned_again("member");
	await_empty("member");
	mock_put_many(&mock, "member", 0, "m", 1);
	take("member", 0);
	await_committed("member", 1);
}

/* It still holds its partition, and a commit is under way. */
static void
test_member_that_holds_joins_again(void **state)
{
	(void)state;
	skip_where_ids_must_stay();
	mock_topic(&mock, "holds", 1);
	await_empty("holds");
	mock_put_many(&mock, "holds", 0, "m", 2);
	take("holds", 0);
	peer_wait_committed(&peer, "holds", "holds", 0, 1);
	move("holds", 0, 1);
	take("holds", 1);		/* it was read before */
	await_assigned_again("holds");
	assert_int_equal(helper_logged(&helper, "lost=1"), 0);
}

/* A commit that comes to nothing counts: no more is handed out after a while. */
static void
test_what_cannot_be_committed_is_held(void **state)
{
	int64_t until = clock_mono_ms() + FOUND_MS;
	unsigned taken = 1;
	struct msg_message m;
	enum kp_err err;

	(void)state;
	mock_topic(&mock, "held", 1);
	mock_put_many(&mock, "held", 0, "m", 1000);
	take("held", 0);
	peer_wait_committed(&peer, "held", "held", 0, 1);
	for (int i = 0; i < 1000; i++)
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_COMMIT, 1,
		    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
	do {
		assert_true(clock_mono_ms() < until);
		err = peer_consume(&peer, "held", "held", 500, &m);
		if (err == KP_OK)
			peer_confirm(&peer, m.offer, true);
		taken += err == KP_OK;
		poll(NULL, 0, 20);	/* some are left */
	} while (err == KP_OK);
	assert_non_null(strstr(peer.text, "offsets cannot be committed since 20"));
	assert_in_range(taken, 2, 900);
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_OFFSET_COMMIT);
	take("held", taken);
	peer_wait_committed(&peer, "held", "held", 0, taken + 1);
}

static void
test_produce_goes_on(void **state)
{
	int64_t until;
	struct msg_produced r;

	(void)state;
	skip_where_ids_must_stay();
	mock_topic(&mock, "sent", 1);
	assert_err(peer_produce(&peer, "sent", NULL, "m0", true, &r), KP_OK);
	assert_err(peer_produce(&peer, "sent", NULL, "m1", false, &r), KP_OK);
	mock_expect(&mock, "sent", "m", 2, MOCK_ONCE);
	move("sent", 0, -1);
	until = clock_mono_ms() + FOUND_MS;
	assert_err(peer_produce(&peer, "sent", NULL, "m0", false, &r), KP_OK);
	mock_expect(&mock, "sent", "m", 1, MOCK_ONCE);
	while (peer_produce(&peer, "sent", NULL, "m1", true, &r) != KP_OK)
		assert_true(clock_mono_ms() < until);
}

/* What a controller says that it can do, which is not to tell of topics. */
static void
test_no_broker_is_left_out(void **state)
{
	struct mock controller;
	char peers[200];
	struct msg_produced r;
	struct msg_status s;

	(void)state;
	stand_teardown(NULL);
	mock_open(&controller);
	assert_int_equal(rd_kafka_mock_set_apiversion(controller.cluster, MOCK_METADATA, -1, -1),
	    0);
	snprintf(peers, sizeof(peers), "%s,%s", controller.brokers, mock.brokers);
	helper_init(&helper);
	helper_start(&helper, peers, NULL);
	peer_open(&peer, &helper);
	helper_wait_logged(&helper, " is no broker");
	mock_topic(&mock, "led", 1);
	for (int i = 0; i < 3; i++)
		assert_err(peer_produce(&peer, "led", NULL, "m", true, &r), KP_OK);
	peer_produce_many(&peer, "led", NULL, "n", 0, 3, 3);
	do
		assert_err(peer_status(&peer, &s), KP_OK);
	while (s.kafka.state != PART_UP || s.delivered < 3);
	snprintf(peers, sizeof(peers), "%s in --kafkaPeers is no broker: left out",
	    controller.brokers);
	assert_true(kp_slice_eq(s.kafka.error, kp_slice_str(peers)));
	mock_close(&controller);
}

#define TEST(test, options) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, \
	(void *)(uintptr_t)(options))

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_commits_go_on, alone),
		TEST(test_member_joins_again, member),
		TEST(test_member_that_holds_joins_again, holding),
		TEST(test_what_cannot_be_committed_is_held, alone),
		TEST(test_produce_goes_on, NULL),
		TEST(test_no_broker_is_left_out, NULL),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
