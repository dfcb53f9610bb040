/*
 * Ids of messages.
 *
 * Inside, an id is a place in the queue: one after the other, in the order of
 * acceptance. What clients are told is that number encrypted, so that nobody who has
 * ids can tell those of others, or how many there are:
 *
 *	1 … IDS_FIRST - 1	of stores of before: told as it is
 *	IDS_FIRST + n		told as IDS_FIRST + the permutation of n, of 61 bits
 *
 * The file has the key, and how far numbers may have been given; that is synced before
 * one of them is, whatever the durability. So a store tells no id twice, after any crash,
 * whatever the clock says. Two stores, and two processes without one, have keys of their
 * own: an id of the one is that of another in the other with a chance of 1 in 2^61.
 *
 * Any thread.
 */
#ifndef KP_IDS_H
#define KP_IDS_H

#include <stdint.h>

#include "common/err.h"

#define IDS_FIRST (INT64_C(1) << 62)
#define IDS_END (IDS_FIRST + (INT64_C(1) << 61))
/* So many at once may be given from here on: more than can be until the next start of a
 * helper whose disk is full. 2^29 of these there are. */
#define IDS_RESERVE (INT64_C(1) << 32)

#define IDS_KEY_BYTES 16
struct ids {
	uint8_t key[IDS_KEY_BYTES];
};

/* With a key that nobody knows. KP_EIO: the system has none to give. */
enum kp_err ids_new(struct ids *ids);
/* What a client is told; 0 for 0. */
int64_t ids_told(const struct ids *ids, int64_t row);
/* The row, or where it would be, of what a client says that he was told; > 0. */
int64_t ids_row(const struct ids *ids, int64_t told);

#endif
