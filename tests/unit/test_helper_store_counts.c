/*
 * The store's counters add up after every command and every reopening, a store of
 * an earlier version is brought up to today's, and a row that is not what was
 * written is never taken for it.
 */
#include <sqlite3.h>
#include <stdio.h>

#include "common/log.h"
#include "tests/unit/store_fixture.h"

static void
open_store(void)
{
	assert_int_equal(store_open(fx.loop, fx.path, DURABLE_FSYNC, &fx.s), KP_OK);
}

/* One command, alone in its transaction. */
static enum kp_err
run(enum store_verb verb, int64_t id, int64_t was, const char *topic, const char *value)
{
	struct store_cmd c = { .verb = verb, .done = note_done, .reason = "too large",
	    .row = { .id = id, .was = was, .accepted_ms = 5, .attempts = verb == STORE_BURY,
	    .topic = kp_slice_str(topic), .key = LIT("k"), .value = kp_slice_str(value) } };
	int before = fx.done;

	store_submit(fx.s, &c);
	while (fx.done == before)
		uv_run(loop_uv(fx.loop), UV_RUN_ONCE);
	return fx.err;
}

static void
note_asked(struct store_ask *ask)
{
	fx.asked = ask;
}

/* The caller frees ask->rows. */
static void
ask(struct store_ask *a)
{
	a->done = note_asked;
	a->max_bytes = 1 << 20;
	if (a->max_rows == 0)
		a->max_rows = 100;
	fx.asked = NULL;
	store_ask(fx.s, a);
	while (fx.asked == NULL)
		uv_run(loop_uv(fx.loop), UV_RUN_ONCE);
	assert_int_equal(a->err, KP_OK);
}

static void
assert_counts(int64_t accepted, int64_t delivered, int64_t pending, int64_t dead,
    int64_t dropped)
{
	struct store_stats st;

	store_stats(fx.s, &st);
	assert_int_equal(st.counts.accepted, accepted);
	assert_int_equal(st.counts.delivered, delivered);
	assert_int_equal(st.counts.pending, pending);
	assert_int_equal(st.counts.dead, dead);
	assert_int_equal(st.counts.dropped, dropped);
	assert_int_equal(accepted, delivered + pending + dead + dropped);
}

static void
test_counters_follow_every_command(void **state)
{
	(void)state;
	open_store();
	assert_counts(0, 0, 0, 0, 0);
	for (int64_t id = 1; id <= 6; id++)
		assert_err(run(STORE_APPEND, id, 0, id % 2 ? "odd" : "even", "v"), KP_OK);
	assert_counts(6, 0, 6, 0, 0);
	assert_err(run(STORE_REMOVE, 1, 0, NULL, NULL), KP_OK);
	assert_err(run(STORE_REFUSE, 2, 0, NULL, NULL), KP_OK);
	assert_err(run(STORE_BURY, 3, 0, NULL, NULL), KP_OK);
	assert_err(run(STORE_BURY, 4, 0, NULL, NULL), KP_OK);
	assert_counts(5, 1, 2, 2, 0);
	assert_err(run(STORE_DROP, 4, 0, NULL, NULL), KP_OK);
	assert_err(run(STORE_REVIVE, 7, 3, NULL, NULL), KP_OK);
	assert_counts(5, 1, 3, 0, 1);
	store_count_direct(fx.s);
	assert_counts(6, 2, 3, 0, 1);
	/* What is not there changes nothing. */
	assert_err(run(STORE_REMOVE, 1, 0, NULL, NULL), KP_ENOTFOUND);
	assert_err(run(STORE_DROP, 4, 0, NULL, NULL), KP_ENOTFOUND);
	assert_err(run(STORE_REVIVE, 8, 4, NULL, NULL), KP_ENOTFOUND);
	assert_counts(6, 2, 3, 0, 1);
	close_store();
	open_store();
	assert_counts(6, 2, 3, 0, 1);
}

static void
test_a_dead_letter_keeps_its_id(void **state)
{
	const int64_t id = 1;
	struct store_ask find = { .question = STORE_FIND, .ids = &id, .n_ids = 1 };

	(void)state;
	open_store();
	assert_err(run(STORE_APPEND, 1, 0, "t", "v"), KP_OK);
	for (unsigned times = 1; times <= 3; times++) {
		assert_err(run(STORE_BURY, times == 1 ? 1 : 10 + times, 0, NULL, NULL), KP_OK);
		ask(&find);
		assert_non_null(find.rows);
		assert_true(find.rows->dead);
		assert_int_equal(find.rows->row.id, 1);
		assert_int_equal(find.rows->row.attempts, times);
		assert_string_equal(find.rows->reason, "too large");
		store_loaded_free(find.rows);
		assert_err(run(STORE_REVIVE, 11 + times, 1, NULL, NULL), KP_OK);
		ask(&find);
		assert_false(find.rows->dead);
		assert_int_equal(find.rows->row.was, 1);
		store_loaded_free(find.rows);
	}
}

