/* The helper's process: start, end, memory, log. Its end is waited for through a
 * descriptor, and it dies with the test. */
#include "common/clock.h"
#include "tests/it/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define ARGS_MAX 64

void
helper_init(struct helper *h)
{
	static unsigned number;

	*h = (struct helper){ .pidfd = -1 };
	snprintf(h->dir, sizeof(h->dir), "h%u", ++number);
	if (mkdir(h->dir, 0700) < 0 && errno != EEXIST)
		fail_msg("mkdir %s: %s", h->dir, strerror(errno));
	snprintf(h->socket, sizeof(h->socket), "%s/h.sock", h->dir);
	snprintf(h->store, sizeof(h->store), "%s/store.db", h->dir);
	snprintf(h->log, sizeof(h->log), "%s/h.log", h->dir);
}

/* In the child: nothing but what may follow a fork of a threaded process. */
static void
become(const char *program, char *const *args, const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	/* The mock's sockets must not live on in the helper: they would never close. */
	close_range(3, ~0u, 0);
	execvp(program, args);
	_exit(127);
}

static void
spawn(struct helper *h, const char *brokers, const char *const *options)
{
	const char *build = getenv("KP_BUILD");
	char program[512];
	const char *usual[] = { program, "--kafkaPeers", brokers,
		"--coordination", "local", "--socket", h->socket, "--store", h->store,
		"--logLevel", "debug", "-X", "reconnect.backoff.ms=20",
		"-X", "reconnect.backoff.max.ms=200", NULL };
	const char *const *const words[] = { h->before, usual, options };
	const char *args[ARGS_MAX] = { NULL };
	size_t n = 0;

	for (size_t i = 0; i < COUNT(words); i++)
		for (const char *const *w = words[i]; w && *w; w++) {
			assert_true(n < ARGS_MAX - 1);
			args[n++] = *w;
		}
	snprintf(program, sizeof(program), "%s/kafka-pixy-helper", build ? build : "build");
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (h->pid == 0)
		become(args[0], (char *const *)(uintptr_t)args, h->log);
	h->pidfd = pidfd_open(h->pid, 0);
	assert_true(h->pidfd >= 0);
}

void
helper_start(struct helper *h, const char *brokers, const char *const *options)
{
	int64_t start = clock_mono_ms();
	struct peer p;

	spawn(h, brokers, options);
	peer_open(&p, h);
	assert_err(peer_ping(&p), KP_OK);
	h->start_ms = (int)(clock_mono_ms() - start);
	peer_close(&p);
}

void
helper_start_faulty(struct helper *h, const char *brokers, const char *const *options,
    const char *variable, const char *value)
{
	const char *build = getenv("KP_BUILD");
	char usual[512], faulty[520];

	snprintf(usual, sizeof(usual), "%s", build ? build : "build");
	snprintf(faulty, sizeof(faulty), "%s/faults", usual);
	setenv("KP_BUILD", faulty, 1);
	setenv(variable, value, 1);
	helper_start(h, brokers, options);
	unsetenv(variable);
	setenv("KP_BUILD", usual, 1);
}

int
helper_run(struct helper *h, const char *brokers, const char *const *options)
{
	int status;

	spawn(h, brokers, options);
	status = helper_wait(h, PEER_WAIT_MS);
	if (status < 0)
		helper_kill(h);
	return status;
}

void
helper_signal(struct helper *h, int sig)
{
	assert_int_equal(kill(h->pid, sig), 0);
}

int
helper_wait(struct helper *h, int64_t wait_ms)
{
	struct pollfd p = { h->pidfd, POLLIN, 0 };
	int status;

	if (poll(&p, 1, (int)wait_ms) != 1)
		return -1;
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
	close(h->pidfd);
	h->pidfd = -1;
	h->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
helper_kill(struct helper *h)
{
	if (h->pid == 0)
		return;
	helper_signal(h, SIGKILL);
	assert_int_equal(helper_wait(h, PEER_WAIT_MS), 128 + SIGKILL);
}

void
helper_stop(struct helper *h, int64_t within_ms)
{
	int status;

	if (h->pid == 0)
		return;
	helper_signal(h, SIGTERM);
	status = helper_wait(h, within_ms);
	if (status < 0) {
		helper_kill(h);
		fail_msg("the helper did not end within %lld ms of SIGTERM",
		    (long long)within_ms);
	}
	assert_int_equal(status, 0);
}

int64_t
helper_loop_ns(const struct helper *h)
{
	char path[64];
	long long ns;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)h->pid, (int)h->pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lld", &ns), 1);
	fclose(f);
	return ns;
}

long
helper_rss_kib(const struct helper *h)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)h->pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	fclose(f);
	assert_true(kib > 0);
	return kib;
}

int
helper_logged(const struct helper *h, const char *text)
{
	char line[4096];
	int n = 0;
	FILE *f = fopen(h->log, "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

void
helper_wait_logged(const struct helper *h, const char *text)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;

	while (helper_logged(h, text) == 0) {
		if (clock_mono_ms() > until)
			fail_msg("%s says nothing of \"%s\"", h->log, text);
		poll(NULL, 0, 20);
	}
}
