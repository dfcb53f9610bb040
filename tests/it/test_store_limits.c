/* The store's bounds: what is refused when, with which advice, whom that leaves alone,
 * and that it ends when Kafka takes messages again. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define MAX_BYTES 1048576
#define PIECE 20000
#define NO_LEADER -1

static const char *const small[] = { "--storeMaxBytes", "1048576", NULL };

static void
set_leader(const char *topic, int32_t broker)
{
	assert_int_equal(rd_kafka_mock_partition_set_leader(mock.cluster, topic, 0, broker), 0);
}

/* A topic that is known, and that Kafka takes nothing of. */
static void
make_stuck(const char *topic)
{
	struct msg_produced r;

	mock_topic(&mock, topic, 1);
	assert_err(peer_produce(&peer, topic, "k", "m0", true, &r), KP_OK);
	set_leader(topic, NO_LEADER);
}

/* "m<number>" and blanks, PIECE bytes. */
static enum kp_err
send_piece(const char *topic, unsigned number)
{
	static char value[PIECE + 1];
	struct msg_produced r;

	snprintf(value, sizeof(value), "m%-*u", PIECE - 1, number);
	return peer_produce(&peer, topic, "k", value, false, &r);
}

/* Sends pieces from m1 on until one is refused; gives how many were kept. */
static unsigned
fill(const char *topic)
{
	enum kp_err err = KP_OK;
	unsigned n = 0;

	while (err == KP_OK && n < 2 * MAX_BYTES / PIECE)
		err = send_piece(topic, ++n);
	assert_err(err, KP_EFULL);
	assert_true(peer.retry_after_s > 0);
	return n - 1;
}

/* m0 to m<n>, in their order, each once. */
static void
expect_pieces(const char *topic, unsigned n)
{
	struct mock_records r;

	mock_read(&mock, topic, n + 1, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, n + 1);
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(strtoul(r.v[i].value + 1, NULL, 10), i);
	mock_records_free(&r);
}

/* Room comes with the deletes, which are gathered for a moment. */
static void
wait_accepted(const char *topic)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_produced r;
	enum kp_err err;

	while ((err = peer_produce(&peer, topic, "k", "again", false, &r)) != KP_OK) {
		assert_err(err, KP_EFULL);
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 50);
	}
}

static void
test_full_and_empty_again(void **state)
{
	struct msg_produced r;
	struct msg_status s;
	unsigned n, n2;

	(void)state;
	mock_topic(&mock, "fine", 1);
	assert_err(peer_produce(&peer, "fine", NULL, "v", false, &r), KP_OK);
	make_stuck("stuck");
	make_stuck("stuck2");
	/* a topic has half of it */
	n = fill("stuck");
	assert_non_null(strstr(peer.text, "its share"));
	assert_in_range(n, MAX_BYTES / 2 / PIECE - 1, MAX_BYTES / 2 / PIECE);
	assert_err(peer_produce(&peer, "fine", NULL, "v", false, &r), KP_OK);
	n2 = fill("stuck2");
	assert_in_range(n2, MAX_BYTES / 4 / PIECE, MAX_BYTES / 2 / PIECE);
	/* now it is full for all, but not for sync, which needs no room */
	while (peer_produce(&peer, "stuck2", NULL, "small", false, &r) == KP_OK)
		assert_true(peer_produce(&peer, "fine", NULL, "v", true, &r) == KP_OK);
	assert_err(send_piece("fine", 0), KP_EFULL);
	assert_non_null(strstr(peer.text, "--storeMaxBytes"));
	assert_err(peer_produce(&peer, "fine", NULL, "v", true, &r), KP_OK);
	assert_err(peer_status(&peer, &s), KP_OK);
	assert_true(s.store_bytes <= MAX_BYTES + 2 * PIECE);
	assert_int_equal(s.store_max_bytes, MAX_BYTES);
	assert_int_equal(s.store.state, PART_DOWN);
	assert_true(s.store.error.n > 0);
	set_leader("stuck", 1);
	expect_pieces("stuck", n);
	wait_accepted("fine");
	wait_accepted("stuck");
	set_leader("stuck2", 1);
}

