/*
 * Consume, in its two phases: a message counts when its response was delivered,
 * and not before; until then it comes back, first. What is committed never passes
 * a message that was not confirmed.
 */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define G "group"
#define POLL_MS 6000			/* a long poll that is expected to be served */

static struct peer other;

static int
setup(void **state)
{
	stand_setup(state);
	peer_open(&other, &helper);
	return 0;
}

static int
teardown(void **state)
{
	peer_close(&other);
	return stand_teardown(state);
}

/* A topic whose group has joined and stands at its end. */
static void
join(const char *topic, int partitions)
{
	struct msg_message m;

	mock_topic(&mock, topic, partitions);
	assert_err(peer_consume(&peer, topic, G, 1000, &m), KP_ENOMSG);
}

/* Takes the next message, which must have this value; gives its offer. */
static uint64_t
take(struct peer *p, const char *topic, const char *value)
{
	struct msg_message m;
	char got[64];

	assert_err(peer_consume(p, topic, G, POLL_MS, &m), KP_OK);
	snprintf(got, sizeof(got), "%.*s", (int)m.value.n, (const char *)m.value.p);
	assert_string_equal(got, value);
	return m.offer;
}

static void
take_and_confirm(struct peer *p, const char *topic, const char *value)
{
	peer_confirm(p, take(p, topic, value), true);
}

/* ---- first use ---- */

/* 408, and the offsets are committed before it: what comes later is not skipped. */
static void
test_first_use(void **state)
{
	struct msg_message m;
	int64_t start;

	(void)state;
	mock_topic(&mock, "first", 3);
	mock_put_many(&mock, "first", 1, "old", 5);
	start = clock_mono_ms();
	assert_err(peer_consume(&peer, "first", G, 1500, &m), KP_ENOMSG);
	assert_in_range(clock_mono_ms() - start, 1300, 2500);
	assert_int_equal(peer_committed(&peer, "first", G, 0), 0);
	assert_int_equal(peer_committed(&peer, "first", G, 1), 5);
	assert_int_equal(peer_committed(&peer, "first", G, 2), 0);
	/* even when the helper is gone in that very moment */
	helper_kill(&helper);
	peer_close(&peer);
	peer_close(&other);
	mock_put(&mock, "first", 1, NULL, "new");
	helper_start(&helper, mock.brokers, NULL);
	peer_open(&peer, &helper);
	peer_open(&other, &helper);
	take_and_confirm(&peer, "first", "new");
}

/* The very first reply may be long in coming; it must not come before the commit. */
static void
test_first_use_with_a_short_deadline(void **state)
{
	struct msg_message m;
	enum kp_err err;

	(void)state;
	mock_topic(&mock, "hurry", 2);
	err = peer_consume(&peer, "hurry", G, 1, &m);
	if (err == KP_ENOMSG)
		assert_int_equal(peer_committed(&peer, "hurry", G, 1), 0);
	else
		assert_err(err, KP_EUNAVAIL);
}

static void
test_initial_offset_oldest(void **state)
{
	(void)state;
	stand_restart((const char *const[]){ "--initialOffset", "oldest", NULL });
	mock_topic(&mock, "oldest", 1);
	mock_put_many(&mock, "oldest", 0, "m", 3);
	take_and_confirm(&peer, "oldest", "m0");
	take_and_confirm(&peer, "oldest", "m1");
	take_and_confirm(&peer, "oldest", "m2");
}

static void
test_keys_and_values(void **state)
{
	static const struct {
		const char *key, *value;
	} in[] = { { NULL, "v" }, { "", "v" }, { "k", NULL }, { "k", "" }, { NULL, NULL } };
	struct msg_message m;

	(void)state;
	join("bytes", 1);
	for (size_t i = 0; i < COUNT(in); i++)
		mock_put(&mock, "bytes", 0, in[i].key, in[i].value);
	for (size_t i = 0; i < COUNT(in); i++) {
		assert_err(peer_consume(&peer, "bytes", G, POLL_MS, &m), KP_OK);
		assert_int_equal(m.partition, 0);
		assert_int_equal(m.offset, i);
		assert_int_equal(m.key.p == NULL, in[i].key == NULL);
		assert_true(kp_slice_eq(m.key, kp_slice_str(in[i].key)));
		assert_int_equal(m.value.p == NULL, in[i].value == NULL);
		assert_true(kp_slice_eq(m.value, kp_slice_str(in[i].value)));
		peer_confirm(&peer, m.offer, true);
	}
}

/* ---- two phases ---- */

