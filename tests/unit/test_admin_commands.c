/* The commands: what they ask a helper, what they print, how they end. */
#include "common/clock.h"
#include "common/status_json.h"
#include "tests/unit/admin_run.h"

#define BUFS 4
static struct kp_buf bufs[BUFS];
static struct said said;

static int
setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < BUFS; i++)
		kp_buf_init(&bufs[i], 1 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < BUFS; i++)
		kp_buf_free(&bufs[i]);
	return 0;
}

static struct fake_reply
reply(uint8_t type, size_t i)
{
	assert_false(bufs[i].failed);
	return (struct fake_reply){ type, kp_buf_slice(&bufs[i]) };
}

static void
has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void
has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" is in:\n%s", part, text);
}

static struct msg_status
sample(uint8_t kafka)
{
	int64_t now_ms = clock_wall_ms();

	return (struct msg_status){
		.version = LIT("0.1.0"), .librdkafka = LIT("2.8.0"),
		.durability = LIT("fsync"), .started_ms = now_ms - 90000,
		.accepted = 1234567, .pending = 2401, .dead = 3, .oldest_ms = now_ms - 3700000,
		.delivered_per_s = 120, .store_bytes = 1536, .store_max_bytes = 1 << 30,
		.store_free_bytes = 5 << 20,
		.kafka = { kafka, 1769860800000, 1769860800000, LIT("evil \x1b[2J\nline") },
		.zookeeper = { PART_UNUSED, 0, 0, LIT("") },
	};
}

static void
status_with(const struct msg_status *m, struct said *s, const char *option)
{
	struct fake f = { .reply_type = MSG_STATUS };

	kp_buf_reset(&bufs[0]);
	msg_status_encode(&bufs[0], m);
	f.reply = kp_buf_slice(&bufs[0]);
	fake_start(&f);
	run_command(s, f.path, "status", option);
	fake_stop(&f);
	assert_int_equal(f.seen[0].type, MSG_GET_STATUS);
	fake_free(&f);
}

static void
test_status_for_people(void **state)
{
	struct msg_status m = sample(PART_UP);

	(void)state;
	status_with(&m, &said, NULL);
	assert_int_equal(said.status, ADMIN_OK);
	has(said.out, "Kafka-Pixy 0.1.0, librdkafka 2.8.0, up 1 min 30 s, durability fsync\n");
	has(said.out, "accepted          1,234,567\n");
	has(said.out, "pending               2,401  the oldest for 1 h 1 min; 120 a second are "
	    "delivered, so all in 21 s\n");
	has(said.out, "dead                      3  see kafka-pixy dead\n");
	has(said.out, "in store            1.5 KiB  of 1.0 GiB; 5.0 MiB are free on its disk\n");
	has(said.out, "kafka      up      since 2026-01-31T12:00:00Z  last error "
	    "2026-01-31T12:00:00Z: evil \\x1b[2J\\x0aline\n");
	has(said.out, "zookeeper  unused\n");
	m.delivered_per_s = 0;
	m.store_max_bytes = 0;
	status_with(&m, &said, NULL);
	has(said.out, "the oldest for 1 h 1 min; none is delivered now\n");
	has(said.out, "in store           no store\n");
}

static void
test_status_ends_with_1_when_a_part_is_down(void **state)
{
	struct msg_status m = sample(PART_DOWN);

	(void)state;
	status_with(&m, &said, NULL);
	assert_int_equal(said.status, ADMIN_BAD);
	has(said.out, "kafka      down    since");
	status_with(&m, &said, "--json");
	assert_int_equal(said.status, ADMIN_BAD);
	has(said.out, "{\n  \"error\": \"Kafka is down since 2026-01-31T12:00:00Z: evil");
	m.kafka.state = PART_UP;
	status_with(&m, &said, "-json");
	assert_int_equal(said.status, ADMIN_OK);
	has(said.out, "{\n  \"version\": \"0.1.0\",\n");
	assert_string_equal(said.out + strlen(said.out) - 3, "\n}\n");
}

static void
test_status_names_groups_that_get_nothing(void **state)
{
	struct msg_status m = sample(PART_UP);

	(void)state;
	m.groups_troubled = 19;
	m.n_groups = 2;
	m.groups[0] = (struct msg_group_trouble){ LIT("g"), LIT("t"), 1769860800000,
	    LIT("partition 3 has no leader since 2026-01-31T12:00:00Z") };
	m.groups[1] = (struct msg_group_trouble){ LIT("h"), LIT("u"), 0, LIT("evil \x1b[2J") };
	status_with(&m, &said, NULL);
	assert_int_equal(said.status, ADMIN_OK);
	has(said.out, "\ngroup g, topic t: partition 3 has no leader since 2026-01-31T12:00:00Z\n"
	    "group h, topic u: evil ");
	has_not(said.out, "\x1b");
	has(said.out, "and 17 more topics of groups\n");
	status_with(&m, &said, "--json");
	has(said.out, "\"troubledTopics\": 19,\n  \"troubles\": [\n    {\n      \"group\": \"g\",");
}

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

static struct msg_row
dead_row(int64_t id, struct kp_slice topic)
{
	return (struct msg_row){
		.id = id, .topic = topic, .accepted_ms = clock_wall_ms() - 61000, .attempts = 2,
		.buried_ms = 1769860800000, .reason = LIT("too\nlarge"), .value_bytes = 2048,
	};
}

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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_status_for_people),
		TEST(test_status_ends_with_1_when_a_part_is_down),
		TEST(test_status_names_groups_that_get_nothing),
		TEST(test_a_helper_that_is_not_there_or_does_not_answer),
		TEST(test_a_refusal_is_told),
		TEST(test_wrong_use),
		TEST(test_dead_letters_page_by_page),
		TEST(test_pending_stops_at_the_limit),
		TEST(test_rows_as_json),
		TEST(test_export_writes_bodies),
		TEST(test_pages_that_do_not_go_on_are_nonsense),
		TEST(test_nobody_reads_any_more),
		TEST(test_retry_and_drop_of_ids),
		TEST(test_retry_of_all_goes_on_to_the_end),
		TEST(test_what_was_done_before_an_error_is_told),
		TEST(test_drop_asks_on_a_terminal_and_shows_how_far_it_is),
	};
#undef TEST

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
