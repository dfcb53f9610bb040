/* Offsets of a group, read and set, also under a consumer that is at work; and
 * who consumes what. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define G "group"
#define POLL_MS 6000
#define AT(partition, offset, metadata) { partition, 0, 0, offset, LIT(metadata), false }

/* Row `i` of the group's offsets. */
static void
assert_row(const char *topic, const char *group, size_t n, size_t i, int64_t begin, int64_t end,
    int64_t offset, const char *metadata)
{
	struct msg_offsets r;

	assert_err(peer_get_offsets(&peer, topic, group, &r), KP_OK);
	assert_int_equal(r.n, n);
	assert_int_equal(r.v[i].partition, i);
	assert_int_equal(r.v[i].begin, begin);
	assert_int_equal(r.v[i].end, end);
	assert_int_equal(r.v[i].offset, offset);
	assert_true(kp_slice_eq(r.v[i].metadata, kp_slice_str(metadata)));
	msg_offsets_free(&r);
}

static void
test_of_a_group_never_seen(void **state)
{
	(void)state;
	mock_topic(&mock, "unseen", 3);
	mock_put_many(&mock, "unseen", 1, "m", 4);
	assert_row("unseen", "nobody", 3, 0, 0, 0, -1, "");
	assert_row("unseen", "nobody", 3, 1, 0, 4, -1, "");
	assert_row("unseen", "nobody", 3, 2, 0, 0, -1, "");
}

static void
test_set_and_get(void **state)
{
	struct msg_offset v[] = {
		AT(2, 7, "some metadata"),
		AT(0, 0, ""),
	};

	(void)state;
	mock_topic(&mock, "set", 3);
	mock_put_many(&mock, "set", 2, "m", 9);
	assert_err(peer_set_offsets(&peer, "set", G, v, 2), KP_OK);
	assert_row("set", G, 3, 2, 0, 9, 7, "some metadata");
	assert_row("set", G, 3, 0, 0, 0, 0, "");
	assert_row("set", G, 3, 1, 0, 0, -1, "");
}

static void
test_newest_and_oldest_are_resolved(void **state)
{
	struct msg_offset v[] = { AT(0, -1, ""), AT(1, -2, "") };

	(void)state;
	mock_topic(&mock, "resolve", 2);
	mock_put_many(&mock, "resolve", 0, "m", 5);
	mock_put_many(&mock, "resolve", 1, "m", 6);
	assert_err(peer_set_offsets(&peer, "resolve", G, v, 2), KP_OK);
	assert_row("resolve", G, 2, 0, 0, 5, 5, "");
	assert_row("resolve", G, 2, 1, 0, 6, 0, "");
}

/* The broker of the tests knows no times of its messages: all are past its end. */
static void
test_a_time_past_the_end_is_the_end(void **state)
{
	struct msg_offset v[] = {
		{ 0, 0, 0, 1769860800000, LIT("m"), true }, AT(1, 2, ""),
		{ 2, 0, 0, 0, LIT(""), true },
	};
	struct msg_offset negative = { 0, 0, 0, -1, LIT(""), true };

	(void)state;
	mock_topic(&mock, "times", 3);
	mock_put_many(&mock, "times", 0, "m", 5);
	mock_put_many(&mock, "times", 1, "m", 5);
	assert_err(peer_set_offsets(&peer, "times", G, v, 3), KP_OK);
	assert_row("times", G, 3, 0, 0, 5, 5, "m");
	assert_row("times", G, 3, 1, 0, 5, 2, "");
	assert_row("times", G, 3, 2, 0, 0, 0, "");
	assert_true(peer_set_offsets(&peer, "times", G, &negative, 1) != KP_OK);
	assert_row("times", G, 3, 0, 0, 5, 5, "m");
}

/* The coordinator moves while it is asked: that is no reason to fail, let alone to end. */
static void
test_coordinator_moves(void **state)
{
	static const rd_kafka_resp_err_t errors[] = {
		RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR__TRANSPORT,
	};
	struct msg_offset v = AT(0, 2, "");

	(void)state;
	mock_topic(&mock, "moves", 1);
	mock_put_many(&mock, "moves", 0, "m", 3);
	for (size_t i = 0; i < COUNT(errors); i++) {
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_COMMIT, 1, errors[i]);
		assert_err(peer_set_offsets(&peer, "moves", G, &v, 1), KP_OK);
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_OFFSET_FETCH, 1, errors[i]);
		assert_row("moves", G, 1, 0, 0, 3, 2, "");
	}
}