static void
test_closed_connection_gives_the_message_back(void **state)
{
	(void)state;
	join("back", 1);
	mock_put_many(&mock, "back", 0, "m", 3);
	take(&other, "back", "m0");
	peer_close(&other);
	peer_open(&other, &helper);
	assert_err(peer_ping(&other), KP_OK);	/* so it has seen the other one go */
	take_and_confirm(&peer, "back", "m0");
	take_and_confirm(&peer, "back", "m1");
	take_and_confirm(&peer, "back", "m2");
	peer_wait_committed(&peer, "back", G, 0, 3);
}

static void
test_failed_response_gives_the_message_back(void **state)
{
	uint64_t first, second;

	(void)state;
	join("failed", 1);
	mock_put_many(&mock, "failed", 0, "m", 4);
	first = take(&peer, "failed", "m0");
	second = take(&peer, "failed", "m1");
	peer_confirm(&peer, second, false);
	peer_confirm(&peer, first, false);
	/* lowest first, and before anything new */
	take_and_confirm(&peer, "failed", "m0");
	take_and_confirm(&peer, "failed", "m1");
	take_and_confirm(&peer, "failed", "m2");
	peer_wait_committed(&peer, "failed", G, 0, 3);
}

/* One that waits already gets what comes back. */
static void
test_a_waiting_request_gets_what_comes_back(void **state)
{
	struct wire_frame f;
	struct msg_message m;
	uint64_t offer;
	uint32_t id;

	(void)state;
	join("waits", 1);
	mock_put(&mock, "waits", 0, NULL, "m0");
	offer = take(&peer, "waits", "m0");
	id = peer_ask_consume(&other, "waits", G, POLL_MS);
	assert_err(peer_ping(&peer), KP_OK);
	peer_confirm(&peer, offer, false);
	assert_err(peer_reply(&other, id, MSG_MESSAGE, &f), KP_OK);
	assert_err(msg_message_decode(f.body, &m), KP_OK);
	assert_true(kp_slice_eq(m.value, LIT("m0")));
	peer_confirm(&other, m.offer, true);
	peer_wait_committed(&peer, "waits", G, 0, 1);
}

/* Only who was given an offer can confirm it; and only once. */
static void
test_strange_confirms_are_nothing(void **state)
{
	uint64_t offer;

	(void)state;
	join("strange", 1);
	mock_put_many(&mock, "strange", 0, "m", 2);
	offer = take(&peer, "strange", "m0");
	peer_confirm(&other, offer, true);
	peer_confirm(&peer, offer + 1000, true);
	peer_confirm(&peer, 0, false);
	peer_confirm(&peer, UINT64_MAX, true);
	assert_err(peer_ping(&other), KP_OK);
	peer_close(&peer);
	peer_open(&peer, &helper);
	offer = take(&peer, "strange", "m0");
	peer_confirm(&peer, offer, true);
	peer_confirm(&peer, offer, false);
	peer_confirm(&peer, offer, true);
	take_and_confirm(&peer, "strange", "m1");
	peer_wait_committed(&peer, "strange", G, 0, 2);
}

static void
test_commit_is_the_lowest_unconfirmed(void **state)
{
	uint64_t offer[4];

	(void)state;
	join("lowest", 1);
	mock_put_many(&mock, "lowest", 0, "m", 4);
	for (unsigned i = 0; i < 4; i++) {
		char value[8];

		snprintf(value, sizeof(value), "m%u", i);
		offer[i] = take(&peer, "lowest", value);
	}
	peer_confirm(&peer, offer[0], true);
	peer_wait_committed(&peer, "lowest", G, 0, 1);
	peer_confirm(&peer, offer[3], true);
	peer_confirm(&peer, offer[2], true);
	poll(NULL, 0, 1200);		/* two turns of committing: nothing may happen */
	assert_int_equal(peer_committed(&peer, "lowest", G, 0), 1);
	peer_confirm(&peer, offer[1], true);
	peer_wait_committed(&peer, "lowest", G, 0, 4);
}

static void
test_killed_between_offer_and_confirm(void **state)
{
	uint64_t offer;

	(void)state;
	join("killed", 1);
	mock_put_many(&mock, "killed", 0, "m", 3);
	take_and_confirm(&peer, "killed", "m0");
	peer_wait_committed(&peer, "killed", G, 0, 1);
	offer = take(&peer, "killed", "m1");
	peer_close(&other);
	stand_kill();
	peer_open(&other, &helper);
	peer_confirm(&peer, offer, true);	/* of another life */
	take_and_confirm(&peer, "killed", "m1");
	take_and_confirm(&peer, "killed", "m2");
}

/* What was confirmed is committed before the helper ends. */
static void
test_end_commits(void **state)
{
	(void)state;
	join("end", 1);
	mock_put_many(&mock, "end", 0, "m", 5);
	take_and_confirm(&peer, "end", "m0");
	take_and_confirm(&peer, "end", "m1");
	take(&peer, "end", "m2");
	assert_err(peer_ping(&peer), KP_OK);
	peer_close(&other);
	stand_restart(NULL);
	peer_open(&other, &helper);
	assert_int_equal(peer_committed(&peer, "end", G, 0), 2);
	take_and_confirm(&peer, "end", "m2");
}

