/* Finding the helper: which sockets are believed in, and which of several is meant. */
#include "deploy/admin/reach.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/sock.h"
#include "tests/unit/admin_run.h"

static char base[] = "/tmp/kp-reach-XXXXXX";
static struct reach_list found, silent;
static struct said said;

/* The fake's directory becomes a run directory of that name and mode below `base`. */
static void
place(struct fake *f, const char *name, mode_t mode)
{
	char dir[sizeof(f->dir)];

	fake_start(f);
	snprintf(dir, sizeof(dir), "%.24s/%.32s", base, name);
	assert_int_equal(rename(f->dir, dir), 0);
	assert_int_equal(chmod(dir, mode), 0);
	memcpy(f->dir, dir, sizeof(dir));
	snprintf(f->path, sizeof(f->path), "%s/helper.sock", f->dir);
}

static void
search(void)
{
	const char *const places[] = { NULL, base, "/tmp/kp-no-such-place", base, "relative" };

	reach_search(places, COUNT(places), &found, &silent);
}

static void
test_one_that_answers_is_found_once(void **state)
{
	static const enum fake_act script[] = { FAKE_ANSWER, FAKE_DIE };
	struct fake f = { .reply_type = MSG_DONE, .script = script, .n_script = 2 };

	(void)state;
	place(&f, "kafka-pixy.aaaaaa", 0711);
	search();
	assert_int_equal(found.n, 1);
	assert_int_equal(silent.n, 0);
	assert_string_equal(found.path[0], f.path);
	search();
	assert_int_equal(found.n, 0);
	assert_int_equal(silent.n, 1);
	fake_stop(&f);
	fake_free(&f);
}

/* Of a launcher that was killed: nobody is asked there, and nobody is told of it. */
static void
test_one_that_was_left_behind_is_passed_over(void **state)
{
	struct fake f = { .reply_type = MSG_DONE };
	char path[sizeof(f.path) + 4];
	int fd;

	(void)state;
	place(&f, "kafka-pixy.aaaaaa", 0711);
	snprintf(path, sizeof(path), "%s.old", f.path);
	assert_int_equal(rename(f.path, path), 0);
	assert_int_equal(sock_listen(f.path, (gid_t)-1, &fd), KP_OK);
	close(fd);
	search();
	assert_int_equal(found.n + silent.n, 0);
	assert_int_equal(rename(path, f.path), 0);
	fake_stop(&f);
	fake_free(&f);
}

/* Others could have made it, or it is no run directory. */
static void
test_what_others_may_write_to_is_passed_over(void **state)
{
	static const struct {
		const char *name;
		mode_t mode;
	} rows[] = {
		{ "kafka-pixy.aaaaaa", 0777 }, { "kafka-pixy.aaaaaa", 0720 },
		{ "kafka-pixy.aaaaaa", 01702 }, { "other.aaaaaa", 0700 },
	};
	char link[96];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake f = { .reply_type = MSG_DONE };

		place(&f, rows[i].name, rows[i].mode);
		search();
		assert_int_equal(found.n + silent.n, 0);
		snprintf(link, sizeof(link), "%s/kafka-pixy.link", base);
		assert_int_equal(symlink(f.dir, link), 0);
		search();
		assert_int_equal(found.n + silent.n, 0);
		unlink(link);
		fake_stop(&f);
		assert_int_equal(f.conns, 0);
		fake_free(&f);
	}
}

static void
test_a_directory_of_another_user_is_passed_over(void **state)
{
	struct fake f = { .reply_type = MSG_DONE };

	(void)state;
	if (geteuid() != 0)
		skip();
	place(&f, "kafka-pixy.aaaaaa", 0700);
	assert_int_equal(chown(f.dir, 65534, 65534), 0);
	search();
	assert_int_equal(found.n + silent.n, 0);
	fake_stop(&f);
	assert_int_equal(f.conns, 0);
	fake_free(&f);
}

/* An error is an answer; the command then tells it. */
static void
test_a_refusal_is_an_answer(void **state)
{
	struct fake f = { .reply_type = MSG_ERROR };
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	msg_error_encode(&b, &(struct msg_error){ KP_EDENIED, 0, LIT("no") });
	f.reply = kp_buf_slice(&b);
	place(&f, "kafka-pixy.aaaaaa", 0700);
	search();
	assert_int_equal(found.n, 1);
	fake_stop(&f);
	fake_free(&f);
	kp_buf_free(&b);
}

/* Gateways of the machine may run beside the test, so these two are seen among all. */
static void
test_several_are_listed(void **state)
{
	struct fake f = { .reply_type = MSG_DONE }, g = { .reply_type = MSG_DONE };

	(void)state;
	place(&f, "kafka-pixy.aaaaaa", 0700);
	place(&g, "kafka-pixy.bbbbbb", 0700);
	setenv("XDG_RUNTIME_DIR", base, 1);
	unsetenv("KAFKA_PIXY_SOCKET");
	if (access("/run/kafka-pixy/helper.sock", F_OK) == 0)
		skip();
	run_command(&said, NULL, "status");
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(said.status, ADMIN_UNREACHED);
	assert_non_null(strstr(said.err, "several gateways"));
	assert_non_null(strstr(said.err, f.path));
	assert_non_null(strstr(said.err, g.path));
	fake_stop(&f);
	fake_stop(&g);
	fake_free(&f);
	fake_free(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_answers_is_found_once),
		cmocka_unit_test(test_one_that_was_left_behind_is_passed_over),
		cmocka_unit_test(test_what_others_may_write_to_is_passed_over),
		cmocka_unit_test(test_a_directory_of_another_user_is_passed_over),
		cmocka_unit_test(test_a_refusal_is_an_answer),
		cmocka_unit_test(test_several_are_listed),
	};
	int failed;

	unit_filter();
	if (mkdtemp(base) == NULL)
		abort();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(base);
	return failed;
}
