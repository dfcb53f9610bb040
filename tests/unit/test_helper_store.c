/*
 * The store: what was committed is there after the process has gone, in order,
 * with every byte; what is not ours to open is refused.
 *
 * A "crash" is a copy of the files as they are, opened as another store.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/store_fixture.h"

static int
setup_open(void **state)
{
	return setup(state) ? -1 : (int)store_open(fx.loop, fx.path, DURABLE_FSYNC, &fx.s);
}

static void
count_done(struct store_cmd *cmd, enum kp_err err)
{
	(void)cmd;
	fx.done++;
	if (err)
		fx.err = err;
}

static void
keep_rows(void *arg, enum kp_err err, struct store_loaded *rows)
{
	(void)arg;
	fx.err = err;
	fx.rows = rows;
	fx.loaded = true;
}

static void
run_until(const int *counter, int n)
{
	while (*counter < n)
		uv_run(loop_uv(fx.loop), UV_RUN_ONCE);
}

static struct store_cmd
append_cmd(int64_t id, const char *topic, struct kp_slice key, struct kp_slice value)
{
	return (struct store_cmd){ .verb = STORE_APPEND, .done = count_done,
	    .row = { .id = id, .accepted_ms = 1000 + id, .topic = kp_slice_str(topic),
	    .key = key, .value = value } };
}

static struct store_loaded *
load(const char *topic, int64_t after, unsigned max)
{
	fx.loaded = false;
	store_load(fx.s, topic, after, max, 1 << 20, keep_rows, NULL);
	while (!fx.loaded)
		uv_run(loop_uv(fx.loop), UV_RUN_ONCE);
	assert_int_equal(fx.err, KP_OK);
	return fx.rows;
}

static void
assert_row(struct store_loaded **rows, int64_t id, struct kp_slice key, struct kp_slice value)
{
	struct store_loaded *l = *rows;

	assert_non_null(l);
	assert_int_equal(l->row.id, id);
	assert_int_equal(l->row.accepted_ms, 1000 + id);
	assert_true(kp_slice_eq(l->row.value, value));
	assert_true((key.p == NULL) == (l->row.key.p == NULL));
	assert_true(kp_slice_eq(l->row.key, key));
	*rows = l->next;
	free(l);
}

/* As after a power cut: the files, not the process. */
static void
reopen_copy(void)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "mkdir -m 700 %s/copy && cp %s/s.db* %s/copy", fx.dir, fx.dir,
	    fx.dir);
	assert_int_equal(system(cmd), 0);
	close_store();
	snprintf(fx.path, sizeof(fx.path), "%s/copy/s.db", fx.dir);
	assert_int_equal(store_open(fx.loop, fx.path, DURABLE_FSYNC, &fx.s), KP_OK);
}

static void
test_committed_rows_survive_in_order(void **state)
{
	const struct kp_slice none = { 0 }, empty = LIT("");
	const struct kp_slice binary = { (const uint8_t *)"\0\xff\n", 3 };
	struct store_cmd c[] = {
		append_cmd(1, "a", none, LIT("one")),
		append_cmd(2, "b", empty, empty),
		append_cmd(3, "a", binary, binary),
		append_cmd(4, "a", LIT("k"), LIT("four")),
	};
	struct store_loaded *rows;

	(void)state;
	for (int i = 0; i < 4; i++)
		store_submit(fx.s, &c[i]);
	run_until(&fx.done, 4);
	assert_int_equal(fx.err, KP_OK);
	reopen_copy();
	rows = load("a", 0, 10);
	assert_row(&rows, 1, none, LIT("one"));
	assert_row(&rows, 3, binary, binary);
	assert_row(&rows, 4, LIT("k"), LIT("four"));
	assert_null(rows);
	rows = load("b", 0, 10);
	assert_row(&rows, 2, empty, empty);
	assert_null(rows);
	rows = load("a", 1, 1);
	assert_row(&rows, 3, binary, binary);
	assert_null(rows);
	assert_null(load("never", 0, 10));
}

static void
test_removed_and_buried_rows_are_gone(void **state)
{
	struct store_cmd c[3], r = { .verb = STORE_REMOVE, .row.id = 1, .done = count_done };
	struct store_cmd b = { .verb = STORE_BURY, .row.id = 2, .reason = "too large",
	    .done = count_done };
	struct store_loaded *rows;

	(void)state;
	for (int i = 0; i < 3; i++) {
		c[i] = append_cmd(i + 1, "a", LIT("k"), LIT("v"));
		store_submit(fx.s, &c[i]);
	}
	run_until(&fx.done, 3);
	store_submit(fx.s, &r);
	store_submit(fx.s, &b);
	run_until(&fx.done, 5);
	assert_int_equal(fx.err, KP_OK);
	reopen_copy();
	rows = load("a", 0, 10);
	assert_row(&rows, 3, LIT("k"), LIT("v"));
	assert_null(rows);
	assert_int_equal(store_finish(fx.s), 1);
	store_close(fx.s);
	fx.s = NULL;
}