/* ---- who is served, and with what ---- */

static void
test_first_come_first_served(void **state)
{
	struct peer waiting[6];
	uint32_t id[6];

	(void)state;
	join("queue", 1);
	for (int i = 0; i < 6; i++) {
		peer_open(&waiting[i], &helper);
		id[i] = peer_ask_consume(&waiting[i], "queue", G, POLL_MS);
		/* asked on the same connection: the request before it has been taken up */
		peer_ask(&waiting[i], MSG_PING, POLL_MS, LIT(""));
		{
			struct wire_frame f;

			assert_true(peer_recv(&waiting[i], &f, PEER_WAIT_MS));
			assert_int_equal(f.type, MSG_DONE);
		}
	}
	mock_put_many(&mock, "queue", 0, "m", 6);
	for (int i = 0; i < 6; i++) {
		struct wire_frame f;
		struct msg_message m;

		assert_err(peer_reply(&waiting[i], id[i], MSG_MESSAGE, &f), KP_OK);
		assert_err(msg_message_decode(f.body, &m), KP_OK);
		assert_int_equal(m.offset, i);
		peer_confirm(&waiting[i], m.offer, true);
	}
	peer_wait_committed(&peer, "queue", G, 0, 6);
	for (int i = 0; i < 6; i++)
		peer_close(&waiting[i]);
}

/* A heavy partition does not starve the others, nor does it lose its order. */
static void
test_partitions_in_turn(void **state)
{
	int64_t next[3] = { 0 };
	int light = 0;

	(void)state;

	join("turn", 3);
	mock_put_many(&mock, "turn", 0, "heavy", 300);
	mock_put_many(&mock, "turn", 1, "a", 10);
	mock_put_many(&mock, "turn", 2, "b", 10);
	/* Nothing tells when all three have been read ahead, which they must be. */
	poll(NULL, 0, 1200);
	for (int i = 0; i < 320; i++) {
		struct msg_message m;

		assert_err(peer_consume(&peer, "turn", G, POLL_MS, &m), KP_OK);
		assert_int_equal(m.offset, next[m.partition]++);
		light += m.partition != 0;
		peer_confirm(&peer, m.offer, true);
		if (i == 60)
			assert_int_equal(light, 20);
	}
}

static void
test_groups_and_topics_are_apart(void **state)
{
	struct msg_message m;

	(void)state;
	join("apart", 1);
	assert_err(peer_consume(&peer, "apart", "another", 1500, &m), KP_ENOMSG);
	join("apart2", 1);
	mock_put(&mock, "apart", 0, NULL, "m0");
	take_and_confirm(&peer, "apart", "m0");
	assert_err(peer_consume(&peer, "apart", "another", POLL_MS, &m), KP_OK);
	assert_true(kp_slice_eq(m.value, LIT("m0")));
	peer_confirm(&peer, m.offer, true);
	assert_err(peer_consume(&peer, "apart2", G, 300, &m), KP_ENOMSG);
}

/* The client has hung up in its long poll: the next message is for the next one. */
static void
test_closing_a_long_poll_consumes_nothing(void **state)
{
	(void)state;
	join("hangup", 1);
	peer_ask_consume(&other, "hangup", G, POLL_MS);
	assert_err(peer_ping(&peer), KP_OK);
	peer_close(&other);
	peer_open(&other, &helper);
	assert_err(peer_ping(&other), KP_OK);
	mock_put_many(&mock, "hangup", 0, "m", 2);
	take_and_confirm(&peer, "hangup", "m0");
	take_and_confirm(&peer, "hangup", "m1");
	peer_wait_committed(&peer, "hangup", G, 0, 2);
}

static void
test_deadlines_of_long_polls(void **state)
{
	struct msg_message m;
	int64_t start;

	(void)state;
	join("patience", 1);
	for (unsigned ms = 100; ms <= 900; ms += 400) {
		start = clock_mono_ms();
		assert_err(peer_consume(&peer, "patience", G, ms, &m), KP_ENOMSG);
		assert_in_range(clock_mono_ms() - start, ms > 150 ? ms - 150 : 0, ms + 800);
	}
}