/* Also what a helper finds at its start counts. */
static void
test_full_after_a_restart(void **state)
{
	unsigned n;

	(void)state;
	make_stuck("restart");
	n = fill("restart");
	stand_kill();
	assert_err(send_piece("restart", n + 1), KP_EFULL);
	assert_non_null(strstr(peer.text, "its share"));
	set_leader("restart", 1);
	expect_pieces("restart", n);
	wait_accepted("restart");
}

static unsigned
count_dead(const char *topic, int64_t *ids, unsigned max)
{
	struct msg_list list = { .dead = true, .topic = kp_slice_str(topic), .limit = ROWS_MAX };
	struct msg_rows rows;
	unsigned n;

	assert_err(peer_list(&peer, &list, &rows), KP_OK);
	for (n = 0; n < rows.n && n < max; n++)
		ids[n] = rows.v[n].id;
	msg_rows_free(&rows);
	return n;
}

/* Half of what waits, or more, becomes dead letters. */
static void
bury_half(const char *topic, int64_t *ids, unsigned n)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;

	for (unsigned i = 0; i < 4 * n; i++)
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
		    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	set_leader(topic, 1);
	while (count_dead(topic, ids, n) < n / 2) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 20);
	}
	set_leader(topic, NO_LEADER);
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_PRODUCE);
}

/* Dead letters are in their topic's half: also after a restart, and until they are
 * dropped, or delivered after all. */
static void
test_dead_letters_leave_room_for_other_topics(void **state)
{
	int64_t ids[2 * MAX_BYTES / PIECE], until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_acted acted;
	struct msg_produced r;
	struct msg_status s;
	unsigned n;

	(void)state;
	mock_topic(&mock, "living", 1);
	assert_err(peer_produce(&peer, "living", "k", "v", true, &r), KP_OK);
	make_stuck("dead");
	n = fill("dead");
	bury_half("dead", ids, n);
	/* the half that died is no room for more */
	while (send_piece("dead", 0) == KP_OK)
		assert_true(clock_mono_ms() < until);
	assert_non_null(strstr(peer.text, "its share"));
	assert_err(peer_status(&peer, &s), KP_OK);
	assert_true(s.dead > 0);
	assert_in_range(s.dead + s.pending, n - 1, n + 1);
	assert_err(peer_produce(&peer, "living", NULL, "v", false, &r), KP_OK);
	stand_kill();
	assert_err(send_piece("dead", 0), KP_EFULL);
	assert_non_null(strstr(peer.text, "its share"));
	/* again among those that wait: no room either */
	n = count_dead("dead", ids, COUNT(ids));
	assert_err(peer_act(&peer, MSG_RETRY_DEAD, &(struct msg_act){ .ids = ids, .n = 2 },
	    &acted), KP_OK);
	assert_int_equal(acted.done, 2);
	msg_acted_free(&acted);
	assert_err(send_piece("dead", 0), KP_EFULL);
	assert_err(peer_act(&peer, MSG_DROP_DEAD, &(struct msg_act){ .ids = ids + 2, .n = n - 2 },
	    &acted), KP_OK);
	assert_int_equal(acted.done, n - 2);
	msg_acted_free(&acted);
	assert_err(send_piece("dead", 0), KP_OK);
	set_leader("dead", 1);
	wait_accepted("dead");
}

/* Waits for an advice that is not the one for an unknown rate. */
static uint32_t
advice(const char *topic, uint32_t not)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;

	do {
		assert_err(send_piece(topic, 0), KP_EFULL);
		assert_true(peer.retry_after_s > 0);
		assert_true(clock_mono_ms() < until);
	} while (peer.retry_after_s == not && poll(NULL, 0, 100) == 0);
	return peer.retry_after_s;
}