/* A remove that waits for company is committed all the same. */
static void
test_lonely_remove_is_committed(void **state)
{
	struct store_cmd a = append_cmd(1, "a", LIT("k"), LIT("v"));
	struct store_cmd r = { .verb = STORE_REMOVE, .row.id = 1, .done = count_done };

	(void)state;
	store_submit(fx.s, &a);
	run_until(&fx.done, 1);
	store_submit(fx.s, &r);
	run_until(&fx.done, 2);
	reopen_copy();
	assert_null(load("a", 0, 10));
}

/* Of a thousand appends, those that could be taken back are not in the file, and
 * done() is called for exactly the others. */
static void
test_cancel_forgets_or_commits(void **state)
{
	static struct store_cmd c[1000];
	int kept = 0, n = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		c[i] = append_cmd(i + 1, "a", LIT("k"), LIT("v"));
		store_submit(fx.s, &c[i]);
		if (i % 3 == 0 && store_cancel(fx.s, &c[i]))
			c[i].row.id = 0;
	}
	for (int i = 0; i < 1000; i++)
		kept += c[i].row.id != 0;
	run_until(&fx.done, kept);
	assert_int_equal(fx.err, KP_OK);
	for (struct store_loaded *l = load("a", 0, 2000), *next; l; l = next, n++) {
		next = l->next;
		free(l);
	}
	assert_int_equal(n, kept);
	assert_int_equal(fx.done, kept);
}

static void
test_ids_are_never_reused(void **state)
{
	int64_t last = 0;

	(void)state;
	for (int boot = 0; boot < 5; boot++) {
		for (int i = 0; i < 3; i++) {
			int64_t id = store_next_id(fx.s);

			assert_true(id > last);
			last = id;
		}
		close_store();
		assert_int_equal(store_open(fx.loop, fx.path, DURABLE_FSYNC, &fx.s), KP_OK);
	}
}

static void
add_name(void *arg, const char *topic)
{
	strcat(arg, topic);
}

static void
test_topics_with_rows_are_listed(void **state)
{
	struct store_cmd a = append_cmd(1, "with", LIT("k"), LIT("v"));
	struct store_cmd b = append_cmd(2, "without", LIT("k"), LIT("v"));
	struct store_cmd r = { .verb = STORE_REMOVE, .row.id = 2, .done = count_done };
	char names[100] = "";

	(void)state;
	store_submit(fx.s, &a);
	store_submit(fx.s, &b);
	store_submit(fx.s, &r);
	run_until(&fx.done, 3);
	reopen_copy();
	store_each_topic(fx.s, add_name, names);
	assert_string_equal(names, "with");
	assert_int_equal(store_topic_bytes(fx.s, LIT("with")), 2);
	assert_int_equal(store_topic_bytes(fx.s, LIT("without")), 0);
}

static void
test_second_process_is_refused(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct loop *l = loop_new();
		struct store *s;

		_exit(store_open(l, fx.path, DURABLE_FSYNC, &s) == KP_OK ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void
test_hostile_paths_are_refused(void **state)
{
	struct store *s;
	char path[200];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/link.db", fx.dir);
	assert_int_equal(symlink("s.db", path), 0);
	assert_int_equal(store_open(fx.loop, path, DURABLE_FSYNC, &s), KP_EIO);
	snprintf(path, sizeof(path), "%s/folder.db", fx.dir);
	mkdir(path, 0700);
	assert_int_equal(store_open(fx.loop, path, DURABLE_FSYNC, &s), KP_EIO);
	snprintf(path, sizeof(path), "%s/open", fx.dir);
	mkdir(path, 0700);
	chmod(path, 0777);
	snprintf(path, sizeof(path), "%s/open/s.db", fx.dir);
	assert_int_equal(store_open(fx.loop, path, DURABLE_FSYNC, &s), KP_EIO);
	assert_int_equal(stat(fx.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/s.db-wal", fx.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
test_file_that_is_no_database(void **state)
{
	char path[200];
	struct store *s;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/text.db", fx.dir);
	f = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is not a database\n", f);
	fclose(f);
	assert_int_equal(store_open(fx.loop, path, DURABLE_FSYNC, &s), KP_EIO);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_open, teardown)
	const struct CMUnitTest tests[] = {
		T(test_committed_rows_survive_in_order),
		T(test_removed_and_buried_rows_are_gone),
		T(test_lonely_remove_is_committed),
		T(test_cancel_forgets_or_commits),
		T(test_ids_are_never_reused),
		T(test_topics_with_rows_are_listed),
		T(test_second_process_is_refused),
		T(test_hostile_paths_are_refused),
		T(test_file_that_is_no_database),
	};

	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
