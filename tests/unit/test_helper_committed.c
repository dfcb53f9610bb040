/* What a commit says of a partition, and what Kafka's answer to it means. */
#include "common/err.h"
#include "helper/consume/committed.h"
#include "tests/unit/unit.h"

static char token;

static void
drop(void *message)
{
	(void)message;
}

static void
done(struct offers *o, int64_t offset)
{
	offers_confirm(o, offers_add(o, offset, &token, 1));
}

static void
begin(struct committed *c, struct offers *o, int64_t offset, const char *metadata, bool ours)
{
	committed_init(c);
	offers_init(o, offset, offset + 100);
	assert_int_equal(committed_start(c, o, offset, metadata, 1000), ours);
}

static void
end(struct committed *c, struct offers *o)
{
	offers_clear(o, drop);
	committed_free(c);
}

static void
assert_metadata(const struct committed *c, const struct offers *o, bool plain, const char *want)
{
	struct sparse_text room;
	struct kp_slice text = committed_metadata(c, o, plain, &room);

	assert_true(kp_slice_eq(text, kp_slice_str(want)));
}

/* Only what was sent counts as committed, not what has changed since. */
static void
test_taken(void **state)
{
	struct committed c;
	struct offers o;

	(void)state;
	begin(&c, &o, 7, NULL, true);
	assert_false(committed_is_old(&c, &o));
	done(&o, 7);
	assert_true(committed_is_old(&c, &o));
	assert_false(committed_is_sent(&c));
	assert_int_equal(committed_send(&c, &o), 8);
	assert_true(committed_is_sent(&c));
	done(&o, 8);
	committed_done(&c, &o, true, 2000);
	assert_int_equal(c.offset, 8);
	assert_int_equal(c.since_ms, 2000);
	assert_false(committed_is_sent(&c));
	assert_true(committed_is_old(&c, &o));
	committed_send(&c, &o);
	committed_done(&c, &o, true, 3000);
	assert_int_equal(c.offset, 9);
	assert_false(committed_is_old(&c, &o));
	end(&c, &o);
}

static void
test_not_taken(void **state)
{
	struct committed c;
	struct offers o;

	(void)state;
	begin(&c, &o, 7, NULL, true);
	done(&o, 7);
	committed_send(&c, &o);
	committed_done(&c, &o, false, 2000);
	assert_int_equal(c.offset, 7);
	assert_int_equal(c.since_ms, 1000);
	assert_false(committed_is_sent(&c));
	assert_true(committed_is_old(&c, &o));
	committed_send(&c, &o);
	committed_unsend(&c);
	committed_done(&c, &o, true, 2000);
	assert_int_equal(c.offset, 7);
	end(&c, &o);
}

/* What is done out of order stands beside the offset, and is done in the next life. */
static void
test_ranges(void **state)
{
	struct committed c;
	struct offers o;

	(void)state;
	begin(&c, &o, 301, "BDCC", true);
	assert_false(committed_is_old(&c, &o));
	assert_metadata(&c, &o, false, "BDCC");
	assert_metadata(&c, &o, true, "");
	done(&o, 301);
	assert_int_equal(committed_send(&c, &o), 305);
	assert_metadata(&c, &o, false, "CC");
	committed_done(&c, &o, true, 2000);
	end(&c, &o);
}

/* A change of ranges alone is worth a commit. */
static void
test_a_range_is_a_change(void **state)
{
	struct committed c;
	struct offers o;
	struct offer *first;

	(void)state;
	begin(&c, &o, 7, NULL, true);
	first = offers_add(&o, 7, &token, 1);
	done(&o, 8);
	assert_int_equal(offers_commit(&o), 7);
	assert_true(committed_is_old(&c, &o));
	assert_int_equal(committed_send(&c, &o), 7);
	assert_metadata(&c, &o, false, "BB");
	done(&o, 9);			/* too late for this one */
	committed_done(&c, &o, true, 2000);
	assert_true(committed_is_old(&c, &o));
	assert_int_equal(committed_send(&c, &o), 7);
	assert_metadata(&c, &o, false, "BC");
	committed_done(&c, &o, true, 2000);
	assert_false(committed_is_old(&c, &o));
	offers_return(&o, first);
	end(&c, &o);
}

/* It stays beside its offset, also when that is committed once more, and no longer. */
static void
test_text_of_a_user(void **state)
{
	struct committed c;
	struct offers o;

	(void)state;
	begin(&c, &o, 7, "their own", false);
	assert_false(committed_is_old(&c, &o));
	assert_metadata(&c, &o, false, "their own");
	assert_metadata(&c, &o, true, "their own");
	committed_send(&c, &o);
	committed_done(&c, &o, true, 2000);
	assert_metadata(&c, &o, false, "their own");
	done(&o, 7);
	assert_metadata(&c, &o, false, "");
	committed_send(&c, &o);
	assert_non_null(c.metadata);
	committed_done(&c, &o, true, 3000);
	assert_null(c.metadata);
	assert_metadata(&c, &o, false, "");
	end(&c, &o);
}

/* It starts again, where nobody has put a text. */
static void
test_started_anew(void **state)
{
	struct committed c;
	struct offers o;

	(void)state;
	begin(&c, &o, 7, "their own", false);
	offers_clear(&o, drop);
	offers_init(&o, 20, 20);
	assert_true(committed_start(&c, &o, 20, NULL, 4000));
	assert_int_equal(c.offset, 20);
	assert_metadata(&c, &o, false, "");
	assert_false(committed_is_old(&c, &o));
	end(&c, &o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_not_taken),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_a_range_is_a_change),
		cmocka_unit_test(test_text_of_a_user),
		cmocka_unit_test(test_started_anew),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
