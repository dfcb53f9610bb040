/* Where log lines go: somebody who does not read, a disk that is full, an end of the
 * process. Descriptor 2 is what the test puts there; the test's own words are elsewhere. */
#include "common/log_out.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AGES_MS 10000
#define PAD "................................................................................"

/* Children here have threads; and what looks for leaks at the end of one writes to
 * descriptor 2, which takes nothing. */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
	return "die_after_fork=0";
}
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return 1;
}

static int reader = -1;
static char out[2 * LOG_OUT_BYTES];

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
aim(int fd)
{
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* A new pipe, empty or with no room at all. */
static void
aim_at_pipe(bool full)
{
	int fd[2];

	if (reader >= 0)
		close(reader);
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	reader = fd[0];
	while (full && write(fd[1], "\n", 1) == 1)
		;
	fcntl(fd[1], F_SETFL, 0);
	aim(fd[1]);
}

/* What the pipe has, and what comes while the log is not at its end. */
static const char *
drain(void)
{
	int64_t until_ms = now_ms() + AGES_MS;
	size_t n = 0;
	ssize_t k;

	for (bool last = false; ; ) {
		while ((k = read(reader, out + n, sizeof(out) - 1 - n)) > 0)
			n += (size_t)k;
		if (last)
			break;
		last = log_flush(10);
		assert_true(now_ms() < until_ms);
	}
	out[n] = '\0';
	return out;
}

/* The number behind the first `key` in it; -1 when it is not there. */
static long
number(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* Reads "… n=0", "… n=1" and so on, each at its place; how many. */
static long
count_in_order(const char *text, const char **rest)
{
	long n = 0;

	while ((*rest = strstr(text, " n=")) != NULL && number(*rest, " n=") == n) {
		text = strchr(*rest, '\n');
		assert_non_null(text);
		n++;
	}
	*rest = text;
	return n;
}

static int
setup(void **state)
{
	(void)state;
	log_init("test", LOG_INFO);
	aim_at_pipe(false);
	drain();
	return 0;
}

static void
test_nobody_reads_and_nobody_waits(void **state)
{
	int64_t begin_ms = now_ms();
	const char *rest;
	long kept;

	(void)state;
	aim_at_pipe(true);
	for (int i = 0; i < 10000; i++)
		log_info("flood n=%d " PAD, i);
	assert_true(now_ms() - begin_ms < AGES_MS / 2);
	assert_false(log_flush(0));
	kept = count_in_order(drain(), &rest);
	assert_in_range(kept, LOG_OUT_BYTES / 4 / 200, LOG_OUT_BYTES / 100);
	assert_int_equal(number(rest, "Z warn test["), getpid());
	assert_non_null(strstr(rest, ": log lines dropped="));
	assert_int_equal(number(rest, "dropped="), 10000 - kept);
	assert_null(strstr(rest, " n="));
	log_info("again");
	assert_non_null(strstr(drain(), ": again\n"));
	assert_null(strstr(out, "dropped"));
}

/* Whoever floods is not the one whose word counts. */
static void
test_errors_have_room_left(void **state)
{
	const char *rest;

	(void)state;
	aim_at_pipe(true);
	for (int i = 0; i < 10000; i++)
		log_info("flood n=%d " PAD, i);
	log_error("the cause");
	log_warn("beside it");
	count_in_order(drain(), &rest);
	rest = strstr(rest, ": the cause\n");
	assert_non_null(rest);
	rest = strstr(rest, ": beside it\n");
	assert_non_null(rest);
	assert_true(number(rest, "dropped=") > 0);
}

/* The first error finds out that the log stands still; the others know. */
static void
test_errors_wait_once(void **state)
{
	int64_t begin_ms = now_ms();

	(void)state;
	aim_at_pipe(true);
	for (int i = 0; i < 1000; i++)
		log_error("e n=%d", i);
	assert_true(now_ms() - begin_ms < 1000);
	drain();
}

/* A process may end by force right after it. */
static void
test_an_error_is_out_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			log_error("last words");
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WTERMSIG(status), SIGKILL);
		assert_non_null(strstr(drain(), ": last words\n"));
	}
}

static void
test_exit_waits_for_all_and_not_for_ever(void **state)
{
	for (int full = 0; full <= 1; full++) {
		int64_t begin_ms = now_ms();
		const char *rest;
		pid_t pid;
		int status;

		(void)state;
		aim_at_pipe(full);
		pid = fork();
		if (pid == 0) {
			for (int i = 0; i < 100; i++)
				log_info("a n=%d", i);
			exit(3);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 3);
		assert_true(now_ms() - begin_ms < LOG_FLUSH_MS + AGES_MS / 2);
		if (!full)
			assert_int_equal(count_in_order(drain(), &rest), 100);
	}
}

