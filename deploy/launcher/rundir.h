/*
 * The launcher's files: private directories for this run, and the pid file.
 */
#ifndef KP_LAUNCHER_RUNDIR_H
#define KP_LAUNCHER_RUNDIR_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

/* Short enough that a socket in it fits into a sockaddr_un. */
#define RUNDIR_MAX 80
/* What its name begins with, and what is in it. */
#define RUNDIR_PREFIX "kafka-pixy."
#define RUNDIR_SOCKET "helper.sock"
#define RUNDIR_RESPONDERS "responder.sock"
#define RUNDIR_OPTIONS "helper.conf"
#define RUNDIR_NGINX "nginx.conf"
#define RUNDIR_NGINX_PID "nginx.pid"
#define RUNDIR_TEMP "tmp"

/*
 * A directory, and the lock that says that its launcher lives: the kernel lets go of it
 * when the launcher ends, however that is.
 */
struct rundir {
	char path[RUNDIR_MAX];		/* empty: none */
	int lock;
};

/*
 * Where they may be made, in this order: $XDG_RUNTIME_DIR, /run, $TMPDIR, /tmp, each
 * without links. NULL for a place that is not there, or where somebody who is neither
 * root nor we could put another directory in the place of ours. For root that is every
 * place with a parent that is not root's.
 */
#define RUNDIR_PLACES 4
void rundir_places(const char *places[RUNDIR_PLACES]);

/*
 * Makes an empty directory in the first place that can be used. Nobody else may look
 * into it, but with `pass` others may pass through, to what they have a right to: then a
 * place that is closed to them, as root's own /run/user/0 is, cannot be used.
 * KP_EIO: see errno.
 */
enum kp_err rundir_make(bool pass, struct rundir *out);
/* The same for what is large, in /var/tmp, which is on a disk. KP_EIO: there is none. */
enum kp_err rundir_make_spool(bool pass, struct rundir *out);
/* Removes it with all that is in it. */
void rundir_remove(struct rundir *d);

/*
 * Removes those directories of our user, in all of these places, whose launcher is gone;
 * a line is logged for each. One that has anything in it that no launcher puts there is
 * left alone, and one with a socket that somebody serves.
 */
void rundir_sweep(void);

/* Writes dir/name, for our eyes only. KP_EIO: see errno. */
enum kp_err rundir_write(const char *dir, const char *name, struct kp_slice text);

/* Replaces the file as a whole: a reader sees our number or the one before. */
enum kp_err pidfile_write(const char *path);
/* Removes it if it is still ours. */
void pidfile_remove(const char *path);

#endif
