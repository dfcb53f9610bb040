/* Where a message is, by its id; and ids that tell nothing of others. */
#include <poll.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/it/kept.h"
#include "tests/unit/unit.h"

static void
test_find_tells_where_it_is(void **state)
{
	struct msg_receipt r;
	struct mock_records got;
	int64_t ids[8], dead;

	(void)state;
	kept_topic("find", 3);
	mock_down(&mock);
	for (int i = 0; i < 8; i++) {
		char text[] = { (char)('a' + i), '\0' };

		ids[i] = kept_accept("find", text, text);
		kept_find(ids[i], RECEIPT_PENDING, &r);
	}
	mock_up(&mock);
	for (int i = 0; i < 8; i++)
		kept_find(ids[i], RECEIPT_DELIVERED, &r);
	mock_read(&mock, "find", 9, PEER_WAIT_MS, &got);
	assert_int_equal(got.n, 9);
	for (size_t i = 0; i < got.n; i++) {
		if (strcmp(got.v[i].value, "known") == 0)
			continue;
		kept_find(ids[got.v[i].value[0] - 'a'], RECEIPT_DELIVERED, &r);
		assert_int_equal(r.partition, got.v[i].partition);
		assert_int_equal(r.offset, got.v[i].offset);
	}
	mock_records_free(&got);
	kept_bury("find", "bad", 1, &dead);
	kept_find(dead, RECEIPT_DEAD, &r);
	assert_true(kp_slice_eq(r.reason,
	    kp_slice_str(rd_kafka_err2str(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE))));
	/* of what went, only the store's part is known after a restart */
	stand_kill();
	kept_find_nothing(ids[0]);
	kept_find(dead, RECEIPT_DEAD, &r);
}

static void
test_find_of_strange_ids(void **state)
{
	int64_t id;

	(void)state;
	kept_topic("strange", 1);
	id = kept_accept("strange", NULL, "v");
	kept_find_nothing(1);
	kept_find_nothing(id - 1);
	kept_find_nothing(id + 1);
	kept_find_nothing(id + 65536);
	kept_find_nothing(INT64_MAX);
}

/* The table of what was delivered is finite. */
static void
test_find_forgets(void **state)
{
	struct msg_receipt r;
	int64_t id;

	(void)state;
	if (unit_rounds(0, 1) == 0)
		return;
	kept_topic("forgets", 1);
	id = kept_accept("forgets", NULL, "first");
	kept_find(id, RECEIPT_DELIVERED, &r);
	peer_produce_many(&peer, "forgets", NULL, "m", 0, 66000, 60);
	kept_find_nothing(id);
	kept_find(kept_accept("forgets", NULL, "last"), RECEIPT_DELIVERED, &r);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* A row that is still there is known after a kill, too. */
static void
wait_empty(void)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_status s;

	do {
		assert_err(peer_status(&peer, &s), KP_OK);
		assert_true(clock_mono_ms() < until);
	} while (s.pending && poll(NULL, 0, 20) == 0);
}

/* Of three starts with each durability, each ended by a kill: no id twice, none next to
 * another, and nothing that one start says of an id is about a message of another. */
static void
test_ids_never_come_again(void **state)
{
	static const char *const modes[] = { "fsync", "os", "memory" };
	enum { EACH = 50, STARTS = 3, ALL = 3 * STARTS * EACH };
	int64_t ids[ALL];
	struct msg_receipt r;
	size_t n = 0;

	(void)state;
	mock_topic(&mock, "ever", 1);
	for (size_t mode = 0; mode < COUNT(modes); mode++) {
		const char *options[] = { "--durability", modes[mode], NULL };

		stand_restart(options);
		for (int start = 0; start < STARTS; start++) {
			for (size_t i = 0; i < n; i++)
				kept_find_nothing(ids[i]);
			for (int i = 0; i < EACH; i++)
				ids[n++] = kept_accept("ever", "k", "v");
			for (int i = 0; i < EACH; i++)
				kept_find(ids[n - 1 - (size_t)i], RECEIPT_DELIVERED, &r);
			wait_empty();
			peer_close(&peer);
			helper_kill(&helper);
			stand_start(options);
		}
	}
	/* Who has one finds no other near it. */
	for (int64_t by = 1; by < 100; by++) {
		kept_find_nothing(ids[n - 1] + by);
		kept_find_nothing(ids[n - 1] - by);
	}
	assert_int_equal(n, ALL);
	qsort(ids, n, sizeof(*ids), by_size);
	for (size_t i = 1; i < n; i++)
		assert_true(ids[i] - ids[i - 1] > 1000);
}

#define TEST(name) STAND_TEST(name, NULL)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_find_tells_where_it_is),
		TEST(test_find_of_strange_ids),
		TEST(test_find_forgets),
		TEST(test_ids_never_come_again),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
