/* The helper ends, or a topic leaves, while something is on its way. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define G "group"
#define SLOW_MS 700
#define OFFER_MS 60000			/* group_topic.c: an offer's longest life */

/* A topic whose group has joined and stands at its end. */
static void
join(const char *topic)
{
	struct msg_message m;

	mock_topic(&mock, topic, 1);
	assert_err(peer_consume(&peer, topic, G, 1000, &m), KP_ENOMSG);
}

static void
ask_topic_group(uint8_t type, const char *topic)
{
	const struct msg_topic_group m = { kp_slice_str(topic), LIT(G) };
	struct kp_buf b;

	kp_buf_init(&b, 1024);
	assert_err(msg_topic_group_encode(&b, &m), KP_OK);
	peer_ask(&peer, type, 5000, kp_buf_slice(&b));
	kp_buf_free(&b);
}

static void
ask_set_offsets(const char *topic)
{
	struct msg_offset v = { 0, 0, 0, 1, LIT(""), false };
	const struct msg_offsets m = { kp_slice_str(topic), LIT(G), &v, 1 };
	struct kp_buf b;

	kp_buf_init(&b, 1024);
	assert_err(msg_offsets_encode(&b, &m), KP_OK);
	peer_ask(&peer, MSG_SET_OFFSETS, 5000, kp_buf_slice(&b));
	kp_buf_free(&b);
}

/* What was asked has been read. */
static void
helper_has_read(void)
{
	struct peer p;

	peer_open(&p, &helper);
	assert_err(peer_ping(&p), KP_OK);
	peer_close(&p);
}

/* Ends the helper now; every one of n requests is answered first, whatever it says. */
static void
end_with_answers(unsigned n)
{
	struct wire_frame f;

	helper_signal(&helper, SIGTERM);
	for (unsigned i = 0; i < n; i++)
		if (!peer_recv(&peer, &f, PEER_WAIT_MS))
			fail_msg("%u of %u requests were answered at the end", i, n);
	assert_int_equal(helper_wait(&helper, STOP_MS), 0);
	assert_int_equal(helper_logged(&helper, "not everything ended in time"), 0);
}

/* Kafka's answers come after the end has begun, to questions of every kind. */
static void
test_late_answers_at_the_end(void **state)
{
	(void)state;
	join("late");
	mock_put_many(&mock, "late", 0, "m", 3);
	rd_kafka_mock_broker_set_rtt(mock.cluster, -1, SLOW_MS);
	peer_ask_consume(&peer, "late-unseen", G, 5000);
	peer_ask_consume(&peer, "late", "late-group", 5000);
	ask_topic_group(MSG_GET_OFFSETS, "late");
	ask_topic_group(MSG_GET_CONSUMERS, "late");
	ask_topic_group(MSG_GET_CONSUMERS, "late-unseen2");
	for (int sync = 0; sync < 2; sync++) {
		peer_ask_produce(&peer, &(struct msg_produce){ LIT("late"), LIT("k"), LIT("v"),
		    sync }, 5000);
		peer_ask_produce(&peer, &(struct msg_produce){ LIT("late-unseen3"), LIT("k"),
		    LIT("v"), sync }, 5000);
	}
	helper_has_read();
	end_with_answers(9);
}

/* A topic can only leave when what is set has been set: it must come back to that. */
static void
test_offsets_are_set_while_the_topic_leaves(void **state)
{
	(void)state;
	join("leaves");
	mock_put_many(&mock, "leaves", 0, "m", 3);
	rd_kafka_mock_broker_set_rtt(mock.cluster, -1, SLOW_MS);
	ask_set_offsets("leaves");
	helper_has_read();
	end_with_answers(1);
}

/* The same before the topic's start is known. */
static void
test_offsets_are_set_while_the_topic_starts(void **state)
{
	(void)state;
	mock_topic(&mock, "starts", 1);
	mock_put_many(&mock, "starts", 0, "m", 3);
	rd_kafka_mock_broker_set_rtt(mock.cluster, -1, SLOW_MS / 2);
	peer_ask_consume(&peer, "starts", G, 5000);
	ask_set_offsets("starts");
	helper_has_read();
	poll(NULL, 0, SLOW_MS);		/* somewhere in the middle of it; it has several steps */
	end_with_answers(2);
}

/* An offer's time is over while its partition waits to commit, which it cannot. */
static void
test_offer_expires_while_its_partition_stops(void **state)
{
	struct msg_message m;
	int64_t expires;

	(void)state;
	if (unit_rounds(0, 1) == 0)
		return;			/* a minute */
	join("expires");
	mock_put_many(&mock, "expires", 0, "m", 2);
	assert_err(peer_consume(&peer, "expires", G, 6000, &m), KP_OK);
	expires = clock_mono_ms() + OFFER_MS;
	assert_err(peer_consume(&peer, "expires", G, 6000, &m), KP_OK);
	peer_confirm(&peer, m.offer, true);
	poll(NULL, 0, (int)(expires - clock_mono_ms()) - 500);
	mock_down(&mock);
	helper_has_read();
	helper_stop(&helper, STOP_MS);
}

#define TEST(name) STAND_TEST(name, NULL)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_late_answers_at_the_end),
		TEST(test_offsets_are_set_while_the_topic_leaves),
		TEST(test_offsets_are_set_while_the_topic_starts),
		TEST(test_offer_expires_while_its_partition_stops),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