static void
test_rows_are_listed_page_by_page(void **state)
{
	struct store_ask list = { .question = STORE_LIST, .max_rows = 4 };
	int64_t seen = 0;

	(void)state;
	open_store();
	for (int64_t id = 1; id <= 10; id++)
		assert_err(run(STORE_APPEND, id, 0, id % 2 ? "odd" : "even", "v"), KP_OK);
	do {
		ask(&list);
		for (struct store_loaded *l = list.rows; l; l = l->next) {
			assert_int_equal(l->row.id, ++seen);
			assert_null(l->row.value.p);
			assert_int_equal(l->value_bytes, 1);
			list.after = l->row.id;
		}
		store_loaded_free(list.rows);
	} while (list.rows);
	assert_int_equal(seen, 10);
	list = (struct store_ask){ .question = STORE_LIST, .topic = "odd", .bodies = true };
	ask(&list);
	seen = 0;
	for (struct store_loaded *l = list.rows; l; l = l->next, seen++)
		assert_true(l->row.id % 2 == 1 && kp_slice_eq(l->row.value, LIT("v")));
	assert_int_equal(seen, 5);
	store_loaded_free(list.rows);
}

static void
sql(const char *text)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(fx.path, &db), SQLITE_OK);
	sqlite3_exec(db, text, NULL, NULL, &why);
	if (why)
		fail_msg("%s", why);
	sqlite3_close(db);
}

