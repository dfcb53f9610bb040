/*
 * The store's file and folder on the disk.
 */
#ifndef KP_STORE_PATH_H
#define KP_STORE_PATH_H

#include "common/err.h"

/*
 * Makes the folder (0700) and the file (0600) if they are missing. Refuses what
 * others could read or replace (KP_ECONFLICT): a folder that others may write to
 * or own, a symbolic link, another user's file. KP_EIO, KP_EFULL: the disk does
 * not let us. A line has been logged. Not while the store is open in this process:
 * closing a descriptor would drop its locks.
 */
enum kp_err store_path_check(const char *path);

#endif
