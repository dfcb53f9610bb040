/* Offers: what may be committed, what comes again, and what is told of acknowledgements. */
#include "tests/unit/offers_fixture.h"

static void
assert_ranges(const struct offers *o, const char *want)
{
	struct sparse_text t;

	offers_ranges(o, &t);
	assert_string_equal(t.p, want);
}

static void
test_in_order(void **state)
{
	struct offers o;
	struct offer *a, *b;

	(void)state;
	offers_init(&o, 7, 7);
	assert_int_equal(offers_commit(&o), 7);
	a = add(&o, 7);
	b = add(&o, 9);			/* 8 was compacted away */
	assert_int_equal(offers_commit(&o), 7);
	assert_ptr_equal(offers_confirm(&o, a), &token);
	assert_int_equal(offers_commit(&o), 9);
	assert_ptr_equal(offers_confirm(&o, b), &token);
	assert_int_equal(offers_commit(&o), 10);
	assert_int_equal(o.n, 0);
	assert_ranges(&o, "");
}

static void
test_lowest_unconfirmed_holds(void **state)
{
	struct offers o;
	struct offer *f[3];

	(void)state;
	offers_init(&o, 0, 0);
	for (int i = 0; i < 3; i++)
		f[i] = add(&o, i);
	offers_confirm(&o, f[2]);
	offers_confirm(&o, f[1]);
	assert_int_equal(offers_commit(&o), 0);
	assert_ranges(&o, "BC");
	offers_return(&o, f[0]);
	assert_int_equal(offers_commit(&o), 0);
	assert_ptr_equal(offers_again(&o), f[0]);
	assert_null(offers_again(&o));
	offers_confirm(&o, f[0]);
	assert_int_equal(offers_commit(&o), 3);
	assert_ranges(&o, "");
}

static void
test_returned_come_back_lowest_first(void **state)
{
	struct offers o;
	struct offer *f[4];

	(void)state;
	offers_init(&o, 10, 10);
	for (int i = 0; i < 4; i++)
		f[i] = add(&o, 10 + i);
	offers_return(&o, f[3]);
	offers_return(&o, f[1]);
	assert_ptr_equal(offers_again(&o), f[1]);
	assert_ptr_equal(offers_again(&o), f[3]);
	dropped = 0;
	offers_clear(&o, drop);
	assert_int_equal(dropped, 4);
	assert_int_equal(offers_commit(&o), 10);
}

/* Marks of transactions, and what was aborted. */
static void
test_passes_over_what_has_no_messages(void **state)
{
	struct offers o;
	struct offer *a, *b;
	uint64_t changes;

	(void)state;
	offers_init(&o, 7, 20);
	offers_pass(&o, 9);
	assert_int_equal(offers_commit(&o), 9);
	a = add(&o, 9);
	b = add(&o, 11);
	offers_pend(&o, b, 1);
	offers_pass(&o, 15);
	assert_int_equal(offers_commit(&o), 9);
	assert_ranges(&o, "BBBD");
	offers_confirm(&o, a);
	assert_int_equal(offers_commit(&o), 11);
	assert_int_equal(ack(&o, 17), OFFERS_DONE);
	assert_int_equal(ack(&o, 11), OFFERS_DONE);
	assert_int_equal(offers_commit(&o), 15);
	assert_int_equal(ack(&o, 14), OFFERS_AGAIN);
	changes = o.changes;
	offers_pass(&o, 15);
	offers_pass(&o, 9);
	assert_int_equal(o.changes, changes);
	/* Up to what was acknowledged before it was read, and into it. */
	offers_pass(&o, 17);
	assert_int_equal(offers_commit(&o), 18);
	offers_pass(&o, 19);
	assert_int_equal(offers_commit(&o), 19);
	assert_ranges(&o, "");
	offers_clear(&o, drop);
}

static void
test_bounds(void **state)
{
	struct offers o;

	(void)state;
	offers_init(&o, 0, 0);
	for (int i = 0; i < OFFERS_MAX; i++) {
		assert_false(offers_full(&o));
		offers_pend(&o, add(&o, i), 1);
	}
	assert_true(offers_full(&o));
	assert_int_equal(ack(&o, 500), OFFERS_DONE);
	assert_false(offers_full(&o));
	/* What is done takes no room, whatever it waits for. */
	for (int i = 0; i < 10 * OFFERS_MAX; i++)
		offers_confirm(&o, add(&o, OFFERS_MAX + i));
	assert_false(offers_full(&o));
	assert_int_equal(offers_commit(&o), 0);
	offers_clear(&o, drop);
	offers_init(&o, 0, 0);
	offers_add(&o, 0, &token, OFFERS_BYTES_MAX);
	assert_true(offers_full(&o));
	offers_clear(&o, drop);
}