static void
test_advice_follows_what_kafka_takes(void **state)
{
	uint32_t unknown, slow, fast;
	struct msg_produced r;

	(void)state;
	mock_topic(&mock, "taken", 1);
	make_stuck("advice");
	fill("advice");
	unknown = advice("advice", 0);
	assert_in_range(unknown, 1, 60);
	for (int i = 0; i < 3; i++)
		assert_err(peer_produce(&peer, "taken", "k", "v", false, &r), KP_OK);
	slow = advice("advice", unknown);
	for (int i = 0; i < 10; i++)
		assert_err(send_piece("taken", 0), KP_OK);
	fast = advice("advice", slow);
	print_message("retry after: unknown=%u slow=%u fast=%u\n", unknown, slow, fast);
	assert_true(slow > 2 * fast);
	assert_true(slow <= 300);
	set_leader("advice", 1);
}

static void
test_nearly_full_disk(void **state)
{
	static const char *const floor[] = { "--storeMinFreeBytes", "1152921504606846976", NULL };
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_produced r;
	struct msg_status s;

	(void)state;
	stand_restart(floor);
	mock_topic(&mock, "disk", 1);
	/* how much is free is learnt with the first look */
	while (peer_produce(&peer, "disk", "k", "v", false, &r) == KP_OK)
		assert_true(clock_mono_ms() < until);
	assert_err(peer_produce(&peer, "disk", "k", "v", false, &r), KP_EFULL);
	assert_true(peer.retry_after_s > 0);
	assert_non_null(strstr(peer.text, "--storeMinFreeBytes"));
	assert_err(peer_produce(&peer, "disk", "k", "v", true, &r), KP_OK);
	assert_err(peer_status(&peer, &s), KP_OK);
	assert_int_equal(s.store.state, PART_DOWN);
	stand_restart((const char *const[]){ "--storeMinFreeBytes", "0", NULL });
	assert_err(peer_produce(&peer, "disk", "k", "v", false, &r), KP_OK);
}

/* One topic that Kafka does not take, with more than the sender holds in memory for it,
 * and more than librdkafka may have. */
static void
test_a_stuck_topic_holds_up_nobody(void **state)
{
	struct msg_produced r;
	int64_t start;

	(void)state;
	stand_restart(NULL);
	mock_topic(&mock, "free", 1);
	mock_topic(&mock, "free2", 1);
	make_stuck("held");
	peer_produce_many(&peer, "held", "k", "m", 1, 6000, 60);
	start = clock_mono_ms();
	peer_produce_many(&peer, "free", "k", "m", 0, 500, 60);
	assert_err(peer_produce(&peer, "free2", "k", "v", true, &r), KP_OK);
	mock_expect(&mock, "free", "m", 500, MOCK_TWICE);
	assert_true(clock_mono_ms() - start < PEER_WAIT_MS);
	set_leader("held", 1);
	mock_expect(&mock, "held", "m", 6000, MOCK_TWICE);
}

static void
test_stop_says_what_is_left(void **state)
{
	int64_t start;

	(void)state;
	make_stuck("left");
	peer_produce_many(&peer, "left", "k", "m", 1, 12, 4);
	peer_close(&peer);
	start = clock_mono_ms();
	helper_stop(&helper, STOP_MS);
	assert_true(clock_mono_ms() - start < 10000);
	assert_int_equal(helper_logged(&helper, "in_store=11"), 1);
	set_leader("left", 1);
	stand_start(small);
	mock_expect(&mock, "left", "m", 12, MOCK_ONCE);
}

#define TEST(name) STAND_TEST(name, small)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full_and_empty_again),
		TEST(test_full_after_a_restart),
		TEST(test_dead_letters_leave_room_for_other_topics),
		TEST(test_advice_follows_what_kafka_takes),
		TEST(test_nearly_full_disk),
		TEST(test_a_stuck_topic_holds_up_nobody),
		TEST(test_stop_says_what_is_left),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
