/*
 * Files beside the store's own, and what the disk has left:
 *
 *	PATH-reserve	room that is given up when the disk is full, so that what was
 *			delivered can still leave the store
 *	PATH-suspect	the store failed: the next start looks at all of it
 *
 * Store thread, or before it starts.
 */
#ifndef KP_STORE_DISK_H
#define KP_STORE_DISK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define DISK_RESERVE_BYTES (4 * 1024 * 1024)

/* PATH and what stands behind it, as a name: it returns `out`. */
const char *disk_beside(const char *path, const char *suffix, char out[PATH_MAX]);

/* True when there is a whole reserve now. */
bool disk_make_reserve(const char *path);
/* False when there was none. */
bool disk_release_reserve(const char *path);

void disk_mark_suspect(const char *path);
void disk_clear_suspect(const char *path);
bool disk_is_suspect(const char *path);

/* A file that is no valid store may be one that was: then it may be set aside. */
bool disk_looks_like_ours(const char *path);

/* What an ordinary user may still write, -1 when nobody knows. */
int64_t disk_free_bytes(const char *path);

/* The names in the folder of `path` are on the disk. */
enum kp_err disk_sync_folder(const char *path);

#endif