/* Every message of many partitions, to many at once, none twice, none lost. */
static void
test_all_to_many(void **state)
{
	static struct peer peers[8];
	bool seen[4][250] = { { false } };
	uint32_t id[8];

	(void)state;
	join("all", 4);
	for (int32_t p = 0; p < 4; p++)
		mock_put_many(&mock, "all", p, "m", 250);
	for (int i = 0; i < 8; i++) {
		peer_open(&peers[i], &helper);
		id[i] = peer_ask_consume(&peers[i], "all", G, POLL_MS);
	}
	for (int n = 0; n < 1000; n++) {
		struct wire_frame f;
		struct msg_message m;
		int i = n % 8;

		assert_err(peer_reply(&peers[i], id[i], MSG_MESSAGE, &f), KP_OK);
		assert_err(msg_message_decode(f.body, &m), KP_OK);
		assert_in_range(m.offset, 0, 249);
		assert_false(seen[m.partition][m.offset]);
		seen[m.partition][m.offset] = true;
		peer_confirm(&peers[i], m.offer, true);
		if (n + 8 < 1000)
			id[i] = peer_ask_consume(&peers[i], "all", G, POLL_MS);
	}
	for (int32_t p = 0; p < 4; p++)
		peer_wait_committed(&peer, "all", G, p, 250);
	for (int i = 0; i < 8; i++)
		peer_close(&peers[i]);
}

/* ---- trouble ---- */

static void
test_unknown_topic(void **state)
{
	struct msg_message m;

	(void)state;
	rd_kafka_mock_topic_set_error(mock.cluster, "nowhere",
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	assert_err(peer_consume(&peer, "nowhere", G, POLL_MS, &m), KP_ENOTFOUND);
	/* and the group goes on with other topics */
	join("somewhere", 1);
	mock_put(&mock, "somewhere", 0, NULL, "m0");
	take_and_confirm(&peer, "somewhere", "m0");
}

/* Empty and broken must not look alike. */
static void
test_kafka_away(void **state)
{
	struct msg_message m;

	(void)state;
	join("away", 1);
	mock_put_many(&mock, "away", 0, "m", 1);
	take_and_confirm(&peer, "away", "m0");
	peer_wait_committed(&peer, "away", G, 0, 1);
	mock_down(&mock);
	for (int64_t until = clock_mono_ms() + PEER_WAIT_MS; ; ) {
		enum kp_err err = peer_consume(&peer, "away", G, 1000, &m);

		if (err == KP_EUNAVAIL)
			break;
		assert_err(err, KP_ENOMSG);	/* it may take a poll to be seen */
		assert_true(clock_mono_ms() < until);
	}
	assert_true(peer.text[0] != '\0');
	mock_up(&mock);
	mock_put_many(&mock, "away", 0, "n", 2);
	for (int64_t until = clock_mono_ms() + PEER_WAIT_MS; ; ) {
		enum kp_err err = peer_consume(&peer, "away", G, 2000, &m);

		if (err == KP_OK)
			break;
		assert_true(clock_mono_ms() < until);
	}
	assert_true(kp_slice_eq(m.value, LIT("n0")));
	peer_confirm(&peer, m.offer, true);
	take_and_confirm(&peer, "away", "n1");
}

/* Confirmed, then Kafka fails the commit: it is tried again. */
static void
test_failed_commit_is_repeated(void **state)
{
	(void)state;
	join("again", 1);
	mock_put_many(&mock, "again", 0, "m", 1);
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_COMMIT, 2,
	    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
	take_and_confirm(&peer, "again", "m0");
	peer_wait_committed(&peer, "again", G, 0, 1);
}

static void
test_bad_names_are_refused(void **state)
{
	struct msg_message m;
	enum kp_err err;

	(void)state;
	err = peer_consume(&peer, "a/b", G, POLL_MS, &m);
	assert_true(err == KP_EBADREQ || err == KP_EBADMSG);
	err = peer_consume(&peer, "", G, POLL_MS, &m);
	assert_true(err == KP_EBADREQ || err == KP_EBADMSG);
	err = peer_consume(&peer, "t", "a/b", POLL_MS, &m);
	assert_true(err == KP_EBADREQ || err == KP_EBADMSG);
	err = peer_consume(&peer, "t", "", POLL_MS, &m);
	assert_true(err == KP_EBADREQ || err == KP_EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_use),
		TEST(test_first_use_with_a_short_deadline),
		TEST(test_initial_offset_oldest),
		TEST(test_keys_and_values),
		TEST(test_closed_connection_gives_the_message_back),
		TEST(test_failed_response_gives_the_message_back),
		TEST(test_a_waiting_request_gets_what_comes_back),
		TEST(test_strange_confirms_are_nothing),
		TEST(test_commit_is_the_lowest_unconfirmed),
		TEST(test_killed_between_offer_and_confirm),
		TEST(test_end_commits),
		TEST(test_first_come_first_served),
		TEST(test_partitions_in_turn),
		TEST(test_groups_and_topics_are_apart),
		TEST(test_closing_a_long_poll_consumes_nothing),
		TEST(test_deadlines_of_long_polls),
		TEST(test_all_to_many),
		TEST(test_unknown_topic),
		TEST(test_kafka_away),
		TEST(test_failed_commit_is_repeated),
		TEST(test_bad_names_are_refused),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
