/* Shares of the memory for messages: bounded in sum, and each has something. */
#include "helper/kafka/budget.h"

#include "tests/unit/unit.h"

#define MIB (1u << 20)

static void
test_shares(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 64 * MIB);
	assert_int_equal(budget_share(&b), 2 * MIB);
	for (b.readers = 1; b.readers < 8000; b.readers *= 2) {
		assert_in_range(budget_share(&b), 4096, 2 * MIB);
		assert_true(budget_share(&b) * b.readers <= 32 * MIB);
	}
	b.readers = 100000;
	assert_int_equal(budget_share(&b), 4096);
}

/* A quarter stays free for those that are new; past all of it nothing is kept. */
static void
test_room(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 4 * MIB);
	assert_true(budget_has_room(&b));
	budget_take(&b, 3 * MIB);
	assert_true(budget_has_room(&b));
	budget_take(&b, 1);
	assert_false(budget_has_room(&b));
	assert_false(budget_is_full(&b));
	budget_take(&b, MIB);
	assert_true(budget_is_full(&b));
	budget_give(&b, 4 * MIB + 1);
	assert_int_equal(b.used, 0);
	budget_take(&b, 2 * MIB);
	assert_false(budget_may_keep_more(&b));
	b.pending = 1;
	assert_true(budget_may_keep_more(&b));
	b.pending = 2 * MIB - 1;
	assert_true(budget_may_pend(&b));
	b.pending++;
	assert_false(budget_may_pend(&b));
}

/* All fetches together have a fraction of it. */
static void
test_fetches(void **state)
{
	struct budget b;
	size_t sum = 0;

	(void)state;
	budget_init(&b, 64 * MIB);
	assert_int_equal(budget_fetch_bytes(&b), MIB / 2);
	for (b.consumers = 0; b.consumers < 256; b.consumers++)
		sum += budget_fetch_bytes(&b);
	assert_true(sum < b.max / 8);
}

static void
test_links(void **state)
{
	struct budget_link list, a, b;

	(void)state;
	budget_link_init(&list);
	budget_link_init(&a);
	budget_link_init(&b);
	assert_true(budget_link_alone(&list));
	budget_link_leave(&a);
	budget_link_last(&list, &a);
	budget_link_last(&list, &b);
	assert_ptr_equal(list.next, &a);
	budget_link_last(&list, &a);
	assert_ptr_equal(list.next, &b);
	assert_ptr_equal(list.prev, &a);
	budget_link_leave(&b);
	budget_link_leave(&a);
	assert_true(budget_link_alone(&list) && budget_link_alone(&a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_fetches),
		cmocka_unit_test(test_links),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
