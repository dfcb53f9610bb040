/* What is the same for all commands: their words, refusals, and helpers that are away. */
#include "tests/unit/admin_fixture.h"

static void
test_a_helper_that_is_not_there_or_does_not_answer(void **state)
{
	static const enum fake_act acts[] = { FAKE_DIE, FAKE_WRONG_VERSION, FAKE_WRONG_TYPE };
	static const char *const says[] = { "has gone", "another version", "makes no sense" };

	(void)state;
	run_command(&said, NULL, "status", "--socket", "/tmp/kp-none.sock");
	assert_int_equal(said.status, ADMIN_UNREACHED);
	has(said.err, "cannot be reached at /tmp/kp-none.sock: No such file or directory");
	run_command(&said, "/tmp/kp-env.sock", "dead");
	assert_int_equal(said.status, ADMIN_UNREACHED);
	has(said.err, "/tmp/kp-env.sock");
	for (size_t i = 0; i < COUNT(acts); i++) {
		struct fake f = { .script = &acts[i], .n_script = 1, .reply_type = MSG_STATUS,
		    .reply = LIT("xyz") };

		fake_start(&f);
		run_command(&said, f.path, "status");
		fake_stop(&f);
		fake_free(&f);
		assert_int_equal(said.status, ADMIN_UNREACHED);
		has(said.err, says[i]);
		assert_string_equal(said.out, "");
	}
}

static void
test_a_refusal_is_told(void **state)
{
	static const char *const commands[][3] = {
		{ "pending" }, { "dead" }, { "export" }, { "retry", "1" }, { "drop", "--yes", "1" },
	};

	(void)state;
	msg_error_encode(&bufs[0], &(struct msg_error){ KP_EDENIED, 0, LIT("not \x1b for you") });
	for (size_t i = 0; i < COUNT(commands); i++) {
		struct fake f = { .reply_type = MSG_ERROR, .reply = kp_buf_slice(&bufs[0]) };

		fake_start(&f);
		run_command(&said, f.path, commands[i][0], commands[i][1], commands[i][2]);
		fake_stop(&f);
		fake_free(&f);
		assert_int_equal(said.status, ADMIN_BAD);
		has(said.err, commands[i][0]);
		has(said.err, ": not \\x1b for you\n");
		assert_string_equal(said.out, "");
	}
}

static void
test_wrong_use(void **state)
{
	static const struct {
		const char *words[4], *says;
	} rows[] = {
		{ { "nothing" }, "argument 1 is neither a command nor an option" },
		{ { "status", "x" }, "argument 1 is not an option" },
		{ { "status", "--limit", "3" }, "unknown option \"--limit\"" },
		{ { "status", "--password=secret" }, "unknown option \"--password\"" },
		{ { "status", "--json=1" }, "--json takes no value" },
		{ { "dead", "--limit" }, "option --limit needs a value" },
		{ { "dead", "--limit", "0" }, "--limit takes" },
		{ { "dead", "--limit=-1" }, "--limit takes" },
		{ { "dead", "--topic", "a b" }, "--topic takes" },
		{ { "retry" }, "it takes ids, or --all" },
		{ { "retry", "--all", "1" }, "not both" },
		{ { "retry", "1x" }, "argument 1 is not the id" },
		{ { "retry", "0" }, "argument 1 is not the id" },
		{ { "drop", "9223372036854775808" }, "argument 1 is not the id" },
		{ { "drop", "1", "--topic", "t" }, "--topic goes with --all" },
		{ { "drop", "1" }, "no terminal" },
		{ { "export", "--dead", "--pending" }, "not both" },
	};
	struct fake f = { .reply_type = MSG_DONE };

	(void)state;
	fake_start(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_command(&said, f.path, rows[i].words[0], rows[i].words[1], rows[i].words[2],
		    rows[i].words[3]);
		assert_int_equal(said.status, ADMIN_USAGE);
		has(said.err, rows[i].says);
		has_not(said.err, "secret");
	}
	fake_stop(&f);
	assert_int_equal(f.n_seen, 0);
	run_command(&said, NULL, "dead", "-help");
	assert_int_equal(said.status, ADMIN_OK);
	has(said.out, "--limit N");
	has_not(said.out, "--yes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_a_helper_that_is_not_there_or_does_not_answer),
		ADMIN_TEST(test_a_refusal_is_told),
		ADMIN_TEST(test_wrong_use),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