/* In the order of their deadlines, and each once. */
static void
test_expiry(void **state)
{
	struct offers o;
	struct offer *f[3];

	(void)state;
	offers_init(&o, 0, 0);
	for (int i = 0; i < 3; i++)
		f[i] = add(&o, i);
	offers_pend(&o, f[2], 100);
	offers_pend(&o, f[0], 200);
	offers_pend(&o, f[1], 200);
	assert_int_equal(offers_expire(&o, 99), 0);
	assert_int_equal(offers_expire(&o, 100), 1);
	assert_ptr_equal(offers_again(&o), f[2]);
	assert_int_equal(ack(&o, 0), OFFERS_DONE);
	assert_int_equal(ack(&o, 0), OFFERS_AGAIN);
	assert_int_equal(offers_expire(&o, 1000), 1);
	assert_int_equal(ack(&o, 1), OFFERS_DONE);	/* late */
	assert_null(offers_again(&o));
	assert_int_equal(offers_commit(&o), 2);
	assert_int_equal(ack(&o, 2), OFFERS_DONE);	/* late, and out again */
	assert_int_equal(o.n + o.out + o.pending + o.returned + o.bytes, 0);
	assert_int_equal(ack(&o, 3), OFFERS_NEVER);
	assert_int_equal(ack(&o, INT64_MAX), OFFERS_NEVER);
}

/* A new owner knows what the one before had handed out only by where it ended. */
static void
test_acknowledged_before_it_is_read(void **state)
{
	const struct sparse_range v[] = { { 12, 14 }, { 16, 17 } };
	struct offers o;

	(void)state;
	offers_init(&o, 10, 20);
	assert_true(offers_restore(&o, v, 2));
	assert_ranges(&o, "CCCB");
	assert_int_equal(ack(&o, 13), OFFERS_AGAIN);
	assert_int_equal(ack(&o, 15), OFFERS_DONE);
	assert_int_equal(ack(&o, 14), OFFERS_DONE);
	assert_ranges(&o, "CF");
	assert_int_equal(ack(&o, 10), OFFERS_DONE);
	assert_int_equal(offers_commit(&o), 11);
	assert_int_equal(ack(&o, 11), OFFERS_DONE);
	assert_int_equal(offers_commit(&o), 17);
	assert_ranges(&o, "");
	for (int i = 10; i < 17; i++)
		assert_true(offers_skip(&o, i));
	assert_false(offers_skip(&o, 17));
	assert_int_equal(offers_commit(&o), 17);
	assert_int_equal(ack(&o, 20), OFFERS_NEVER);
	offers_clear(&o, drop);
	/* Ranges past the end were never handed out: somebody's text that looks like some. */
	offers_init(&o, 10, 16);
	assert_false(offers_restore(&o, v, 2));
	assert_ranges(&o, "");
	offers_clear(&o, drop);
}

static void
test_too_many_ranges_leave_out_the_highest(void **state)
{
	static struct sparse_range got[SPARSE_MAX];
	struct sparse_text t;
	struct offers o;
	size_t n;

	(void)state;
	offers_init(&o, 0, 3 * SPARSE_MAX);
	for (int i = 0; i < SPARSE_MAX; i++)
		assert_int_equal(ack(&o, 2 * i + 1), OFFERS_DONE);
	assert_int_equal(ack(&o, 2 * SPARSE_MAX + 1), OFFERS_FULL);
	assert_int_equal(ack(&o, 2 * SPARSE_MAX), OFFERS_DONE);
	offers_ranges(&o, &t);
	assert_true(t.n <= METADATA_MAX);
	offers_clear(&o, drop);
	/* A thousand ranges, each long and far from the next. */
	offers_init(&o, 0, 0);
	for (int64_t i = 0; i < OFFERS_MAX; i++) {
		add(&o, i << 32);
		offers_confirm(&o, add(&o, (i << 32) + (1 << 30)));
	}
	offers_ranges(&o, &t);
	assert_in_range(t.n, METADATA_MAX - 20, METADATA_MAX);
	assert_err(sparse_decode(kp_slice_str(t.p), 0, got, &n), KP_OK);
	assert_int_equal(got[0].from, 1);
	assert_int_equal(n, METADATA_MAX / 8);
	offers_clear(&o, drop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_lowest_unconfirmed_holds),
		cmocka_unit_test(test_returned_come_back_lowest_first),
		cmocka_unit_test(test_passes_over_what_has_no_messages),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_acknowledged_before_it_is_read),
		cmocka_unit_test(test_too_many_ranges_leave_out_the_highest),
	};

	unit_filter();
	return cmocka_run_group_tests_name("offers", tests, NULL, NULL);
}
