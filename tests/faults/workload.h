/*
 * The messages that the driver sends, so that whoever knows the seed and the number
 * of one knows every byte of it; and what a trace says became of each.
 */
#ifndef KP_FAULTS_WORKLOAD_H
#define KP_FAULTS_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "helper/store/store.h"

#define MESSAGES_MAX 200000
#define VALUE_MAX 20000

extern const char *const workload_topics[];
#define WORKLOAD_TOPICS 4

/* A generator for everything random. */
struct rng {
	uint64_t x;
};
uint64_t rng_next(struct rng *r);
/* Below n, which is not 0. */
unsigned rng_below(struct rng *r, unsigned n);
struct rng rng_of(unsigned seed, uint64_t what);

/* The row of message n, without its id; its bytes are in `room`. */
struct message_room {
	uint8_t key[64], value[VALUE_MAX];
};
struct store_row workload_row(unsigned seed, unsigned n, struct message_room *room);
/* The number of the message that a row holds, whatever its id: it is told by the
 * time of acceptance. False: nobody sent it. */
bool workload_number(const struct store_row *row, unsigned *n);
/* What is not as it was sent; NULL: every byte is. */
const char *workload_compare(unsigned seed, unsigned n, const struct store_row *row);

/* What store_load() has found, once it is done. */
struct loading {
	bool done;
	enum kp_err err;
	struct store_loaded *rows;
};
/* Its callback; `arg` is a struct loading. */
void loading_found(void *arg, enum kp_err err, struct store_loaded *rows);

/*
 * What the driver marks, before it hands something over and after it was told:
 *
 *	S id	message sent, the next number,	F n	told that it is not kept
 *	A n	told that it is kept
 *	D n	removal handed over		d n	told that it is done
 *	B n	to be a dead letter		b n	told that it is one
 *	X	rows could not leave a full disk	M	memory ran out
 */

/* A point in a trace past the end of it. */
#define NEVER UINT64_MAX
/* When each was marked, in operations of the trace; NEVER. */
struct fate {
	int64_t id;
	uint64_t sent, answered, refused, remove, removed, bury, buried;
};

#endif
