/*
 * Ids are never given twice, whatever happens to the process, and whoever has some can
 * tell no others.
 */
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "common/log.h"
#include "helper/store/store_thread.h"
#include "tests/unit/store_fixture.h"

#define MANY 20000

static void
open_store(const char *path)
{
	assert_int_equal(store_open(fx.loop, path, DURABLE_OS, &fx.s), KP_OK);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
assert_all_differ(int64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	for (size_t i = 1; i < n; i++)
		assert_true(v[i] != v[i - 1]);
}

/* Without a store of its own: the key alone. */
static void
test_told_and_back(void **state)
{
	static const int64_t edges[] = { 1, IDS_FIRST - 1, IDS_FIRST, IDS_FIRST + 1,
	    IDS_FIRST + IDS_RESERVE, IDS_END - 1, IDS_END, INT64_MAX };
	struct ids ids;

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_err(ids_new(&ids), KP_OK);
		for (size_t k = 0; k < COUNT(edges); k++) {
			int64_t told = ids_told(&ids, edges[k]);

			assert_true(told > 0);
			assert_int_equal(ids_row(&ids, told), edges[k]);
			/* what was told before the key was there, and what no row has */
			if (edges[k] < IDS_FIRST || edges[k] >= IDS_END)
				assert_int_equal(told, edges[k]);
			else
				assert_in_range(told, IDS_FIRST, IDS_END - 1);
		}
	}
}

/* Of ids given one after the other: no two alike, no two the same step apart, each bit
 * as often set as not, and next to each there is none. */
static void
test_nobody_tells_the_next_one(void **state)
{
	static int64_t told[MANY], steps[MANY];
	unsigned bits[61] = { 0 }, up = 0;
	struct ids ids;

	(void)state;
	assert_err(ids_new(&ids), KP_OK);
	for (size_t i = 0; i < MANY; i++) {
		told[i] = ids_told(&ids, IDS_FIRST + (int64_t)i);
		steps[i] = i ? told[i] - told[i - 1] : 0;
		up += i && told[i] > told[i - 1];
		for (unsigned b = 0; b < 61; b++)
			bits[b] += told[i] >> b & 1;
	}
	assert_in_range(up, MANY * 45 / 100, MANY * 55 / 100);
	for (unsigned b = 0; b < 61; b++)
		assert_in_range(bits[b], MANY * 45 / 100, MANY * 55 / 100);
	assert_all_differ(steps, MANY);
	assert_all_differ(told, MANY);
	for (size_t i = 1; i < MANY; i++)
		assert_true(told[i] - told[i - 1] > 1000);
}

/* What one process has told is nothing in another. */
static void
test_another_key_tells_others(void **state)
{
	static int64_t told[3 * MANY];
	struct ids ids;

	(void)state;
	for (size_t i = 0; i < 3 * MANY; i++) {
		if (i % MANY == 0)
			assert_err(ids_new(&ids), KP_OK);
		told[i] = ids_told(&ids, IDS_FIRST + (int64_t)(i % MANY));
		if (i >= MANY)
			assert_true(ids_row(&ids, told[i - MANY]) - IDS_FIRST > MANY);
	}
	assert_all_differ(told, 3 * MANY);
}

static void
note_kept(struct store_cmd *cmd, enum kp_err err)
{
	(void)cmd;
	assert_err(err, KP_OK);
	fx.done++;
}

static int64_t
append(void)
{
	struct store_cmd c = { .verb = STORE_APPEND, .done = note_kept, .row = {
	    .id = store_next_id(fx.s), .topic = LIT("t"), .value = LIT("v") } };
	int before = fx.done;

	store_submit(fx.s, &c);
	while (fx.done == before)
		uv_run(loop_uv(fx.loop), UV_RUN_ONCE);
	return c.row.id;
}

