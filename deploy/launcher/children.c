/*
 * fork, exec, wait. Each child leads a process group: Ctrl-C in a terminal then
 * reaches the launcher alone, which stops them in order, and what a dead child
 * leaves behind (nginx's workers, which would keep the port) is found by it.
 */
#include "deploy/launcher/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sock.h"
#include "deploy/launcher/backoff.h"

static bool
set_limits(const struct child_spec *spec)
{
	struct rlimit files;

	if (spec->files_max == 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return true;
	files.rlim_cur = spec->files_max < files.rlim_max ? spec->files_max : files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

/*
 * Enters the directory of the program and returns its name in there: the user to
 * be may have no way through the directories above, such as /root.
 */
static const char *
enter_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = strndup(path, (size_t)(slash - path) + 1);
	bool ok = dir && chdir(dir) == 0;

	free(dir);
	return ok ? slash + 1 : path;
}

/* In the child: returns only when something failed, with errno. */
static void
become(const struct child_spec *spec, pid_t launcher)
{
	const char *path = spec->path;
	sigset_t none;
	int in;

	setpgid(0, 0);
	in = spec->stdin_fd >= 0 ? spec->stdin_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in < 0 || dup2(in, STDIN_FILENO) < 0 || !set_limits(spec) ||
	    (spec->stderr_fd > 0 && dup2(spec->stderr_fd, STDERR_FILENO) < 0))
		return;
	/* All but 0, 1 and 2 close on exec; until then one tells of a failure. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (spec->user) {
		path = enter_directory(path);
		if (user_become(spec->user))
			return;
	}
	/* After the change of user, which would clear it. */
	if (prctl(PR_SET_PDEATHSIG, spec->death_signal) < 0)
		return;
	if (getppid() != launcher)
		_exit(1);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(path, (char *const *)spec->argv);
}

/* The pipe closes on exec, so an errno comes through it or nothing does. */
static enum kp_err
spawn(struct child *child)
{
	pid_t launcher = getpid();
	int fds[2], error = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return KP_EIO;
	child->pid = fork();
	if (child->pid == 0) {
		become(&child->spec, launcher);
		error = errno;
		if (write(fds[1], &error, sizeof(error)) < 0)
			_exit(126);
		_exit(127);
	}
	if (child->pid < 0)
		error = errno;
	close(fds[1]);
	if (child->pid > 0 && read(fds[0], &error, sizeof(error)) > 0)
		waitpid(child->pid, NULL, 0);
	close(fds[0]);
	if (error) {
		child->pid = 0;
		errno = error;
		return KP_EIO;
	}
	setpgid(child->pid, child->pid);
	child->started_ms = clock_mono_ms();
	child->due_ms = 0;
	return KP_OK;
}

static enum kp_err
start(struct child *child)
{
	const struct child_spec *s = &child->spec;

	if (s->leaves && child->started_ms)
		sock_remove_stale(s->leaves);
	if (spawn(child) == KP_OK) {
		log_debug("child started name=%s pid=%d", s->name, (int)child->pid);
		return KP_OK;
	}
	log_error("child cannot run name=%s path=%s%s%s: %s", s->name, s->path,
	    s->user ? " user=" : "", s->user ? s->user->name : "", strerror(errno));
	return KP_EIO;
}

static void
plan(struct child *child, int64_t lived_ms)
{
	child->wait_ms = backoff_next_ms(child->wait_ms, lived_ms);
	child->due_ms = clock_mono_ms() + child->wait_ms;
}

enum kp_err
children_add(struct children *c, const struct child_spec *spec)
{
	struct child *child = &c->v[c->n];

	*child = (struct child){ .spec = *spec };
	if (start(child))
		return KP_EIO;
	c->n++;
	return KP_OK;
}

static void
log_death(const struct child *child, pid_t pid)
{
	int st = child->status;

	if (WIFSIGNALED(st))
		log_error("child died name=%s pid=%d signal=%d retry_ms=%d: %s", child->spec.name,
		    (int)pid, WTERMSIG(st), (int)child->wait_ms, strsignal(WTERMSIG(st)));
	else
		log_error("child died name=%s pid=%d status=%d retry_ms=%d", child->spec.name,
		    (int)pid, WEXITSTATUS(st), (int)child->wait_ms);
}

static void
bury(struct children *c, struct child *child)
{
	pid_t pid = child->pid;

	/* Its number still names the group, and nobody else's, until it is waited for. */
	kill(-pid, SIGKILL);
	waitpid(pid, &child->status, 0);
	child->pid = 0;
	if (!c->restart)
		return;
	plan(child, clock_mono_ms() - child->started_ms);
	log_death(child, pid);
}

static bool
has_ended(const struct child *child)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid;
}

static bool
is_ours(const struct children *c, pid_t pid)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].pid == pid)
			return true;
	return false;
}

/* Those whose parent has died, for process 1; those of a shell that became us. */
static void
bury_strangers(const struct children *c)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid &&
	    !is_ours(c, info.si_pid))
		waitpid(info.si_pid, NULL, WNOHANG);
}

void
children_reap(struct children *c, unsigned kinds)
{
	for (size_t i = 0; i < c->n; i++)
		if ((c->v[i].spec.kind & kinds) && c->v[i].pid && has_ended(&c->v[i]))
			bury(c, &c->v[i]);
	bury_strangers(c);
}

int
children_tick(struct children *c)
{
	int64_t now = clock_mono_ms(), next = -1;

	for (size_t i = 0; i < c->n; i++) {
		struct child *child = &c->v[i];

		if (child->due_ms == 0)
			continue;
		if (child->due_ms <= now && start(child))
			plan(child, 0);
		if (child->due_ms && (next < 0 || child->due_ms - now < next))
			next = child->due_ms - now;
	}
	return (int)next;
}

size_t
children_running(const struct children *c, unsigned kinds)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += (c->v[i].spec.kind & kinds) && c->v[i].pid;
	return n;
}

const struct child *
children_first(const struct children *c, enum child_kind kind)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].spec.kind == kind)
			return &c->v[i];
	return NULL;
}

void
children_signal(const struct children *c, unsigned kinds, int sig)
{
	for (size_t i = 0; i < c->n; i++)
		if ((c->v[i].spec.kind & kinds) && c->v[i].pid)
			kill(c->v[i].pid, sig);
}

void
children_kill(struct children *c, unsigned kinds)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!(c->v[i].spec.kind & kinds) || !c->v[i].pid)
			continue;
		/* Twice at most: bury() kills what the first one left. */
		kill(c->v[i].pid, SIGKILL);
		bury(c, &c->v[i]);
	}
}