/* One row that is wrong, and none is set. */
static void
test_all_or_nothing(void **state)
{
	struct msg_offset unknown[] = { AT(0, 3, ""), AT(9, 3, "") };
	struct msg_offset negative[] = { AT(0, 3, ""), AT(-1, 3, "") };
	struct msg_offset low[] = { AT(0, 3, ""), AT(1, -3, "") };
	struct msg_offset twice[] = { AT(0, 3, ""), AT(0, 4, "") };

	(void)state;
	mock_topic(&mock, "nothing", 2);
	mock_put_many(&mock, "nothing", 0, "m", 5);
	assert_err(peer_set_offsets(&peer, "nothing", G, unknown, 2), KP_ENOTFOUND);
	assert_err(peer_set_offsets(&peer, "nothing", G, negative, 2), KP_ENOTFOUND);
	/* the responder refuses these with a text of its own; here they must do no harm */
	assert_true(peer_set_offsets(&peer, "nothing", G, low, 2) != KP_OK);
	assert_true(peer_set_offsets(&peer, "nothing", G, twice, 2) != KP_OK);
	assert_row("nothing", G, 2, 0, 0, 5, -1, "");
}

static void
test_unknown_topic(void **state)
{
	struct msg_offset v = AT(0, 0, "");
	struct msg_offsets r;

	(void)state;
	rd_kafka_mock_topic_set_error(mock.cluster, "nowhere",
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	assert_err(peer_get_offsets(&peer, "nowhere", G, &r), KP_ENOTFOUND);
	assert_string_equal(peer.text, "Unknown topic");
	assert_err(peer_set_offsets(&peer, "nowhere", G, &v, 1), KP_ENOTFOUND);
}

static void
test_kafka_away(void **state)
{
	struct msg_offset v = AT(0, 0, "");
	struct msg_offsets r;
	int64_t start;

	(void)state;
	mock_topic(&mock, "away", 2);
	assert_row("away", G, 2, 0, 0, 0, -1, "");
	mock_down(&mock);
	start = clock_mono_ms();
	assert_err(peer_get_offsets(&peer, "away", G, &r), KP_EUNAVAIL);
	assert_err(peer_set_offsets(&peer, "away", G, &v, 1), KP_EUNAVAIL);
	assert_true(clock_mono_ms() - start < 2 * 8500);
	mock_up(&mock);
	assert_row("away", G, 2, 0, 0, 0, -1, "");
}

/* ---- while this host consumes the group ---- */

static void
join(const char *topic)
{
	struct msg_message m;

	mock_topic(&mock, topic, 2);
	assert_err(peer_consume(&peer, topic, G, 1000, &m), KP_ENOMSG);
	mock_put_many(&mock, topic, 0, "m", 10);
}

/* Takes the next one, which must be at this offset; gives its offer. */
static uint64_t
take(const char *topic, int64_t offset)
{
	struct msg_message m;

	assert_err(peer_consume(&peer, topic, G, POLL_MS, &m), KP_OK);
	assert_int_equal(m.offset, offset);
	return m.offer;
}

static void
set(const char *topic, int64_t offset)
{
	struct msg_offset v = AT(0, offset, "");

	assert_err(peer_set_offsets(&peer, topic, G, &v, 1), KP_OK);
}

/* Two brokers, of which only the one that coordinates the group goes and comes back:
 * what had timed out must not take the helper along. */
static void
test_coordinator_away_and_back(void **state)
{
	rd_kafka_mock_cluster_t *two = rd_kafka_mock_cluster_new(mock.owner, 2);
	struct msg_offset v[] = { AT(0, 0, "") };
	struct helper h = { 0 };
	struct peer p = { .fd = -1 };
	struct msg_offsets r;
	pid_t pid;

	(void)state;
	assert_int_equal(rd_kafka_mock_topic_create(two, "back", 1, 1), 0);
	rd_kafka_mock_partition_set_leader(two, "back", 0, 1);
	rd_kafka_mock_coordinator_set(two, "group", G, 2);
	helper_init(&h);
	helper_start(&h, rd_kafka_mock_cluster_bootstraps(two), NULL);
	pid = h.pid;
	peer_open(&p, &h);
	assert_err(peer_get_offsets(&p, "back", G, &r), KP_OK);
	msg_offsets_free(&r);
	rd_kafka_mock_broker_set_down(two, 2);
	assert_err(peer_get_offsets(&p, "back", G, &r), KP_EUNAVAIL);
	assert_err(peer_set_offsets(&p, "back", G, v, 1), KP_EUNAVAIL);
	rd_kafka_mock_broker_set_up(two, 2);
	for (int i = 0; i < 3; i++) {
		assert_err(peer_get_offsets(&p, "back", G, &r), KP_OK);
		assert_int_equal(r.v[0].offset, -1);
		msg_offsets_free(&r);
	}
	assert_err(peer_set_offsets(&p, "back", G, v, 1), KP_OK);
	assert_int_equal(h.pid, pid);
	peer_close(&p);
	helper_stop(&h, STOP_MS);
	rd_kafka_mock_cluster_destroy(two);
}

static void
test_set_takes_effect_at_once(void **state)
{
	struct msg_message m;

	(void)state;
	join("live");
	for (int i = 0; i < 4; i++)
		peer_confirm(&peer, take("live", i), true);
	set("live", 1);
	assert_int_equal(peer_committed(&peer, "live", G, 0), 1);
	peer_confirm(&peer, take("live", 1), true);	/* back */
	set("live", 8);
	peer_confirm(&peer, take("live", 8), true);	/* ahead */
	set("live", -2);
	peer_confirm(&peer, take("live", 0), true);
	set("live", -1);
	assert_int_equal(peer_committed(&peer, "live", G, 0), 10);
	assert_err(peer_consume(&peer, "live", G, 500, &m), KP_ENOMSG);
	mock_put(&mock, "live", 0, NULL, "new");
	peer_confirm(&peer, take("live", 10), true);
	peer_wait_committed(&peer, "live", G, 0, 11);
}

/* Offers that are out when the offset is set count no more, confirmed or not. */
static void
test_set_withdraws_offers(void **state)
{
	uint64_t a, b;

	(void)state;
	join("withdraw");
	a = take("withdraw", 0);
	b = take("withdraw", 1);
	set("withdraw", 5);
	peer_confirm(&peer, a, true);
	peer_confirm(&peer, b, false);
	peer_confirm(&peer, take("withdraw", 5), true);
	peer_confirm(&peer, take("withdraw", 6), true);
	peer_wait_committed(&peer, "withdraw", G, 0, 7);
}

/* The consumer's own next commit must not undo it. */
static void
test_set_is_not_undone(void **state)
{
	struct msg_offset v = AT(0, 3, "by hand");
	uint64_t offer;

	(void)state;
	join("undone");
	peer_confirm(&peer, take("undone", 0), true);
	offer = take("undone", 1);
	assert_err(peer_set_offsets(&peer, "undone", G, &v, 1), KP_OK);
	peer_confirm(&peer, offer, true);
	stand_restart(NULL);		/* commits once more */
	assert_int_equal(peer_committed(&peer, "undone", G, 0), 3);
	peer_confirm(&peer, take("undone", 3), true);
}

/* A long poll that waits is served from the new place. */
static void
test_set_wakes_a_waiting_request(void **state)
{
	struct msg_message m;
	struct wire_frame f;
	struct peer waiting;
	uint32_t id;

	(void)state;
	join("wake");
	for (int i = 0; i < 10; i++)
		peer_confirm(&peer, take("wake", i), true);
	peer_open(&waiting, &helper);
	id = peer_ask_consume(&waiting, "wake", G, POLL_MS);
	set("wake", 4);
	assert_err(peer_reply(&waiting, id, MSG_MESSAGE, &f), KP_OK);
	assert_err(msg_message_decode(f.body, &m), KP_OK);
	assert_int_equal(m.offset, 4);
	peer_close(&waiting);
}

/* ---- consumers ---- */

static void
test_consumers(void **state)
{
	struct msg_consumers r;
	struct msg_message m;

	(void)state;
	mock_topic(&mock, "who", 3);
	assert_err(peer_get_consumers(&peer, "who", "", &r), KP_OK);
	assert_int_equal(r.n, 0);
	msg_consumers_free(&r);
	assert_err(peer_consume(&peer, "who", "b", 1000, &m), KP_ENOMSG);
	assert_err(peer_consume(&peer, "who", "a", 1000, &m), KP_ENOMSG);
	for (int all = 0; all < 2; all++) {
		assert_err(peer_get_consumers(&peer, "who", all ? "" : "a", &r), KP_OK);
		assert_int_equal(r.n, all ? 2 : 1);
		for (size_t i = 0; i < r.n; i++) {
			assert_memory_equal(r.v[i].member.p, "pixy_", 5);
			assert_int_equal(r.v[i].n, 3);
			for (int32_t k = 0; k < 3; k++)
				assert_int_equal(r.v[i].partitions[k], k);
		}
		msg_consumers_free(&r);
	}
}

#define TEST(name) STAND_TEST(name, NULL)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_of_a_group_never_seen),
		TEST(test_set_and_get),
		TEST(test_newest_and_oldest_are_resolved),
		TEST(test_a_time_past_the_end_is_the_end),
		TEST(test_coordinator_moves),
		TEST(test_all_or_nothing),
		TEST(test_unknown_topic),
		TEST(test_kafka_away),
		TEST(test_coordinator_away_and_back),
		TEST(test_set_takes_effect_at_once),
		TEST(test_set_withdraws_offers),
		TEST(test_set_is_not_undone),
		TEST(test_set_wakes_a_waiting_request),
		TEST(test_consumers),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
