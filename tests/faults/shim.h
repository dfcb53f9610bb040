/*
 * What shim.so writes down, and what a program may tell it.
 *
 * The shim is preloaded. It sees every call that changes a file or folder below
 * one folder, does it, and writes a record, in one order for all threads; a
 * program adds its own records with shim_mark(). The environment:
 *
 *	KP_SHIM_DIR=/folder		absolute, without links
 *	KP_SHIM_TRACE=/file		where records go; must not be below the folder
 *	KP_SHIM_BRIEF=1			without the data of writes
 *	KP_SHIM_FAIL=KIND:SUFFIX:N:ERROR	the Nth call of that kind on a path that ends so
 *					fails; "N+": and all after it. ERROR: ENOSPC, EIO, EFBIG,
 *					or SHORT: half of it is written
 *	KP_SHIM_WHILE=/file		KP_SHIM_FAIL counts and fails only while it exists
 *	KP_SHIM_KILL=KIND:SUFFIX:N	SIGKILL before the Nth such call
 *	KP_SHIM_QUOTA=BYTES		a folder of that size: past it ENOSPC, after a short write
 *
 * KIND: open, write, truncate, sync, rename, unlink, link, mkdir, allocate, any; or
 * rewind: a write at the start of a file that is not empty (a WAL begun anew).
 */
#ifndef KP_FAULTS_SHIM_H
#define KP_FAULTS_SHIM_H

#include <stdint.h>

enum shim_kind {
	SHIM_CREATE,			/* path is a new file: object */
	SHIM_WRITE,			/* object, offset, data */
	SHIM_TRUNCATE,			/* object, offset: its size now */
	SHIM_SYNC,			/* object */
	SHIM_SYNC_DIR,			/* path */
	SHIM_MKDIR,			/* path */
	SHIM_RENAME,			/* path; data: the new path */
	SHIM_LINK,			/* path; data: the second path */
	SHIM_UNLINK,			/* path */
	SHIM_MARK,			/* mark, offset: an id */
	SHIM_FAULT,			/* path; a call that was made to fail */
	SHIM_KINDS
};

/* path_bytes of the path, without its folder, and data_bytes of data follow. */
struct shim_record {
	uint8_t kind;
	char mark;
	uint16_t path_bytes;
	uint32_t object;		/* a file, whatever its name is */
	int64_t offset;
	uint64_t data_bytes;
};

/* For dlsym(RTLD_DEFAULT, ...): NULL where the shim is not loaded. */
typedef void shim_mark_fn(char mark, int64_t id);	/* "shim_mark" */
typedef uint64_t shim_count_fn(void);			/* "shim_operations" */
typedef void shim_kill_fn(void);	/* "shim_kill": SIGKILL between two records */

#endif
