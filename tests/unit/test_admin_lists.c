/* kafka-pixy pending, dead and export: page by page, for people and as JSON. */
#include "tests/unit/admin_fixture.h"

/* Two pages; the second request goes on where the first reply ended. */
static void
test_dead_letters_page_by_page(void **state)
{
	struct msg_row rows[] = { dead_row(5, LIT("t")), dead_row(INT64_MAX, LIT("long-topic")) };
	struct fake_reply replies[2];
	struct fake f = { .replies = replies, .n_replies = 2 };
	struct msg_list m;

	(void)state;
	msg_rows_encode(&bufs[0], &(struct msg_rows){ &rows[0], 1, 5 });
	msg_rows_encode(&bufs[1], &(struct msg_rows){ &rows[1], 1, 0 });
	replies[0] = reply(MSG_ROWS, 0);
	replies[1] = reply(MSG_ROWS, 1);
	fake_start(&f);
	run_command(&said, f.path, "dead", "--topic", "t", "--limit=1500");
	fake_stop(&f);
	assert_int_equal(said.status, ADMIN_OK);
	assert_string_equal(said.err, "");
	assert_int_equal(f.n_seen, 2);
	assert_err(msg_list_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
	assert_true(m.dead && !m.with_bodies && m.after == 0 && m.limit == ROWS_MAX);
	assert_true(kp_slice_eq(m.topic, LIT("t")));
	assert_err(msg_list_decode(kp_buf_slice(&f.seen[1].body), &m), KP_OK);
	assert_true(m.after == 5 && m.limit == ROWS_MAX);
	has(said.out, "                 id  topic                age        size  tries  died"
	    "                  reason\n");
	has(said.out, "                  5  t              1 min 1 s     2.0 KiB      2  "
	    "2026-01-31T12:00:00Z  too\\x0alarge\n");
	has(said.out, "9223372036854775807  long-topic");
	fake_free(&f);
}

static void
test_pending_stops_at_the_limit(void **state)
{
	struct msg_row rows[] = { dead_row(1, LIT("t")), dead_row(2, LIT("t")) };
	struct msg_list m;

	(void)state;
	msg_rows_encode(&bufs[0], &(struct msg_rows){ rows, 2, 2 });
	msg_rows_encode(&bufs[1], &(struct msg_rows){ rows, 0, 0 });
	rows[0].id = 3;
	msg_rows_encode(&bufs[2], &(struct msg_rows){ rows, 1, 3 });
	for (size_t more = 0; more < 2; more++) {
		struct fake_reply replies[] = { reply(MSG_ROWS, 0), reply(MSG_ROWS, 1 + more) };
		struct fake f = { .replies = replies, .n_replies = 2 };

		fake_start(&f);
		run_command(&said, f.path, "pending", "--limit", "2");
		fake_stop(&f);
		assert_int_equal(said.status, ADMIN_OK);
		assert_int_equal(f.n_seen, 2);
		assert_err(msg_list_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
		assert_true(!m.dead && m.limit == 2);
		assert_err(msg_list_decode(kp_buf_slice(&f.seen[1].body), &m), KP_OK);
		assert_true(m.after == 2 && m.limit == 1);
		assert_string_equal(said.err,
		    more ? "these are the oldest; --limit shows more\n" : "");
		has_not(said.out, "reason");
		has_not(said.out, " 3  t");
		fake_free(&f);
	}
}

static void
test_rows_as_json(void **state)
{
	struct msg_row rows[] = { dead_row(1, LIT("t")), dead_row(2, LIT("t")) };
	struct fake f = { .reply_type = MSG_ROWS }, none = { .reply_type = MSG_ROWS };

	(void)state;
	rows[0].accepted_ms = rows[1].accepted_ms = 1769860799000;
	msg_rows_encode(&bufs[0], &(struct msg_rows){ rows, 2, 0 });
	msg_rows_encode(&bufs[1], &(struct msg_rows){ rows, 0, 0 });
	f.reply = kp_buf_slice(&bufs[0]);
	none.reply = kp_buf_slice(&bufs[1]);
	fake_start(&f);
	run_command(&said, f.path, "dead", "--json");
	fake_stop(&f);
	fake_free(&f);
	has(said.out, "[\n  {\n    \"id\": \"1\",\n    \"topic\": \"t\",\n"
	    "    \"accepted\": \"2026-01-31T11:59:59Z\",\n    \"bytes\": 2048,\n"
	    "    \"attempts\": 2,\n    \"died\": \"2026-01-31T12:00:00Z\",\n"
	    "    \"reason\": \"too\\nlarge\"\n  },\n  {\n    \"id\": \"2\"");
	assert_string_equal(said.out + strlen(said.out) - 8, "\"\n  }\n]\n");
	fake_start(&none);
	run_command(&said, none.path, "pending", "--json");
	fake_stop(&none);
	fake_free(&none);
	assert_string_equal(said.out, "[]\n");
}

static void
test_export_writes_bodies(void **state)
{
	struct msg_row rows[] = { dead_row(1, LIT("t")), dead_row(2, LIT("t")) };
	struct fake_reply replies[2];
	struct fake f = { .replies = replies, .n_replies = 2 };
	struct msg_list m;

	(void)state;
	rows[0].accepted_ms = rows[1].accepted_ms = 1769860799000;
	rows[0].value = LIT("va\0");
	rows[1].has_key = true;
	rows[1].key = LIT("");
	msg_rows_encode(&bufs[0], &(struct msg_rows){ &rows[0], 1, 1 });
	msg_rows_encode(&bufs[1], &(struct msg_rows){ &rows[1], 1, 0 });
	replies[0] = reply(MSG_ROWS, 0);
	replies[1] = reply(MSG_ROWS, 1);
	fake_start(&f);
	run_command(&said, f.path, "export");
	fake_stop(&f);
	assert_int_equal(said.status, ADMIN_OK);
	assert_string_equal(said.out, "{\"id\": \"1\", \"topic\": \"t\", "
	    "\"accepted\": \"2026-01-31T11:59:59Z\", \"bytes\": 2048, \"key\": null, "
	    "\"value\": \"dmEA\", \"attempts\": 2, \"died\": \"2026-01-31T12:00:00Z\", "
	    "\"reason\": \"too\\nlarge\"}\n"
	    "{\"id\": \"2\", \"topic\": \"t\", "
	    "\"accepted\": \"2026-01-31T11:59:59Z\", \"bytes\": 2048, \"key\": \"\", "
	    "\"value\": \"\", \"attempts\": 2, \"died\": \"2026-01-31T12:00:00Z\", "
	    "\"reason\": \"too\\nlarge\"}\n");
	assert_err(msg_list_decode(kp_buf_slice(&f.seen[1].body), &m), KP_OK);
	assert_true(m.dead && m.with_bodies && m.after == 1 && m.limit == ROWS_MAX);
	fake_free(&f);
}

/* One that lies must not be asked for ever. */
static void
test_pages_that_do_not_go_on_are_nonsense(void **state)
{
	struct msg_row row = dead_row(1, LIT("t"));
	struct fake f = { .reply_type = MSG_ROWS };

	(void)state;
	msg_rows_encode(&bufs[0], &(struct msg_rows){ &row, 1, 1 });
	f.reply = kp_buf_slice(&bufs[0]);
	fake_start(&f);
	run_command(&said, f.path, "export");
	fake_stop(&f);
	assert_int_equal(said.status, ADMIN_UNREACHED);
	assert_int_equal(f.n_seen, 2);
	has(said.err, "makes no sense");
	fake_free(&f);
}

static void
test_nobody_reads_any_more(void **state)
{
	struct msg_row row = dead_row(1, LIT("t"));
	struct fake f = { .reply_type = MSG_ROWS };
	int fds[2];

	(void)state;
	msg_rows_encode(&bufs[0], &(struct msg_rows){ &row, 1, 1 });
	f.reply = kp_buf_slice(&bufs[0]);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	fake_start(&f);
	run_command_to(&said, fds[1], f.path, (const char *const [WORDS_MAX + 1]){ "export" });
	fake_stop(&f);
	close(fds[1]);
	assert_int_equal(said.status, ADMIN_BAD);
	assert_string_equal(said.err, "");
	assert_int_equal(f.n_seen, 1);
	fake_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_dead_letters_page_by_page),
		ADMIN_TEST(test_pending_stops_at_the_limit),
		ADMIN_TEST(test_rows_as_json),
		ADMIN_TEST(test_export_writes_bodies),
		ADMIN_TEST(test_pages_that_do_not_go_on_are_nonsense),
		ADMIN_TEST(test_nobody_reads_any_more),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
