/*
 * Unix sockets: how one is taken, and blocking I/O with deadlines for the responder's
 * side.
 */
#ifndef KP_SOCK_H
#define KP_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* What is left until then, at least 1: for calls to which a time in the past is an error,
 * or -1 means for ever. */
int sock_left_ms(int64_t until_ms);

/*
 * A listening socket (non-blocking, close-on-exec) at `path`. Its mode is 0600,
 * or 0660 with `gid` as its group when gid is not (gid_t)-1. A socket left
 * behind by a dead process of the same owner is replaced; a live one, or
 * anything else at that path, is not: KP_ECONFLICT. KP_ETOOBIG: the path is too
 * long for a Unix socket. KP_EIO: see errno.
 */
enum kp_err sock_listen(const char *path, gid_t gid, int *fd);

/* Somebody listens there, or at least it cannot be said that nobody does. */
bool sock_is_served(const char *path);

/*
 * Between these two nobody of ours takes a socket at `path`: for one that another program
 * binds. sock_listen() does it by itself. After a second without the lock it goes on
 * without. -1 is no lock.
 */
int sock_lock(const char *path);
void sock_unlock(int lock);
/* Removes a socket that a dead process of our own user has left, if there is one. Errors
 * as of sock_listen(). */
enum kp_err sock_remove_stale(const char *path);

/* A connected socket, tried again every 20 ms until `until_ms` (a time on
 * clock_mono_ms's clock) while nobody listens. KP_EUNAVAIL after that. KP_ETOOBIG: the
 * path is too long. KP_EIO: see errno. */
enum kp_err sock_connect(const char *path, int64_t until_ms, int *fd);

/*
 * Writes all n bytes. *sent (may be NULL) tells how many the kernel took, also
 * after an error. KP_EGONE: the other side closed. KP_ETIMEDOUT: until_ms passed. KP_EIO.
 */
enum kp_err sock_write(int fd, const void *p, size_t n, int64_t until_ms, size_t *sent);

/*
 * Reads at least one byte, at most cap, into p; *n tells how many.
 * While it waits it watches `other` too (-1: nothing): when that side hangs up
 * *hungup is set, with KP_OK and *n == 0.
 * KP_EGONE: end of file or reset. KP_ETIMEDOUT, KP_EIO: likewise.
 */
enum kp_err sock_read(int fd, void *p, size_t cap, int64_t until_ms, int other,
    size_t *n, bool *hungup);

#endif
