/*
 * Explicit acknowledgement: what was delivered is not done before it is acknowledged by
 * its offset, comes again when it is not, and never when it is, whoever serves by then.
 */
#include "tests/it/stand.h"

#include <stdio.h>

#include "helper/consume/offers.h"
#include "tests/unit/unit.h"

#define G "group"
#define POLL_MS 6000			/* a long poll that is expected to be served */

static const char *const options[] = { "--ackTimeout", "300", NULL };

/* A topic of one partition with n messages, whose group has joined before them. */
static void
fill(const char *topic, unsigned n)
{
	struct msg_message m;

	mock_topic(&mock, topic, 1);
	assert_err(peer_consume(&peer, topic, G, 1000, &m), KP_ENOMSG);
	mock_put_many(&mock, topic, 0, "m", n);
}

/* The next message, delivered and pending; with ack >= 0 that one is acknowledged. Its
 * offset, or -1 with the error in *err. */
static int64_t
take(const char *topic, int64_t ack, uint32_t wait_ms, enum kp_err *err)
{
	const struct msg_consume ask = { .topic = kp_slice_str(topic), .group = LIT(G),
	    .no_ack = ack < 0, .ack = ack >= 0, .ack_offset = ack < 0 ? 0 : ack };
	struct msg_message m;
	struct wire_frame f;

	*err = peer_reply(&peer, peer_ask_message(&peer, &ask, wait_ms), MSG_MESSAGE, &f);
	if (*err)
		return -1;
	assert_err(msg_message_decode(f.body, &m), KP_OK);
	peer_confirm(&peer, m.offer, true);
	return m.offset;
}

static void
expect(const char *topic, int64_t ack, int64_t offset)
{
	enum kp_err err;
	int64_t got = take(topic, ack, POLL_MS, &err);

	if (got != offset)
		fail_msg("offset %lld expected, got %lld: %s", (long long)offset, (long long)got,
		    peer.text);
}

static void
expect_none(const char *topic, int64_t ack)
{
	enum kp_err err;

	take(topic, ack, 700, &err);
	assert_err(err, KP_ENOMSG);
}

static void
wait_metadata(const char *topic, int64_t offset, const char *want)
{
	char seen[METADATA_MAX + 1] = "";

	for (int i = 0; i < 100; i++) {
		struct msg_offsets r;
		bool same;

		assert_err(peer_get_offsets(&peer, topic, G, &r), KP_OK);
		same = r.v[0].offset == offset &&
		    kp_slice_eq(r.v[0].metadata, kp_slice_str(want));
		snprintf(seen, sizeof(seen), "%lld %.*s", (long long)r.v[0].offset,
		    (int)r.v[0].metadata.n, (const char *)r.v[0].metadata.p);
		msg_offsets_free(&r);
		if (same)
			return;
		usleep(50000);
	}
	fail_msg("committed: %s, and not %lld %s", seen, (long long)offset, want);
}

static void
test_delivered_is_not_done(void **state)
{
	(void)state;
	fill("pending", 3);
	expect("pending", -1, 0);
	expect("pending", 0, 1);
	wait_metadata("pending", 1, "");
	assert_err(peer_ack(&peer, "pending", G, 0, 1), KP_OK);
	assert_err(peer_ack(&peer, "pending", G, 0, 1), KP_OK);
	wait_metadata("pending", 2, "");
	expect("pending", -1, 2);
	expect_none("pending", 2);
	wait_metadata("pending", 3, "");
}

/* The answer may be out before the helper hears that it was. */
static void
test_acknowledged_before_it_is_confirmed(void **state)
{
	struct msg_message m;

	(void)state;
	fill("early", 1);
	assert_err(peer_consume(&peer, "early", G, POLL_MS, &m), KP_OK);
	uint64_t offer = m.offer;
	assert_err(peer_ack(&peer, "early", G, 0, 0), KP_OK);
	peer_confirm(&peer, offer, false);
	expect_none("early", -1);
	wait_metadata("early", 1, "");
}

static void
test_expired_comes_again(void **state)
{
	(void)state;
	stand_restart((const char *const[]){ "--ackTimeout", "1", NULL });
	fill("expires", 2);
	expect("expires", -1, 0);
	expect("expires", -1, 1);
	expect("expires", -1, 0);	/* after a second */
	helper_wait_logged(&helper, "not acknowledged in time");
	assert_err(peer_ack(&peer, "expires", G, 0, 1), KP_OK);	/* late */
	assert_err(peer_ack(&peer, "expires", G, 0, 0), KP_OK);	/* the second time */
	wait_metadata("expires", 2, "");
	expect_none("expires", -1);
}

