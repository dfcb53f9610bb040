/*
 * What the store knows of topics: names leave with their last rows, one topic too many is
 * refused alone, and all that a topic has in the file is in its share, dead letters too.
 */
#include <sqlite3.h>
#include <stdio.h>

#include "common/log.h"
#include "tests/unit/store_fixture.h"

/* A few names without rows may stay for a while. */
#define NAMES_LEFT 1000

static void
open_store(void)
{
	assert_int_equal(store_open(fx.loop, fx.path, DURABLE_OS, &fx.s), KP_OK);
}

struct message {
	struct store_cmd cmd;
	char topic[32];
};

static void
submit(struct message *m, enum store_verb verb)
{
	m->cmd.verb = verb;
	m->cmd.reason = "too large";
	m->cmd.done = note_done;
	m->cmd.row.topic = kp_slice_str(m->topic);
	m->cmd.row.key = LIT("key");
	m->cmd.row.value = LIT("seven b");
	store_submit(fx.s, &m->cmd);
}

/* Of ten bytes. */
static void
append(struct message *m, unsigned topic)
{
	*m = (struct message){ .cmd.row.id = store_next_id(fx.s) };
	snprintf(m->topic, sizeof(m->topic), "topic-%u", topic);
	submit(m, STORE_APPEND);
}

static void
await(int n)
{
	while (fx.done < n)
		uv_run(loop_uv(fx.loop), UV_RUN_ONCE);
}

static void
run(struct message *m, enum store_verb verb)
{
	int before = fx.done;

	submit(m, verb);
	await(before + 1);
}

static uint64_t
share(const char *topic)
{
	return store_topic_bytes(fx.s, kp_slice_str(topic));
}

/* Of the file, which is closed. */
static int64_t
number(const char *sql)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open(fx.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* Three times as many as may have rows at once, a thousand at a time. */
static void
test_names_leave_with_their_rows(void **state)
{
	static struct message m[1000];
	int done = 0;

	(void)state;
	open_store();
	for (unsigned topic = 0; topic < 3 * STORE_TOPICS_MAX; topic += COUNT(m)) {
		for (unsigned i = 0; i < COUNT(m); i++) {
			append(&m[i], topic + i);
			assert_null(store_refuses(fx.s, LIT("new"), 0));
		}
		await(done += COUNT(m));
		assert_err(fx.err, KP_OK);
		for (unsigned i = 0; i < COUNT(m); i++)
			submit(&m[i], STORE_REMOVE);
		await(done += COUNT(m));
		assert_err(fx.err, KP_OK);
		assert_int_equal(share(m[0].topic), 0);
	}
	close_store();
	assert_in_range(number("SELECT count(*) FROM topic"), 0, NAMES_LEFT);
	open_store();
	append(&m[0], 1);
	await(done + 1);
	assert_err(fx.err, KP_OK);
	close_store();
	assert_int_equal(number("SELECT count(*) FROM topic"), 1);
}

/* One alone, in company, and after another start. A name that makes room lets in one. */
static void
test_one_topic_too_many_is_refused_alone(void **state)
{
	static struct message m[STORE_TOPICS_MAX + 3];
	struct message *last = &m[STORE_TOPICS_MAX];

	(void)state;
	open_store();
	for (unsigned i = 0; i < STORE_TOPICS_MAX; i++)
		append(&m[i], i);
	await(STORE_TOPICS_MAX);
	assert_err(fx.err, KP_OK);
	for (int again = 0; again < 2; again++) {
		const char *why = store_refuses(fx.s, LIT("new"), 0);
		int done = fx.done;

		assert_true(why && strstr(why, "the topic is new"));
		assert_null(store_refuses(fx.s, LIT("topic-5"), 0));
		/* who does not ask: in one transaction with others */
		append(&last[0], 5);
		append(&last[1], STORE_TOPICS_MAX);
		append(&last[2], 6);
		await(done + 3);
		assert_err(last[0].cmd.err, KP_OK);
		assert_err(last[1].cmd.err, KP_EBUSY);
		assert_err(last[2].cmd.err, KP_OK);
		assert_int_equal(share("topic-5"), 20);
		assert_int_equal(share(last[1].topic), 0);
		run(&last[0], STORE_REMOVE);
		run(&last[2], STORE_REMOVE);
		assert_int_equal(share("topic-5"), 10);
		close_store();
		open_store();
	}
	run(&m[7], STORE_REMOVE);
	assert_null(store_refuses(fx.s, LIT("new"), 0));
	append(&last[1], STORE_TOPICS_MAX);
	await(fx.done + 1);
	assert_err(fx.err, KP_OK);
	assert_non_null(store_refuses(fx.s, LIT("topic-7"), 0));
}

static void
reopen(void)
{
	close_store();
	open_store();
}

/* Also as the next start reads it. */
static void
test_dead_letters_are_in_the_share(void **state)
{
	static struct message m[10];
	int64_t id;

	(void)state;
	open_store();
	for (unsigned i = 0; i < COUNT(m); i++)
		append(&m[i], i % 2);
	assert_int_equal(share("topic-1"), 50);
	await(COUNT(m));
	for (unsigned i = 0; i < 6; i++)
		run(&m[i], STORE_BURY);
	assert_int_equal(share("topic-0"), 50);
	assert_int_equal(share("topic-1"), 50);
	reopen();
	assert_int_equal(share("topic-1"), 50);
	/* back among the pending, and delivered; dropped, and dropped in vain */
	id = m[1].cmd.row.was = m[1].cmd.row.id;
	m[1].cmd.row.id = store_next_id(fx.s);
	run(&m[1], STORE_REVIVE);
	assert_err(fx.err, KP_OK);
	assert_int_equal(share("topic-1"), 50);
	run(&m[1], STORE_BURY);
	m[1].cmd.row.id = id;
	run(&m[1], STORE_DROP);
	assert_int_equal(share("topic-1"), 40);
	run(&m[1], STORE_DROP);
	assert_err(fx.err, KP_ENOTFOUND);
	assert_int_equal(share("topic-1"), 40);
	run(&m[3], STORE_DROP);
	run(&m[7], STORE_REMOVE);
	assert_int_equal(share("topic-1"), 20);
	reopen();
	assert_int_equal(share("topic-0"), 50);
	assert_int_equal(share("topic-1"), 20);
	close_store();
	assert_int_equal(number("SELECT dead_bytes FROM topic WHERE name = 'topic-0'"), 30);
	assert_int_equal(number("SELECT dead_bytes + pending_bytes FROM topic"
	    " WHERE name = 'topic-1'"), 20);
}

/* What was taken back, or never came into the file, is in no share. */
static void
test_what_is_not_written_is_in_no_share(void **state)
{
	static struct message m[200];
	int kept = 0;

	(void)state;
	open_store();
	for (unsigned i = 0; i < COUNT(m); i++) {
		append(&m[i], 0);
		kept += !(i % 2 && store_cancel(fx.s, &m[i].cmd));
	}
	await(kept);
	assert_int_equal(share("topic-0"), 10 * kept);
	run(&m[2], STORE_APPEND);	/* is there already */
	assert_true(fx.err != KP_OK);
	assert_int_equal(share("topic-0"), 10 * kept);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_names_leave_with_their_rows),
		T(test_one_topic_too_many_is_refused_alone),
		T(test_dead_letters_are_in_the_share),
		T(test_what_is_not_written_is_in_no_share),
	};

	log_init("test", LOG_ERROR);
	unit_filter();
	return cmocka_run_group_tests_name("store topics", tests, NULL, NULL);
}
