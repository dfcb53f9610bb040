/*
 * The launcher's files: a private directory for this run, and the pid file.
 */
#ifndef KP_LAUNCHER_RUNDIR_H
#define KP_LAUNCHER_RUNDIR_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

/* Short enough that a socket in it fits into a sockaddr_un. */
#define RUNDIR_MAX 80
/* What its name begins with, and the helper's socket in it. */
#define RUNDIR_PREFIX "kafka-pixy."
#define RUNDIR_SOCKET "helper.sock"

/* Where it may be made, in this order; NULL for a place that is not there. */
#define RUNDIR_PLACES 4
void rundir_places(const char *places[RUNDIR_PLACES]);

/*
 * Makes an empty directory, under $XDG_RUNTIME_DIR, or /run for root, or $TMPDIR,
 * or /tmp: the first of them that can be used. Nobody else may look into it, but
 * with `pass` others may pass through, to what they have a right to.
 * KP_EIO: see errno.
 */
enum kp_err rundir_make(bool pass, char out[RUNDIR_MAX]);
/* Removes it with all that is in it. */
void rundir_remove(const char *dir);

/* Writes dir/name, for our eyes only. KP_EIO: see errno. */
enum kp_err rundir_write(const char *dir, const char *name, struct kp_slice text);

/* Replaces the file as a whole: a reader sees our number or the one before. */
enum kp_err pidfile_write(const char *path);
/* Removes it if it is still ours. */
void pidfile_remove(const char *path);

#endif
