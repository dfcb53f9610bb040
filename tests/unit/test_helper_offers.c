/* Offers against a model that knows nothing but arrays: what may be committed is
 * the lowest offset that was not confirmed. */
#include "helper/consume/offers.h"
#include "tests/unit/unit.h"

static int dropped;

static void
drop(void *message)
{
	(void)message;
	dropped++;
}

static char token;

static void
test_in_order(void **state)
{
	struct offers o;
	struct offer *a, *b;

	(void)state;
	offers_init(&o, 7);
	assert_int_equal(offers_commit(&o), 7);
	a = offers_add(&o, 7, &token);
	b = offers_add(&o, 9, &token);	/* 8 was compacted away */
	assert_int_equal(offers_commit(&o), 7);
	assert_ptr_equal(offers_confirm(&o, a), &token);
	assert_int_equal(offers_commit(&o), 8);
	assert_ptr_equal(offers_confirm(&o, b), &token);
	assert_int_equal(offers_commit(&o), 10);
	assert_int_equal(o.n, 0);
}

static void
test_lowest_unconfirmed_holds(void **state)
{
	struct offers o;
	struct offer *f[3];

	(void)state;
	offers_init(&o, 0);
	for (int i = 0; i < 3; i++)
		f[i] = offers_add(&o, i, &token);
	offers_confirm(&o, f[2]);
	offers_confirm(&o, f[1]);
	assert_int_equal(offers_commit(&o), 0);
	offers_return(&o, f[0]);
	assert_int_equal(offers_commit(&o), 0);
	assert_ptr_equal(offers_again(&o), f[0]);
	assert_null(offers_again(&o));
	offers_confirm(&o, f[0]);
	assert_int_equal(offers_commit(&o), 3);
}

static void
test_returned_come_back_lowest_first(void **state)
{
	struct offers o;
	struct offer *f[4];

	(void)state;
	offers_init(&o, 10);
	for (int i = 0; i < 4; i++)
		f[i] = offers_add(&o, 10 + i, &token);
	offers_return(&o, f[3]);
	offers_return(&o, f[1]);
	assert_ptr_equal(offers_again(&o), f[1]);
	assert_ptr_equal(offers_again(&o), f[3]);
	dropped = 0;
	offers_clear(&o, drop);
	assert_int_equal(dropped, 4);
	assert_int_equal(offers_commit(&o), 10);
}

static void
test_bound(void **state)
{
	struct offers o;
	struct offer *first;

	(void)state;
	offers_init(&o, 0);
	first = offers_add(&o, 0, &token);
	for (int i = 1; i < OFFERS_MAX; i++) {
		assert_false(offers_full(&o));
		offers_confirm(&o, offers_add(&o, i, &token));
	}
	assert_true(offers_full(&o));	/* all wait for the first */
	offers_confirm(&o, first);
	assert_false(offers_full(&o));
	assert_int_equal(offers_commit(&o), OFFERS_MAX);
}

#define MODEL 200

static int64_t
model_commit(const enum offer_state *s, int n)
{
	for (int i = 0; i < n; i++)
		if (s[i] != OFFER_CONFIRMED)
			return i;
	return n;
}

static void
test_against_model(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 500; round++) {
		enum offer_state s[MODEL];
		struct offer *f[MODEL];
		struct offers o;
		int n = 0;

		offers_init(&o, 0);
		for (int step = 0; step < 1000; step++) {
			int i = n ? rand() % n : 0;
			struct offer *again;

			switch (rand() % 4) {
			case 0:
				if (n < MODEL) {
					f[n] = offers_add(&o, n, &token);
					s[n++] = OFFER_OUT;
				}
				break;
			case 1:
				if (n && s[i] == OFFER_OUT) {
					s[i] = OFFER_CONFIRMED;
					offers_confirm(&o, f[i]);
				}
				break;
			case 2:
				if (n && s[i] == OFFER_OUT) {
					s[i] = OFFER_RETURNED;
					offers_return(&o, f[i]);
				}
				break;
			default:
				for (i = 0; i < n && s[i] != OFFER_RETURNED; i++)
					;
				again = offers_again(&o);
				assert_true((i == n) == (again == NULL));
				if (again) {
					assert_int_equal(again->offset, i);
					s[i] = OFFER_OUT;
				}
			}
			assert_int_equal(offers_commit(&o), model_commit(s, n));
		}
		offers_clear(&o, drop);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_lowest_unconfirmed_holds),
		cmocka_unit_test(test_returned_come_back_lowest_first),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests_name("offers", tests, NULL, NULL);
}