static void
test_version_1_is_upgraded(void **state)
{
	struct store_ask load = { .question = STORE_LOAD, .topic = "foo" };
	struct store_ask dead = { .question = STORE_LIST, .dead = true };

	(void)state;
	sql("CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	    "CREATE TABLE pending (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
	    " accepted_ms INTEGER NOT NULL, key BLOB, value BLOB NOT NULL);"
	    "CREATE INDEX pending_topic ON pending (topic, id);"
	    "CREATE TABLE dead (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
	    " accepted_ms INTEGER NOT NULL, key BLOB, value BLOB NOT NULL,"
	    " buried_ms INTEGER NOT NULL, reason TEXT NOT NULL);"
	    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	    "INSERT INTO meta VALUES ('boots', 3);"
	    "INSERT INTO topic VALUES (1, 'foo'), (2, 'bar'), (3, 'empty');"
	    "INSERT INTO pending VALUES (11, 1, 1000, NULL, x'0102'), (12, 2, 1000, x'', x'03'),"
	    " (13, 1, 1000, x'6b', x'');"
	    "INSERT INTO dead VALUES (10, 2, 1000, NULL, x'03', 2000, 'too large');"
	    "PRAGMA user_version = 1;");
	open_store();
	assert_counts(4, 0, 3, 1, 0);
	assert_true(store_next_id(fx.s) > INT64_C(4) << 36);
	ask(&load);
	assert_int_equal(load.rows->row.id, 11);
	assert_false(load.rows->damaged);
	assert_null(load.rows->row.key.p);
	assert_true(kp_slice_eq(load.rows->row.value, LIT("\x01\x02")));
	assert_int_equal(load.rows->next->row.id, 13);
	assert_null(load.rows->next->next);
	store_loaded_free(load.rows);
	ask(&dead);
	assert_int_equal(dead.rows->row.id, 10);
	assert_int_equal(dead.rows->buried_ms, 2000);
	assert_string_equal(dead.rows->reason, "too large");
	store_loaded_free(dead.rows);
	assert_err(run(STORE_REMOVE, 11, 0, NULL, NULL), KP_OK);
	assert_counts(4, 1, 2, 1, 0);
}

/* Version 2 told ids as they are, and its names of long ago are no topics. */
static void
test_version_2_is_upgraded(void **state)
{
	const int64_t told = (INT64_C(4) << 36) + 1;
	struct store_ask load = { .question = STORE_LOAD, .topic = "foo" };
	struct store_ask find = { .question = STORE_FIND, .ids = &told, .n_ids = 1 };

	(void)state;
	open_store();
	assert_err(run(STORE_APPEND, told, 0, "foo", "v"), KP_OK);
	assert_err(run(STORE_APPEND, told + 1, 0, "foo", "dead"), KP_OK);
	assert_err(run(STORE_BURY, told + 1, 0, NULL, NULL), KP_OK);
	close_store();
	sql("DROP TABLE ids; ALTER TABLE topic DROP COLUMN dead_bytes;"
	    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	    "INSERT INTO meta VALUES ('boots', 4);"
	    "INSERT INTO topic (name) VALUES ('empty');"
	    "PRAGMA user_version = 2;");
	open_store();
	assert_counts(2, 0, 1, 1, 0);
	ask(&load);
	assert_int_equal(load.rows->row.id, told);
	assert_false(load.rows->damaged);
	store_loaded_free(load.rows);
	assert_int_equal(ids_row(store_ids(fx.s), told), told);
	assert_int_equal(ids_told(store_ids(fx.s), told), told);
	ask(&find);
	assert_non_null(find.rows);
	store_loaded_free(find.rows);
	assert_true(store_next_id(fx.s) > told);
	assert_int_equal(store_topic_bytes(fx.s, LIT("foo")), 2 + 5);
	assert_err(run(STORE_APPEND, store_next_id(fx.s), 0, "foo", "new"), KP_OK);
	assert_counts(3, 0, 2, 1, 0);
}

static void
test_a_newer_version_is_refused(void **state)
{
	(void)state;
	open_store();
	close_store();
	sql("PRAGMA user_version = 9;");
	assert_err(store_open(fx.loop, fx.path, DURABLE_FSYNC, &fx.s), KP_EIO);
	assert_null(fx.s);
}

/* One bit of a value, under SQLite, which notices nothing. */
static void
test_a_changed_row_is_seen(void **state)
{
	struct store_ask load = { .question = STORE_LOAD, .topic = "t" };

	(void)state;
	open_store();
	assert_err(run(STORE_APPEND, 1, 0, "t", "as it was written"), KP_OK);
	assert_err(run(STORE_APPEND, 2, 0, "t", "another"), KP_OK);
	close_store();
	sql("UPDATE pending SET value = x'61732069742077617320777269747465ff' WHERE id = 1;");
	open_store();
	ask(&load);
	assert_true(load.rows->damaged);
	assert_false(load.rows->next->damaged);
	store_loaded_free(load.rows);
}

/* Numbers that would overflow: the rows are kept, the numbers are made anew. */
static void
test_numbers_that_cannot_be(void **state)
{
	static const char *const wrongs[] = {
		"UPDATE ids SET next = 9223372036854775807;",
		"UPDATE ids SET next = -1;",
		"UPDATE ids SET next = next - 1;",
		"UPDATE ids SET key = zeroblob(16);",
		"DELETE FROM ids;",
		"DROP TABLE ids;",
		"UPDATE topic SET dead_bytes = -1;",
		"UPDATE counts SET delivered = 9223372036854775807, dropped = 9223372036854775807;",
		"UPDATE topic SET pending = -9223372036854775807 - 1;",
		"UPDATE topic SET pending_bytes = 9223372036854775807;",
	};

	(void)state;
	open_store();
	assert_err(run(STORE_APPEND, store_next_id(fx.s), 0, "t", "kept"), KP_OK);
	close_store();
	for (size_t i = 0; i < COUNT(wrongs); i++) {
		struct store_ask load = { .question = STORE_LOAD, .topic = "t" };

		sql(wrongs[i]);
		open_store();
		assert_counts(1, 0, 1, 0, 0);
		ask(&load);
		assert_true(load.rows && kp_slice_eq(load.rows->row.value, LIT("kept")));
		assert_true(store_next_id(fx.s) > load.rows->row.id);
		store_loaded_free(load.rows);
		close_store();
	}
	open_store();
}

static void
test_a_view_is_refused(void **state)
{
	(void)state;
	open_store();
	close_store();
	sql("DROP TABLE topic; CREATE VIEW topic AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL"
	    " SELECT x + 1 FROM c) SELECT x AS id, x AS name FROM c;");
	assert_err(store_open(fx.loop, fx.path, DURABLE_FSYNC, &fx.s), KP_EIO);
	assert_null(fx.s);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_counters_follow_every_command),
		T(test_a_dead_letter_keeps_its_id),
		T(test_rows_are_listed_page_by_page),
		T(test_version_1_is_upgraded),
		T(test_version_2_is_upgraded),
		T(test_a_newer_version_is_refused),
		T(test_numbers_that_cannot_be),
		T(test_a_view_is_refused),
		T(test_a_changed_row_is_seen),
	};

	log_init("test", LOG_ERROR);
	unit_filter();
	return cmocka_run_group_tests_name("store counts", tests, NULL, NULL);
}
