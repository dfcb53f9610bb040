/* See run.h. */
#include "tests/faults/run.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/unit.h"

#define LIMIT_MS 60000

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void
run_remove(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
run_absolute(const char *path)
{
	static char out[PATH_MAX];

	assert_non_null(realpath(path, out));
	return out;
}

static void
become(const struct run *r)
{
	const char *build = getenv("KP_BUILD"), *asan = getenv("ASAN_OPTIONS");
	char program[PATH_MAX], preload[PATH_MAX * 2], options[1000];
	const char *argv[8] = { "store_driver" };
	int fd = open("driver.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	build = build ? build : "build";
	snprintf(program, sizeof(program), "%s%s/store_driver", build, r->faults ? "/faults" : "");
	snprintf(preload, sizeof(preload), "%s/shim.so%s%s%s", build, r->malloc_fails ? ":" : "",
	    r->malloc_fails ? build : "", r->malloc_fails ? "/shim_malloc.so" : "");
	/* The shim comes before ASan, and calls what ASan has of the same name. */
	snprintf(options, sizeof(options), "%s:verify_asan_link_order=0", asan ? asan : "");
	setenv("ASAN_OPTIONS", options, 1);
	setenv("KP_SHIM_DIR", run_absolute(r->dir), 1);
	if (r->trace)
		setenv("KP_SHIM_TRACE", r->trace, 1);
	for (size_t i = 0; r->env[i][0]; i++)
		setenv(r->env[i][0], r->env[i][1], 1);
	setenv("LD_PRELOAD", preload, 1);
	for (size_t i = 0; i < COUNT(r->args) && r->args[i]; i++)
		argv[i + 1] = r->args[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, STDERR_FILENO);
	execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

int
run_driver(const struct run *r)
{
	struct pollfd p = { .events = POLLIN };
	int status;
	pid_t pid;

	if (!r->keep) {
		run_remove(r->dir);
		assert_int_equal(mkdir(r->dir, 0700), 0);
		if (r->trace)
			unlink(r->trace);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		become(r);
	p.fd = pidfd_open(pid, 0);
	assert_true(p.fd >= 0);
	status = poll(&p, 1, LIMIT_MS);
	close(p.fd);
	if (status != 1)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

const char *
run_log(void)
{
	static char text[1000];
	char line[1000];
	FILE *f = fopen("driver.log", "re");

	text[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		snprintf(text, sizeof(text), "%s", line);
		if (strstr(line, "store_driver: ") || strstr(line, "ERROR: AddressSanitizer"))
			break;
	}
	if (f)
		fclose(f);
	return text;
}
