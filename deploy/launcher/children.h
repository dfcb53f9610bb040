/*
 * The processes that the launcher started: in groups of their own, started again
 * when they die, stopped kind by kind.
 *
 * SIGCHLD is blocked by the caller, who calls children_reap() after each one.
 * A launcher that is killed takes them all with it (PR_SET_PDEATHSIG).
 */
#ifndef KP_LAUNCHER_CHILDREN_H
#define KP_LAUNCHER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/err.h"
#include "deploy/launcher/user.h"

/* Bits, so that several can be asked for at once. */
enum child_kind { CHILD_HELPER = 1, CHILD_RESPONDER = 2, CHILD_NGINX = 4, CHILD_ANY = 7 };

#define CHILDREN_MAX 32

/* What to run. All pointers are borrowed and live as long as the children do. */
struct child_spec {
	enum child_kind kind;
	const char *name;		/* for the log */
	const char *path;		/* absolute */
	const char *const *argv;
	const struct user *user;	/* NULL: the launcher's own */
	int stdin_fd;			/* -1: /dev/null */
	int stderr_fd;			/* 0: as ours */
	int death_signal;		/* when the launcher dies */
	const char *leaves;		/* a socket that a killed one leaves, or NULL */
	rlim_t files_max;		/* descriptors; 0: as it is */
};

struct child {
	struct child_spec spec;
	pid_t pid;			/* 0: not running */
	int status;			/* of its last end, as from waitpid(2) */
	int64_t started_ms;
	int64_t wait_ms;		/* its last back-off; 0: none yet */
	int64_t due_ms;			/* to be started then; 0: not waiting */
};

struct children {
	struct child v[CHILDREN_MAX];
	size_t n;
	bool restart;			/* start again what dies */
};

/* Adds a child and starts it. KP_EIO: it cannot be run, a line has been logged. */
enum kp_err children_add(struct children *c, const struct child_spec *spec);

/* Takes note of those of the kinds that have ended. With c->restart, each end is logged as an
 * error and its next start is planned. Buries any other process that has become a child. */
void children_reap(struct children *c, unsigned kinds);

/* Starts what is due. Milliseconds until the next is, -1 when none waits. */
int children_tick(struct children *c);

/* How many of those kinds run. */
size_t children_running(const struct children *c, unsigned kinds);
/* The first of a kind; NULL when there never was one. */
const struct child *children_first(const struct children *c, enum child_kind kind);

void children_signal(const struct children *c, unsigned kinds, int sig);
/* Kills them with everything they started, and buries them. */
void children_kill(struct children *c, unsigned kinds);

#endif
