/* One question on a connection of one's own, to a helper that answers, lies, hangs or dies. */
#include "common/ask.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/fake_helper.h"
#include "tests/unit/unit.h"

/* One LIST_ROWS with 500 ms to answer; *a is open afterwards. */
static enum kp_err
list_with(struct fake *f, struct ask *a, struct kp_slice *body)
{
	const struct msg_list m = { .dead = true, .topic = LIT("t"), .after = 9, .limit = 7 };

	fake_start(f);
	assert_err(ask_open(a, f->path), KP_OK);
	return ask(a, MSG_LIST_ROWS, &m, 500, body);
}

static void
end(struct fake *f, struct ask *a)
{
	ask_close(a);
	fake_stop(f);
	fake_free(f);
}

static void
test_a_reply_is_taken(void **state)
{
	struct fake f = { .reply_type = MSG_ROWS, .reply = LIT("\0\0\0\0\0\0\0\0\0\0\0\0") };
	struct kp_slice body;
	struct msg_list m;
	struct ask a;

	(void)state;
	assert_err(list_with(&f, &a, &body), KP_OK);
	assert_err(a.error.err, KP_OK);
	assert_true(kp_slice_eq(body, f.reply));
	assert_err(ask(&a, MSG_LIST_ROWS, &(struct msg_list){ .topic = LIT(""), .limit = 1 }, 5000,
	    &body), KP_OK);
	ask_close(&a);
	fake_stop(&f);
	assert_int_equal(f.conns, 1);
	assert_int_equal(f.seen[0].type, MSG_LIST_ROWS);
	assert_int_equal(f.seen[0].deadline_ms, 500);
	assert_int_equal(f.seen[1].deadline_ms, 4000);
	assert_err(msg_list_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
	assert_true(m.dead && kp_slice_eq(m.topic, LIT("t")) && m.after == 9 && m.limit == 7);
	fake_free(&f);
}

static void
test_an_error_is_an_answer(void **state)
{
	static const enum fake_act script[] = { FAKE_REFUSE_BODY };
	struct fake f = { .script = script, .n_script = 1 };
	struct kp_slice body;
	struct ask a;

	(void)state;
	assert_err(list_with(&f, &a, &body), KP_OK);
	assert_err(a.error.err, KP_ETOOBIG);
	assert_true(kp_slice_eq(a.error.text, LIT("refused at the door")));
	end(&f, &a);
}

static void
test_all_else_is_none(void **state)
{
	static const struct {
		enum fake_act act;
		enum kp_err want;
	} rows[] = {
		{ FAKE_DIE, KP_EGONE }, { FAKE_DIE_HALF, KP_EGONE }, { FAKE_WRONG_ID, KP_EBADMSG },
		{ FAKE_WRONG_TYPE, KP_EBADMSG }, { FAKE_WRONG_VERSION, KP_EVERSION },
		{ FAKE_SILENT, KP_ETIMEDOUT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake f = { .script = &rows[i].act, .n_script = 1, .reply_type = MSG_ROWS,
		    .reply = LIT("abcdef") };
		int64_t begin_ms = clock_mono_ms();
		struct kp_slice body;
		struct ask a;

		assert_err(list_with(&f, &a, &body), rows[i].want);
		assert_in_range(clock_mono_ms() - begin_ms, 0, 1500);
		end(&f, &a);
	}
}

/* It comes as it likes, its last bytes alone. */
static void
test_the_largest_reply(void **state)
{
	static const uint8_t body[10000];
	static const size_t parts[] = { 4096, sizeof(body) + WIRE_HEADER - 4096 - 100, 100 };
	struct kp_buf out, in;
	struct wire_frame f;
	bool hungup;
	size_t at;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	kp_buf_init(&out, WIRE_HEADER + sizeof(body));
	kp_buf_init(&in, WIRE_HEADER + sizeof(body));
	at = wire_begin(&out, MSG_MESSAGE, 1, 0);
	kp_buf_put(&out, body, sizeof(body));
	assert_err(wire_end(&out, at), KP_OK);
	for (size_t i = 0; i < COUNT(parts); at += parts[i++])
		assert_int_equal(write(fd[0], out.p + at, parts[i]), parts[i]);
	assert_err(ask_read(fd[1], &in, clock_mono_ms() + 5000, -1, &f, &hungup), KP_OK);
	assert_int_equal(f.body.n, sizeof(body));
	kp_buf_free(&out);
	kp_buf_free(&in);
	close(fd[0]);
	close(fd[1]);
}

/* The helper refuses deadlines of nothing and of more than there may be. */
static void
test_a_deadline_is_one_that_the_helper_takes(void **state)
{
	static const struct {
		int64_t deadline_ms, want_ms;
	} rows[] = {
		{ INT64_MIN, 0 }, { -1, 0 }, { 0, 0 }, { 1, 1 },
		{ WIRE_DEADLINE_MAX_MS, WIRE_DEADLINE_MAX_MS },
		{ WIRE_DEADLINE_MAX_MS + 1, WIRE_DEADLINE_MAX_MS },
		{ INT64_C(1) << 32, WIRE_DEADLINE_MAX_MS }, { INT64_MAX, WIRE_DEADLINE_MAX_MS },
	};
	struct wire_frame f;
	size_t used, want;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_err(ask_put(&b, MSG_PING, 1, rows[i].deadline_ms, NULL),
		    rows[i].want_ms ? KP_OK : KP_ETIMEDOUT);
		assert_int_equal(b.len, rows[i].want_ms ? WIRE_HEADER : 0);
		if (rows[i].want_ms == 0)
			continue;
		assert_err(wire_decode(kp_buf_slice(&b), 0, &f, &used, &want), KP_OK);
		assert_int_equal(f.deadline_ms, rows[i].want_ms);
	}
	kp_buf_free(&b);
}

static void
test_nobody_listens(void **state)
{
	struct ask a;

	(void)state;
	assert_err(ask_open(&a, "/tmp/kp-no-such-helper.sock"), KP_EUNAVAIL);
	assert_int_equal(errno, ENOENT);
	ask_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_reply_is_taken),
		cmocka_unit_test(test_an_error_is_an_answer),
		cmocka_unit_test(test_all_else_is_none),
		cmocka_unit_test(test_the_largest_reply),
		cmocka_unit_test(test_a_deadline_is_one_that_the_helper_takes),
		cmocka_unit_test(test_nobody_listens),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
