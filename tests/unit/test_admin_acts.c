/* kafka-pixy retry and drop: what they do, ask before, and tell after. */
#include "tests/unit/admin_fixture.h"

static void
test_retry_and_drop_of_ids(void **state)
{
	static int64_t missing[] = { 17, 18 };
	static const struct {
		struct msg_acted acted;
		const char *command;
		uint8_t type;
		int status;
		const char *says;
	} rows[] = {
		{ { 3, 0, NULL, 0 }, "retry", MSG_RETRY_DEAD, 0, "3 messages go to Kafka again\n" },
		{ { 1, 0, missing, 1 }, "retry", MSG_RETRY_DEAD, 1,
		    "1 message goes to Kafka again; 1 of the ids is not a dead letter: 17\n" },
		{ { 0, 0, missing, 2 }, "drop", MSG_DROP_DEAD, 1,
		    "0 dead letters are gone for good; "
		    "2 of the ids are not dead letters: 17, 18\n" },
		{ { 1, 0, NULL, 0 }, "drop", MSG_DROP_DEAD, 0, "1 dead letter is gone for good\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake f = { .reply_type = MSG_ACTED };
		struct msg_act m;

		kp_buf_reset(&bufs[0]);
		msg_acted_encode(&bufs[0], &rows[i].acted);
		f.reply = kp_buf_slice(&bufs[0]);
		fake_start(&f);
		run_command(&said, f.path, rows[i].command, "9", "17", "18",
		    rows[i].type == MSG_DROP_DEAD ? "--yes" : NULL);
		fake_stop(&f);
		assert_int_equal(said.status, rows[i].status);
		assert_string_equal(said.out, rows[i].says);
		assert_string_equal(said.err, "");
		assert_int_equal(f.seen[0].type, rows[i].type);
		assert_err(msg_act_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
		assert_true(!m.all && m.n == 3 && m.ids[0] == 9 && m.ids[2] == 18);
		msg_act_free(&m);
		fake_free(&f);
	}
}

/* All: the count comes from the status, the pages from the helper. */
static void
test_retry_of_all_goes_on_to_the_end(void **state)
{
	struct msg_status status = sample(PART_UP);
	struct fake_reply replies[3];
	struct fake f = { .replies = replies, .n_replies = 3 };
	struct msg_act m;

	(void)state;
	msg_status_encode(&bufs[0], &status);
	msg_acted_encode(&bufs[1], &(struct msg_acted){ 1000, 4000, NULL, 0 });
	msg_acted_encode(&bufs[2], &(struct msg_acted){ 234, 0, NULL, 0 });
	replies[0] = reply(MSG_STATUS, 0);
	replies[1] = reply(MSG_ACTED, 1);
	replies[2] = reply(MSG_ACTED, 2);
	fake_start(&f);
	run_command(&said, f.path, "retry", "--all");
	fake_stop(&f);
	assert_int_equal(said.status, ADMIN_OK);
	assert_string_equal(said.out, "1,234 messages go to Kafka again\n");
	assert_int_equal(f.n_seen, 3);
	assert_err(msg_act_decode(kp_buf_slice(&f.seen[2].body), &m), KP_OK);
	assert_true(m.all && m.after == 4000 && m.n == 0 && m.topic.n == 0);
	msg_act_free(&m);
	fake_free(&f);
}

/* It died in the middle: what was done before is not forgotten. */
static void
test_what_was_done_before_an_error_is_told(void **state)
{
	static const enum fake_act script[] = { FAKE_ANSWER, FAKE_DIE };
	struct fake_reply replies[1];
	struct fake f = { .script = script, .n_script = 2, .replies = replies, .n_replies = 1 };
	struct msg_act m;

	(void)state;
	msg_acted_encode(&bufs[0], &(struct msg_acted){ 1000, 4000, NULL, 0 });
	replies[0] = reply(MSG_ACTED, 0);
	fake_start(&f);
	run_command(&said, f.path, "drop", "--all", "--topic=t", "--yes");
	fake_stop(&f);
	assert_int_equal(said.status, ADMIN_UNREACHED);
	has(said.err, "kafka-pixy drop: 1,000 dead letters are gone for good; then: the helper has "
	    "gone, and may or may not have done it\n");
	assert_err(msg_act_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
	assert_true(m.all && kp_slice_eq(m.topic, LIT("t")));
	msg_act_free(&m);
	fake_free(&f);
}

/* Runs `drop --all` on a terminal where `answer` is typed; *text is what it showed. */
static int
drop_on_terminal(const struct fake *f, const char *answer, char *text, size_t cap)
{
	struct winsize size = { 24, 200, 0, 0 };
	int master, status;
	size_t n = 0;
	pid_t pid;

	fflush(NULL);
	pid = forkpty(&master, NULL, NULL, &size);
	if (pid == 0) {
		char *argv[] = { (char *)"drop", (char *)"--all", NULL };

		setenv("KAFKA_PIXY_SOCKET", f->path, 1);
		_exit((int)admin_run(2, argv));
	}
	assert_true(pid > 0);
	assert_int_equal(write(master, answer, strlen(answer)), strlen(answer));
	for (;;) {
		struct pollfd p = { master, POLLIN, 0 };
		ssize_t k;

		assert_int_equal(poll(&p, 1, 10000), 1);
		k = read(master, text + n, cap - 1 - n);
		if (k <= 0)
			break;		/* EIO: nobody has it open any more */
		n += (size_t)k;
	}
	text[n] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(master);
	return WEXITSTATUS(status);
}

static void
test_drop_asks_on_a_terminal_and_shows_how_far_it_is(void **state)
{
	struct msg_status status = sample(PART_UP);
	static const char *const answers[] = { "y\n", "n\n", "\n", "\4" };

	(void)state;
	msg_status_encode(&bufs[0], &status);
	msg_acted_encode(&bufs[1], &(struct msg_acted){ 3, 0, NULL, 0 });
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct fake_reply replies[] = { reply(MSG_STATUS, 0), reply(MSG_ACTED, 1) };
		struct fake f = { .replies = replies, .n_replies = 2 };
		char text[4096];
		int exit;

		fake_start(&f);
		exit = drop_on_terminal(&f, answers[i], text, sizeof(text));
		fake_stop(&f);
		has(text, "Delete 3 dead letters for good? [y/N] ");
		if (i == 0) {
			assert_int_equal(exit, ADMIN_OK);
			assert_int_equal(f.n_seen, 2);
			has(text, "########] 3 of 3");
			has(text, "\r\033[K3 dead letters are gone for good");
		} else {
			assert_int_equal(exit, ADMIN_BAD);
			assert_int_equal(f.n_seen, 1);
			has(text, "nothing was deleted");
		}
		fake_free(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_retry_and_drop_of_ids),
		ADMIN_TEST(test_retry_of_all_goes_on_to_the_end),
		ADMIN_TEST(test_what_was_done_before_an_error_is_told),
		ADMIN_TEST(test_drop_asks_on_a_terminal_and_shows_how_far_it_is),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
