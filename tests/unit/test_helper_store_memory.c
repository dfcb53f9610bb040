/* The store of durability `memory`: it keeps nothing, counts, and has no limits. */
#include <unistd.h>

#include "tests/unit/store_fixture.h"

static int
open_memory(void **state)
{
	return setup(state) ? -1 : (int)store_open(fx.loop, fx.path, DURABLE_MEMORY, &fx.s);
}

/* At once. */
static enum kp_err
run(enum store_verb verb, int64_t id)
{
	struct store_cmd cmd = { .verb = verb, .done = note_done, .reason = "r", .row = {
	    .id = id, .was = id, .topic = LIT("t"), .value = LIT("v") } };
	int done = fx.done;

	store_submit(fx.s, &cmd);
	assert_int_equal(fx.done, done + 1);
	assert_false(store_cancel(fx.s, &cmd));
	return fx.err;
}

static void
assert_counts(int64_t accepted, int64_t delivered, int64_t dropped, int64_t pending)
{
	struct store_stats st;

	store_stats(fx.s, &st);
	assert_int_equal(st.counts.accepted, accepted);
	assert_int_equal(st.counts.delivered, delivered);
	assert_int_equal(st.counts.dropped, dropped);
	assert_int_equal(st.counts.pending, pending);
	assert_int_equal(st.counts.dead, 0);
	assert_int_equal(st.free_bytes, -1);
	assert_null(st.trouble);
}

static void
test_commands_are_counted_at_once(void **state)
{
	(void)state;
	assert_false(store_keeps(fx.s));
	assert_counts(0, 0, 0, 0);
	for (int64_t id = 1; id <= 4; id++)
		assert_err(run(STORE_APPEND, id), KP_OK);
	assert_counts(4, 0, 0, 4);
	assert_err(run(STORE_REMOVE, 1), KP_OK);
	assert_err(run(STORE_BURY, 2), KP_OK);
	assert_err(run(STORE_REFUSE, 3), KP_OK);
	assert_counts(3, 1, 1, 1);
	assert_err(run(STORE_REVIVE, 2), KP_ENOTFOUND);
	assert_err(run(STORE_DROP, 2), KP_ENOTFOUND);
	store_count_direct(fx.s);
	assert_counts(4, 2, 1, 1);
	assert_int_equal(store_finish(fx.s), 0);
}

static void
note_asked(struct store_ask *ask)
{
	fx.asked = ask;
}

static void
note_topic(void *arg, const char *topic)
{
	(void)arg, (void)topic;
	fx.done++;
}

static void
test_nothing_is_found(void **state)
{
	int64_t id = 1;
	struct store_ask ask = { .question = STORE_FIND, .ids = &id, .n_ids = 1, .max_rows = 1,
	    .max_bytes = 1, .done = note_asked };

	(void)state;
	assert_err(run(STORE_APPEND, id), KP_OK);
	store_ask(fx.s, &ask);
	assert_ptr_equal(fx.asked, &ask);
	assert_err(ask.err, KP_OK);
	assert_null(ask.rows);
	fx.done = 0;
	store_each_topic(fx.s, note_topic, NULL);
	assert_int_equal(fx.done, 0);
	assert_int_not_equal(access(fx.path, F_OK), 0);
}

static void
test_there_are_no_limits(void **state)
{
	(void)state;
	store_set_limits(fx.s, 1, UINT64_MAX);
	assert_int_equal(store_max_bytes(fx.s), 0);
	assert_err(run(STORE_APPEND, 1), KP_OK);
	assert_null(store_refuses(fx.s, LIT("t"), 1 << 20));
	assert_int_equal(store_bytes(fx.s), 0);
	assert_int_equal(store_topic_bytes(fx.s, LIT("t")), 0);
}

/* One after the other, and told in a way of this store alone. */
static void
test_ids(void **state)
{
	struct store *other;

	(void)state;
	assert_int_equal(store_next_id(fx.s), IDS_FIRST);
	assert_int_equal(store_next_id(fx.s), IDS_FIRST + 1);
	assert_err(store_open(fx.loop, fx.path, DURABLE_MEMORY, &other), KP_OK);
	assert_memory_not_equal(store_ids(fx.s), store_ids(other), sizeof(struct ids));
	store_close(other);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_memory, teardown)
	const struct CMUnitTest tests[] = {
		T(test_commands_are_counted_at_once),
		T(test_nothing_is_found),
		T(test_there_are_no_limits),
		T(test_ids),
	};

	unit_filter();
	return cmocka_run_group_tests_name("store_memory", tests, NULL, NULL);
}
