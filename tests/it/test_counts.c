/* What the helper tells of itself: counts that add up, and how its parts are. */
#include <poll.h>
#include <time.h>

#include "common/clock.h"
#include "tests/it/kept.h"
#include "tests/unit/unit.h"

static void
test_counts_add_up_over_kills_and_acts(void **state)
{
	struct msg_produced r;
	int64_t ids[6];

	(void)state;
	kept_topic("counts", 1);
	kept_expect(0, 0, 0, 0);
	for (int i = 0; i < 20; i++)
		kept_accept("counts", "k", "v");
	assert_err(peer_produce(&peer, "counts", "k", "sync is not kept", true, &r), KP_OK);
	kept_expect(20, 0, 0, 0);
	stand_kill();
	kept_expect(20, 0, 0, 0);
	assert_err(peer_produce(&peer, "counts", "k", "known again", true, &r), KP_OK);
	kept_bury("counts", "bad", 6, ids);
	kept_expect(26, 0, 6, 0);
	stand_kill();
	kept_expect(26, 0, 6, 0);
	assert_int_equal(kept_act(MSG_RETRY_DEAD, ids, 2, NULL), 2);
	kept_expect(26, 0, 4, 0);
	stand_kill();
	kept_expect(26, 0, 4, 0);
	assert_int_equal(kept_act(MSG_DROP_DEAD, ids + 2, 3, NULL), 3);
	kept_expect(26, 0, 1, 3);
	stand_kill();
	kept_expect(26, 0, 1, 3);
	assert_err(peer_produce(&peer, "counts", "k", "known again", true, &r), KP_OK);
	mock_down(&mock);
	for (int i = 0; i < 10; i++)
		kept_accept("counts", "k", "later");
	assert_int_equal(kept_act(MSG_RETRY_DEAD, ids + 5, 1, NULL), 1);
	kept_expect(36, 11, 0, 3);
	stand_kill();
	kept_expect(36, 11, 0, 3);
	mock_up(&mock);
	kept_expect(36, 0, 0, 3);
}

/* Killed at any time: what is delivered, pending and dead is what was accepted. */
static void
test_counts_add_up_when_killed_under_load(void **state)
{
	unsigned kills = unit_rounds(4, 100), sent = 0, answered = 0;
	struct msg_status s;

	(void)state;
	kept_topic("load", 1);
	for (unsigned i = 0; i < kills; i++) {
		for (unsigned k = 0; k < 60; k++, sent++)
			peer_ask_produce(&peer, &(struct msg_produce){ LIT("load"), LIT("k"),
			    LIT("v"), false }, PEER_WAIT_MS);
		/* each time after another number of answers */
		for (unsigned k = 0; k < 1 + i * 17 % 59; k++, answered++)
			peer_next_produced(&peer);
		stand_kill();
	}
	for (int64_t until = clock_mono_ms() + PEER_WAIT_MS; ; poll(NULL, 0, 20)) {
		assert_err(peer_status(&peer, &s), KP_OK);
		if (s.pending == 0 && s.accepted == s.delivered + s.dead + s.dropped)
			break;
		assert_true(clock_mono_ms() < until);
	}
	print_message("counts: kills=%u sent=%u answered=%u accepted=%lld delivered=%lld\n", kills,
	    sent, answered, (long long)s.accepted, (long long)s.delivered);
	assert_int_equal(s.dead + s.dropped, 0);
	assert_in_range(s.accepted, answered, sent);
}

static void
test_status_tells_of_parts(void **state)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS, now = time(NULL) * INT64_C(1000);
	struct msg_status s;

	(void)state;
	kept_topic("parts", 1);
	assert_err(peer_status(&peer, &s), KP_OK);
	assert_true(kp_slice_eq(s.durability, LIT("fsync")));
	assert_false(s.embedded);
	assert_in_range(s.started_ms, now - 60000, now + 2000);
	assert_int_equal(s.store.state, PART_UP);
	assert_int_equal(s.zookeeper.state, PART_UNUSED);
	assert_int_equal(s.oldest_ms, 0);
	assert_int_equal(s.store_max_bytes, 1073741824);
	assert_true(s.store_free_bytes > 0);
	kept_accept("parts", NULL, "v");
	mock_down(&mock);
	kept_accept("parts", NULL, "waits");
	do {
		assert_err(peer_status(&peer, &s), KP_OK);
		assert_true(clock_mono_ms() < until);
		/* A store that is slow to answer is not waited for. */
	} while ((s.kafka.state != PART_DOWN || s.oldest_ms == 0) && poll(NULL, 0, 50) == 0);
	assert_true(s.kafka.error.n > 0);
	assert_in_range(s.kafka.error_ms, now - 1000, now + 60000);
	assert_in_range(s.oldest_ms, now - 1000, now + 60000);
	mock_up(&mock);
	do {
		assert_err(peer_status(&peer, &s), KP_OK);
		assert_true(clock_mono_ms() < until);
	} while ((s.kafka.state != PART_UP || s.oldest_ms) && poll(NULL, 0, 50) == 0);
}

/* Without a store the numbers are those of this process, and there is nothing to list. */
static void
test_durability_memory(void **state)
{
	static const char *const memory[] = { "--durability", "memory", NULL };
	struct msg_list list = { .limit = 10 };
	struct msg_receipt got;
	struct msg_rows rows;
	int64_t id;

	(void)state;
	stand_restart(memory);
	kept_topic("memory", 1);
	mock_down(&mock);
	id = kept_accept("memory", "k", "v");
	kept_find(id, RECEIPT_PENDING, &got);
	kept_expect(1, 1, 0, 0);
	assert_err(peer_list(&peer, &list, &rows), KP_ENOTSUP);
	mock_up(&mock);
	kept_find(id, RECEIPT_DELIVERED, &got);
	kept_expect(1, 0, 0, 0);
}

#define TEST(name) STAND_TEST(name, NULL)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counts_add_up_over_kills_and_acts),
		TEST(test_counts_add_up_when_killed_under_load),
		TEST(test_status_tells_of_parts),
		TEST(test_durability_memory),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
