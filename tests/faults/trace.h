/*
 * What the shim wrote down, read back; and the files that a power loss leaves.
 */
#ifndef KP_FAULTS_TRACE_H
#define KP_FAULTS_TRACE_H

#include "tests/faults/shim.h"
#include "tests/faults/workload.h"

struct trace_op {
	enum shim_kind kind;
	uint32_t object;
	int64_t offset;
	char path[256], to[256];	/* to: of a rename or link */
	const uint8_t *data;
	size_t data_bytes;
};

struct trace {
	uint8_t *bytes;
	size_t n_bytes;
	unsigned seed;			/* of the driver */
	struct trace_op *ops;		/* without marks and faults */
	size_t n_ops;
	struct fate *fates;		/* by number of the message */
	size_t n_fates;
	size_t faults;
	size_t stuck;			/* a removal had to wait for room */
};

/* Fails the running test when there is none. */
void trace_read(struct trace *t, const char *file, unsigned seed);
void trace_free(struct trace *t);
/* Messages that were answered, and whose removal had not begun, before op `at`. */
size_t trace_owed(const struct trace *t, uint64_t at);
/* Operations of that kind on a path that ends so; *: any. */
size_t trace_count(const struct trace *t, enum shim_kind kind, const char *suffix);

/*
 * Into the folder, which is empty, come the files as they may be when the power
 * fails before operation `at`: whatever was synced; and of the rest, sector by
 * sector of 512 bytes, what it was at some moment since. So writes are torn and
 * change places, a file's size is older than its content or newer, and what was
 * done to a folder since its last sync is undone from some moment on.
 *
 * IMAGE_ALL leaves out nothing: the files as the programs saw them.
 */
enum image_kind { IMAGE_NONE, IMAGE_ALL, IMAGE_ANY_MOMENT, IMAGE_HALF, IMAGE_MOST, IMAGE_FEW,
	IMAGE_IN_ORDER, IMAGE_KINDS };
void image_write(const struct trace *t, uint64_t at, enum image_kind kind, struct rng *r,
    const char *folder);

#endif
