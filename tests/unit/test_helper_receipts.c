/* Receipts are told as long as is promised and no longer; a rate counts whole
 * seconds that have passed. */
#include "helper/produce/rate.h"
#include "helper/produce/receipts.h"
#include "tests/unit/unit.h"

#define FIRST ((INT64_C(7) << 36) + 1)

static int
setup(void **state)
{
	*state = receipts_new();
	return *state ? 0 : -1;
}

static int
teardown(void **state)
{
	receipts_free(*state);
	return 0;
}

static void
test_from_pending_to_delivered(void **state)
{
	struct receipts *r = *state;
	struct msg_receipt m;

	assert_false(receipts_find(r, FIRST, 0, &m));
	receipts_pending(r, FIRST);
	assert_true(receipts_find(r, FIRST, 0, &m));
	assert_int_equal(m.state, RECEIPT_PENDING);
	assert_int_equal(m.partition, -1);
	receipts_delivered(r, FIRST, 3, 42, 1000);
	assert_true(receipts_find(r, FIRST, 1000, &m));
	assert_int_equal(m.id, FIRST);
	assert_int_equal(m.state, RECEIPT_DELIVERED);
	assert_int_equal(m.partition, 3);
	assert_int_equal(m.offset, 42);
}

static void
test_kept_for_a_bounded_time(void **state)
{
	struct receipts *r = *state;
	struct msg_receipt m;

	receipts_delivered(r, FIRST, 0, 0, 1000);
	assert_true(receipts_find(r, FIRST, 1000 + RECEIPTS_MS, &m));
	assert_false(receipts_find(r, FIRST, 1001 + RECEIPTS_MS, &m));
	/* What is pending has no such time. */
	receipts_pending(r, FIRST + 1);
	assert_true(receipts_find(r, FIRST + 1, INT64_MAX, &m));
}

static void
test_kept_for_a_bounded_number(void **state)
{
	struct receipts *r = *state;
	struct msg_receipt m;

	for (int64_t i = 0; i <= RECEIPTS_MAX; i++)
		receipts_delivered(r, FIRST + i, 0, i, 1);
	assert_false(receipts_find(r, FIRST, 1, &m));
	assert_true(receipts_find(r, FIRST + 1, 1, &m));
	assert_int_equal(m.offset, 1);
	/* One of an earlier start does not push out one of today. */
	receipts_delivered(r, FIRST + 1 - RECEIPTS_MAX, 0, 9, 1);
	assert_true(receipts_find(r, FIRST + 1, 1, &m));
	assert_int_equal(m.offset, 1);
}

/* Every start begins at the same low bits. */
static void
test_ids_of_an_earlier_start_have_places_too(void **state)
{
	struct receipts *r = *state;
	struct msg_receipt m;

	for (int64_t i = 0; i < 1000; i++)
		receipts_pending(r, FIRST + i);
	for (int64_t i = 0; i < 1000; i++)
		receipts_delivered(r, FIRST - (INT64_C(1) << 36) + i, 0, i, 1);
	for (int64_t i = 0; i < 1000; i++)
		assert_true(receipts_find(r, FIRST - (INT64_C(1) << 36) + i, 1, &m));
}

static void
test_forgotten_when_refused(void **state)
{
	struct receipts *r = *state;
	struct msg_receipt m;

	receipts_pending(r, FIRST);
	receipts_forget(r, FIRST + RECEIPTS_MAX);	/* has the same place */
	assert_true(receipts_find(r, FIRST, 1, &m));
	receipts_forget(r, FIRST);
	assert_false(receipts_find(r, FIRST, 1, &m));
	assert_false(receipts_find(r, 0, 1, &m));
	assert_false(receipts_find(r, -1, 1, &m));
}

static void
test_rate_counts_seconds_that_have_passed(void **state)
{
	struct rate r = { 0 };
	uint64_t messages, bytes;

	(void)state;
	for (int64_t ms = 100000; ms < 120000; ms += 100)
		rate_add(&r, ms, 50);
	rate_get(&r, 120000, &messages, &bytes);
	assert_int_equal(messages, 10);
	assert_int_equal(bytes, 500);
	rate_get(&r, 120000 + RATE_SECONDS * 1000, &messages, &bytes);
	assert_int_equal(messages, 0);
	assert_int_equal(bytes, 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_from_pending_to_delivered),
		T(test_kept_for_a_bounded_time),
		T(test_kept_for_a_bounded_number),
		T(test_ids_of_an_earlier_start_have_places_too),
		T(test_forgotten_when_refused),
		cmocka_unit_test(test_rate_counts_seconds_that_have_passed),
	};

	unit_filter();
	return cmocka_run_group_tests_name("receipts", tests, NULL, NULL);
}