/* The files as they are now, as another store. */
static void
open_copy(void)
{
	char cmd[400], path[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s/copy && mkdir -m 700 %s/copy && cp %s/s.db* %s/copy",
	    fx.dir, fx.dir, fx.dir, fx.dir);
	assert_int_equal(system(cmd), 0);
	close_store();
	snprintf(path, sizeof(path), "%s/copy/s.db", fx.dir);
	open_store(path);
}

static void
test_told_alike_after_a_restart(void **state)
{
	int64_t row, told;

	(void)state;
	open_store(fx.path);
	row = append();
	told = ids_told(store_ids(fx.s), row);
	close_store();
	open_store(fx.path);
	assert_int_equal(ids_told(store_ids(fx.s), row), told);
	assert_int_equal(ids_row(store_ids(fx.s), told), row);
	assert_true(store_next_id(fx.s) > row);
}

static void
sql(const char *text)
{
	sqlite3 *db;

	close_store();
	assert_int_equal(sqlite3_open(fx.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	open_store(fx.path);
}

/* In the new file ids are told as in the old one. Where it cannot be known how that was,
 * in a way of their own; but ids of rows are larger than all that there are. */
static void
test_a_damaged_file_keeps_its_key(void **state)
{
	static const struct { const char *sql; bool known; } damages[] = {
		{ "UPDATE counts SET delivered = -1", true },
		{ "UPDATE ids SET next = next - 1", false },
		{ "UPDATE ids SET key = randomblob(16)", false },
		{ "DELETE FROM ids", false },
	};

	(void)state;
	open_store(fx.path);
	for (size_t i = 0; i < COUNT(damages); i++) {
		int64_t row = append(), told = ids_told(store_ids(fx.s), row);

		sql(damages[i].sql);
		assert_true((ids_row(store_ids(fx.s), told) == row) == damages[i].known);
		assert_true(store_next_id(fx.s) > row);
	}
}

/* As many as the file said that may be given, and on: what was given is behind the next
 * start, also that of a crash in the moment when there is nothing else in the file. */
static void
test_they_go_on_past_a_reserve(void **state)
{
	int64_t last, next;

	(void)state;
	open_store(fx.path);
	for (int i = 0; i < 5; i++) {
		fx.s->next_id += IDS_RESERVE - 10;	/* as if that many had been given */
		last = append();
		/* after the commit the thread looks whether there are enough left */
		while (fx.s->end_id - last < IDS_RESERVE / 2)
			append();
		next = append();
		assert_true(next > last);
		last = next;
	}
	open_copy();
	assert_true(store_next_id(fx.s) > last);
}

/* With a file that takes no more reserves there is an end, and nothing twice. */
static void
test_none_rather_than_twice(void **state)
{
	(void)state;
	open_store(fx.path);
	fx.s->next_id = fx.s->end_id - 2;
	assert_true(store_next_id(fx.s) > 0);
	assert_true(store_next_id(fx.s) > 0);
	assert_int_equal(store_next_id(fx.s), 0);
	assert_int_equal(store_next_id(fx.s), 0);
	open_copy();
	assert_true(store_next_id(fx.s) > 0);
}

/* Twice on a disk that takes nothing. */
static void
test_a_store_that_fails_has_its_own(void **state)
{
	static int64_t told[2 * MANY];
	struct rlimit before, none;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	for (int i = 0; i < 2 * MANY; i++) {
		if (i % MANY == 0) {
			close_store();
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
			open_store(fx.path);
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
			assert_null(fx.s->db);
		}
		told[i] = ids_told(store_ids(fx.s), store_next_id(fx.s));
	}
	assert_all_differ(told, 2 * MANY);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_and_back),
		cmocka_unit_test(test_nobody_tells_the_next_one),
		cmocka_unit_test(test_another_key_tells_others),
		T(test_told_alike_after_a_restart),
		T(test_a_damaged_file_keeps_its_key),
		T(test_they_go_on_past_a_reserve),
		T(test_none_rather_than_twice),
		T(test_a_store_that_fails_has_its_own),
	};

	log_init("test", LOG_ERROR);
	unit_filter();
	return cmocka_run_group_tests_name("store ids", tests, NULL, NULL);
}