/* Out of order, and killed: what is acknowledged and committed does not come again. */
static void
test_killed(void **state)
{
	(void)state;
	fill("killed", 8);
	for (int i = 0; i < 8; i++)
		expect("killed", -1, i);
	assert_err(peer_ack(&peer, "killed", G, 0, 2), KP_OK);
	assert_err(peer_ack(&peer, "killed", G, 0, 3), KP_OK);
	assert_err(peer_ack(&peer, "killed", G, 0, 6), KP_OK);
	wait_metadata("killed", 0, "CCCB");
	stand_kill();
	/* Of the life before, while nothing has been read in this one. */
	assert_err(peer_ack(&peer, "killed", G, 0, 4), KP_OK);
	assert_err(peer_ack(&peer, "killed", G, 0, 6), KP_OK);
	assert_err(peer_ack(&peer, "killed", G, 0, 8), KP_ENOTFOUND);
	expect("killed", -1, 0);
	expect("killed", 0, 1);
	expect("killed", 1, 5);
	wait_metadata("killed", 5, "BB");
	expect("killed", 5, 7);
	expect_none("killed", 7);
	wait_metadata("killed", 8, "");
}

/* Texts of users that are no ranges, or ranges of what is not there. */
static void
test_metadata_of_others(void **state)
{
	static const char *const texts[] = { "by hand", "1@b", "gggB", "BBgggB" };
	char topic[32];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct msg_offset o = { .metadata = kp_slice_str(texts[i]) };

		snprintf(topic, sizeof(topic), "others%zu", i);
		fill(topic, 2);
		assert_err(peer_set_offsets(&peer, topic, G, &o, 1), KP_OK);
		expect(topic, -1, 0);
		expect(topic, -1, 1);
	}
	assert_int_equal(helper_logged(&helper, "metadata is no list"), COUNT(texts));
	/* And of a Kafka-Pixy. */
	struct msg_offset o = { .metadata = LIT("BBBB") };
	fill("pixy", 5);
	assert_err(peer_set_offsets(&peer, "pixy", G, &o, 1), KP_OK);
	expect("pixy", -1, 0);
	expect("pixy", -1, 2);
	expect("pixy", -1, 4);
}

static void
test_acknowledgements_of_nothing(void **state)
{
	enum kp_err err;

	(void)state;
	fill("nothing", 1);
	assert_err(peer_ack(&peer, "nothing", G, 0, 0), KP_ENOTFOUND);
	assert_string_equal(peer.text, "offset 0 of partition 0 has not been handed out");
	assert_err(peer_ack(&peer, "nothing", G, 7, 0), KP_ENOTFOUND);
	assert_string_equal(peer.text, "Unknown partition 7: the topic has 1");
	take("nothing", 5, POLL_MS, &err);
	assert_err(err, KP_ENOTFOUND);
	expect("nothing", -1, 0);
	/* One that waits for its group to join may be the first that asks for it. */
	assert_err(peer_ack(&peer, "nothing", "other", 0, 99), KP_ENOTFOUND);
	assert_err(peer_ack(&peer, "nothing", "other", 0, 0), KP_OK);
	assert_err(peer_ack(&peer, "nowhere", G, 0, 0), KP_ENOTFOUND);
}

/* Empty and held up must not look alike. */
static void
test_too_many_pending(void **state)
{
	enum kp_err err;

	(void)state;
	fill("full", OFFERS_MAX + 5);
	for (int i = 0; i < OFFERS_MAX; i++)
		expect("full", -1, i);
	take("full", -1, 700, &err);
	assert_err(err, KP_EUNAVAIL);
	assert_string_equal(peer.text, "partition 0 waits for 1000 acknowledgements");
	expect("full", 500, OFFERS_MAX);
	assert_err(peer_ack(&peer, "full", G, 0, 1), KP_OK);
	expect("full", -1, OFFERS_MAX + 1);
}

/* Then it does without: commits must go on. */
static void
test_brokers_that_refuse_metadata(void **state)
{
	(void)state;
	fill("plain", 3);
	for (int i = 0; i < 3; i++)
		expect("plain", -1, i);
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_COMMIT, 1,
	    RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
	assert_err(peer_ack(&peer, "plain", G, 0, 1), KP_OK);
	helper_wait_logged(&helper, "offset.metadata.max.bytes");
	assert_err(peer_ack(&peer, "plain", G, 0, 0), KP_OK);
	wait_metadata("plain", 2, "");
}

#define TEST(name) STAND_TEST(name, options)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delivered_is_not_done),
		TEST(test_acknowledged_before_it_is_confirmed),
		TEST(test_expired_comes_again),
		TEST(test_killed),
		TEST(test_metadata_of_others),
		TEST(test_acknowledgements_of_nothing),
		TEST(test_too_many_pending),
		TEST(test_brokers_that_refuse_metadata),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
