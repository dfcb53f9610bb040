/*
 * Sparse acknowledgements: the ranges of offsets above the committed one that are done
 * already, as text in the metadata of the committed offset. The text is Kafka-Pixy's
 * (0.13 and later), so each understands what the other has left.
 *
 * A range is two numbers: how far it begins after the end of the one before (the first:
 * after the committed offset), and its length. A number is written in base 32, lowest
 * digit first, in base64's alphabet; a digit of 32 and more has another one behind it.
 *
 *	offset 301, done 302-304, 307-308:  1 3, 2 2  "BDCC"
 *
 * Pure functions, any thread.
 */
#ifndef KP_SPARSE_H
#define KP_SPARSE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/msg.h"

/* Offsets from .. to - 1. */
struct sparse_range {
	int64_t from, to;
};

/* A text of METADATA_MAX has no more. */
#define SPARSE_MAX (METADATA_MAX / 2)

/*
 * Reads the text that stands beside the offset `base` into v, which has room for
 * SPARSE_MAX, in ascending order and never touching. KP_EBADMSG: it is something else,
 * which users may have put there; *n is 0.
 */
enum kp_err sparse_decode(struct kp_slice text, int64_t base, struct sparse_range *v, size_t *n);

/*
 * Adds one range to the text. `base` is the committed offset, or the end of the range
 * that was added before, and less than .from. False, and nothing added: the text would be
 * longer than METADATA_MAX.
 */
struct sparse_text {
	char p[METADATA_MAX + 1];	/* NUL-terminated */
	size_t n;
};
bool sparse_add(struct sparse_text *t, int64_t base, struct sparse_range r);

#endif
