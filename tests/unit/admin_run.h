/*
 * A command for operators in a process of its own, to a fake helper: what it is
 * given on its terminal, and what it says.
 */
#ifndef KP_ADMIN_RUN_H
#define KP_ADMIN_RUN_H

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>

#include "deploy/admin/admin.h"
#include "tests/unit/fake_helper.h"
#include "tests/unit/unit.h"

#define SAID_MAX (64 * 1024)
#define WORDS_MAX 8

struct said {
	int status;
	char out[SAID_MAX];
	char err[SAID_MAX];
};

static inline void
read_back(int fd, char *text)
{
	ssize_t n = pread(fd, text, SAID_MAX - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

/* `words`: the command and its arguments, NULL past the last. `socket`: where it
 * finds the helper, NULL: as the words or the environment say. `out_fd`: its standard
 * output, -1: s->out. */
static inline void
run_command_to(struct said *s, int out_fd, const char *socket, const char *const *words)
{
	int out = out_fd >= 0 ? out_fd : memfd_create("out", MFD_CLOEXEC);
	int err = memfd_create("err", MFD_CLOEXEC);
	char *argv[WORDS_MAX + 1] = { NULL };
	int argc = 0, status;
	pid_t pid;

	for (; argc < WORDS_MAX && words[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		if (socket)
			setenv("KAFKA_PIXY_SOCKET", socket, 1);
		dup2(null, 0);
		dup2(out, 1);
		dup2(err, 2);
		status = (int)admin_run(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	assert_true(WIFEXITED(status));
	s->status = WEXITSTATUS(status);
	s->out[0] = '\0';
	if (out_fd < 0)
		read_back(out, s->out);
	read_back(err, s->err);
}

#define run_command(s, socket, ...)						\
	run_command_to(s, -1, socket, (const char *const [WORDS_MAX + 1]){ __VA_ARGS__ })

#endif
