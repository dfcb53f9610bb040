/* Children: how long to wait for the next start, what a death leaves; the pid file. */
#include "common/clock.h"
#include "deploy/launcher/children.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/sock.h"
#include "deploy/launcher/backoff.h"
#include "deploy/launcher/rundir.h"

static void
test_backoff(void **state)
{
	static const int64_t waits[] = {
		100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000,
	};
	int64_t wait_ms = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		wait_ms = backoff_next_ms(wait_ms, i % 2 ? 0 : BACKOFF_RESET_MS - 1);
		assert_int_equal(wait_ms, waits[i]);
	}
	assert_int_equal(backoff_next_ms(wait_ms, BACKOFF_RESET_MS), BACKOFF_MIN_MS);
}

static struct child_spec
shell(const char *const *argv)
{
	return (struct child_spec){
		.kind = CHILD_RESPONDER, .name = "shell", .path = "/bin/sh",
		.argv = argv, .stdin_fd = -1, .death_signal = SIGKILL,
	};
}

/* Until none runs. */
static void
reap_all(struct children *c)
{
	int64_t until_ms = clock_mono_ms() + 5000;

	while (children_running(c, CHILD_ANY)) {
		assert_true(clock_mono_ms() < until_ms);
		poll(NULL, 0, 5);
		children_reap(c, CHILD_ANY);
	}
}

static void
test_a_dead_child_is_started_again(void **state)
{
	const char *const argv[] = { "sh", "-c", "exit 7", NULL };
	struct child_spec spec = shell(argv);
	struct children c = { .restart = true };
	int wait_ms;

	(void)state;
	assert_int_equal(children_add(&c, &spec), KP_OK);
	assert_int_equal(children_tick(&c), -1);
	reap_all(&c);
	assert_int_equal(WEXITSTATUS(c.v[0].status), 7);
	wait_ms = children_tick(&c);
	assert_in_range(wait_ms, 1, BACKOFF_MIN_MS);
	poll(NULL, 0, wait_ms + 1);
	assert_int_equal(children_tick(&c), -1);
	assert_int_equal(children_running(&c, CHILD_RESPONDER), 1);
	reap_all(&c);
	assert_in_range(children_tick(&c), BACKOFF_MIN_MS / 2, 2 * BACKOFF_MIN_MS);
}

static void
test_a_stopped_one_is_not(void **state)
{
	const char *const argv[] = { "sh", "-c", "sleep 60", NULL };
	struct child_spec spec = shell(argv);
	struct children c = { 0 };

	(void)state;
	assert_int_equal(children_add(&c, &spec), KP_OK);
	children_signal(&c, CHILD_NGINX, SIGTERM);
	children_reap(&c, CHILD_ANY);
	assert_int_equal(children_running(&c, CHILD_ANY), 1);
	children_signal(&c, CHILD_RESPONDER, SIGTERM);
	reap_all(&c);
	assert_int_equal(WTERMSIG(c.v[0].status), SIGTERM);
	assert_int_equal(children_tick(&c), -1);
	assert_null(children_first(&c, CHILD_NGINX));
	assert_ptr_equal(children_first(&c, CHILD_RESPONDER), &c.v[0]);
}

/* The far end of a pipe that is held by whatever the child has started. */
static void
test_what_it_has_started_dies_with_it(void **state)
{
	const char *const argv[] = { "sh", "-c", "sleep 60 <&0 & exit 0", NULL };
	struct child_spec spec = shell(argv);
	struct children c = { 0 };
	struct pollfd p;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	spec.stdin_fd = fds[0];
	assert_int_equal(children_add(&c, &spec), KP_OK);
	close(fds[0]);
	reap_all(&c);
	/* A pipe without a reader shows an error to its writer. */
	p = (struct pollfd){ .fd = fds[1] };
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(p.revents & POLLERR);
	close(fds[1]);
}

static void
test_kill(void **state)
{
	const char *const argv[] = { "sh", "-c", "trap '' TERM; while :; do sleep 1; done", NULL };
	struct child_spec spec = shell(argv);
	struct children c = { 0 };

	(void)state;
	assert_int_equal(children_add(&c, &spec), KP_OK);
	assert_int_equal(children_add(&c, &spec), KP_OK);
	children_kill(&c, CHILD_HELPER);
	assert_int_equal(children_running(&c, CHILD_ANY), 2);
	children_kill(&c, CHILD_ANY);
	assert_int_equal(children_running(&c, CHILD_ANY), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
test_a_program_that_is_not_there(void **state)
{
	const char *const argv[] = { "none", NULL };
	struct child_spec spec = shell(argv);
	struct children c = { 0 };

	(void)state;
	spec.path = "/nowhere/none";
	assert_int_equal(children_add(&c, &spec), KP_EIO);
	assert_int_equal(c.n, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* As process 1, or after an exec, the launcher has children that it did not start. */
static void
test_strangers_are_buried(void **state)
{
	const char *const argv[] = { "sh", "-c", "setsid cat <&0 & exit 0", NULL };
	struct child_spec spec = shell(argv);
	struct children c = { 0 };
	siginfo_t info = { 0 };
	int64_t until_ms = clock_mono_ms() + 5000;
	int fds[2];

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	spec.stdin_fd = fds[0];
	assert_int_equal(children_add(&c, &spec), KP_OK);
	/* The stranger lives until this pipe ends, or is in the group that is buried. */
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
		poll(NULL, 0, 5);
	close(fds[0]);
	close(fds[1]);
	reap_all(&c);
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
		assert_true(clock_mono_ms() < until_ms);
		children_reap(&c, CHILD_ANY);
		poll(NULL, 0, 5);
	}
	assert_int_equal(errno, ECHILD);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* What a killed one leaves is removed before the next start, not before the first, and
 * not when it has become somebody else's. */
static void
test_leftovers(void **state)
{
	const char *const argv[] = { "sh", "-c", "exit 1", NULL };
	struct child_spec spec = shell(argv);
	struct children c = { .restart = true };
	const char *path = "left.sock";
	int fd;

	(void)state;
	unlink(path);
	assert_int_equal(sock_listen(path, (gid_t)-1, &fd), KP_OK);
	spec.leaves = path;
	assert_int_equal(children_add(&c, &spec), KP_OK);
	for (int served = 1; served >= 0; served--) {
		assert_int_equal(access(path, F_OK), 0);
		reap_all(&c);
		if (!served)
			close(fd);
		poll(NULL, 0, children_tick(&c) + 1);
		children_tick(&c);
		assert_int_equal(access(path, F_OK), served - 1);
		if (served)
			assert_true(sock_is_served(path));
	}
	reap_all(&c);
}

static void
test_pid_file(void **state)
{
	char dir[] = "/tmp/kp-unit-XXXXXX", path[64];
	int pid = 0;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
	assert_int_equal(pidfile_write(path), KP_OK);
	assert_int_equal(pidfile_write(path), KP_OK);
	f = fopen(path, "re");
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	assert_int_equal(pid, getpid());
	pidfile_remove(path);
	assert_int_equal(access(path, F_OK), -1);
	/* Somebody else's stays. */
	f = fopen(path, "we");
	fprintf(f, "1\n");
	fclose(f);
	pidfile_remove(path);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(pidfile_write(path), KP_EIO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_a_dead_child_is_started_again),
		cmocka_unit_test(test_a_stopped_one_is_not),
		cmocka_unit_test(test_what_it_has_started_dies_with_it),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_a_program_that_is_not_there),
		cmocka_unit_test(test_strangers_are_buried),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_pid_file),
	};

	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