/* What the parent has queued is the parent's; the child has a thread of its own. */
static void
test_fork(void **state)
{
	const char *at;
	bool of_child;
	int status;
	pid_t pid;

	(void)state;
	aim_at_pipe(true);
	log_info("of the parent");
	pid = fork();
	if (pid == 0) {
		log_info("of the child");
		exit(log_flush(AGES_MS) ? 0 : 1);
	}
	at = strstr(drain(), ": of the parent\n");
	assert_non_null(at);
	assert_null(strstr(at + 1, ": of the parent\n"));
	of_child = strstr(out, ": of the child\n") != NULL;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(of_child || strstr(drain(), ": of the child\n"));
}

static void
test_a_full_disk_is_no_trouble(void **state)
{
	(void)state;
	aim(open("/dev/full", O_WRONLY | O_CLOEXEC));
	for (int i = 0; i < 10; i++)
		log_error("into nowhere");
	assert_true(log_flush(AGES_MS));
	aim(open("/dev/null", O_RDONLY | O_CLOEXEC));
	log_error("into nothing");
	assert_true(log_flush(AGES_MS));
	aim_at_pipe(false);
	log_info("room again");
	assert_non_null(strstr(drain(), ": room again\n"));
	assert_int_equal(number(strstr(out, "room again"), "dropped="), 11);
}

static void
test_no_reader_any_more(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	close(reader);
	reader = -1;
	log_error("to nobody");
	assert_true(log_flush(AGES_MS));
	signal(SIGPIPE, SIG_DFL);
	aim_at_pipe(false);
	log_info("to somebody");
	assert_int_equal(number(drain(), "dropped="), 1);
}

/* The disk was full in the middle of a line: the next one still begins a line. */
static void
test_after_half_a_line(void **state)
{
	struct rlimit before, small;
	char text[4096];
	int file = memfd_create("log", MFD_CLOEXEC);
	ssize_t n;

	(void)state;
	dup2(file, STDERR_FILENO);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 100;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	log_error("cut off " PAD PAD);
	log_error("not there at all");
	assert_true(log_flush(AGES_MS));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	log_error("whole");
	assert_true(log_flush(AGES_MS));
	n = pread(file, text, sizeof(text) - 1, 0);
	close(file);
	assert_true(n > 100);
	text[n] = '\0';
	assert_int_equal(text[100], '\n');
	assert_null(strstr(text, "not there at all"));
	assert_non_null(strstr(text + 101, ": whole\n"));
	assert_int_equal(number(text, "dropped="), 2);
}

/* Who gave it to us made it so, and will have it so. */
static void
test_a_pipe_that_does_not_block(void **state)
{
	const char *rest;

	(void)state;
	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 1000; i++)
		log_info("n n=%d " PAD, i);
	assert_int_equal(count_in_order(drain(), &rest), 1000);
	assert_true(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
}

#define LOGGERS 4
#define LINES 300

static void *
log_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("thread=%d n=%d", (int)(intptr_t)arg, i);
	return NULL;
}

static void
test_lines_of_threads_keep_their_order(void **state)
{
	pthread_t threads[LOGGERS];
	long next[LOGGERS] = { 0 };
	const char *line;

	(void)state;
	for (int i = 0; i < LOGGERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_lines,
		    (void *)(intptr_t)i), 0);
	for (int i = 0; i < LOGGERS; i++)
		pthread_join(threads[i], NULL);
	drain();
	for (line = out; *line; line = strchr(line, '\n') + 1) {
		long t = number(line, "thread=");

		assert_in_range(t, 0, LOGGERS - 1);
		assert_int_equal(number(line, " n="), next[t]++);
	}
}

/* Signals are somebody else's, whatever the threads of the log. */
static void
test_signals_do_not_go_to_the_thread(void **state)
{
	const struct timespec soon = { 5, 0 };
	sigset_t set;

	(void)state;
	log_error("the thread is there");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGTERM);
	assert_int_equal(sigtimedwait(&set, NULL, &soon), SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	drain();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nobody_reads_and_nobody_waits, setup),
		cmocka_unit_test_setup(test_errors_have_room_left, setup),
		cmocka_unit_test_setup(test_errors_wait_once, setup),
		cmocka_unit_test_setup(test_an_error_is_out_at_once, setup),
		cmocka_unit_test_setup(test_exit_waits_for_all_and_not_for_ever, setup),
		cmocka_unit_test_setup(test_fork, setup),
		cmocka_unit_test_setup(test_a_full_disk_is_no_trouble, setup),
		cmocka_unit_test_setup(test_no_reader_any_more, setup),
		cmocka_unit_test_setup(test_after_half_a_line, setup),
		cmocka_unit_test_setup(test_a_pipe_that_does_not_block, setup),
		cmocka_unit_test_setup(test_lines_of_threads_keep_their_order, setup),
		cmocka_unit_test_setup(test_signals_do_not_go_to_the_thread, setup),
	};
	int terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10), failed;

	unit_filter();
	stderr = fdopen(terminal, "w");		/* cmocka's */
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	dup2(terminal, STDERR_FILENO);
	return failed;
}
