/*
 * A table by name. Its entries live inside the objects that have the names, so that nothing
 * is allocated with them; the table grows as it fills, and serves on when it cannot.
 */
#ifndef KP_NAMES_H
#define KP_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct names_entry {
	struct names_entry *next;	/* of its bucket */
	const char *name;		/* the object's */
	uint32_t hash;
};

/* All zero: empty, and nothing to free. */
struct names {
	struct names_entry **buckets;
	size_t n_buckets;
	size_t n;
};

/* NULL: there is none. */
struct names_entry *names_find(const struct names *t, struct kp_slice name);
/* The name is not there yet, and stays where it is as long as it is there. False: there is
 * no memory for even the first of them. */
bool names_add(struct names *t, struct names_entry *e, const char *name);
/* An object of so many bytes, all zero, which begins with its entry; it has a copy of the name,
 * and is in the table. To be freed with free(), once it is not. NULL without memory. */
void *names_new(struct names *t, size_t bytes, struct kp_slice name);
void names_remove(struct names *t, struct names_entry *e);
/* One after the other, NULL first, in no order; none may be added meanwhile, and only the one
 * before may be removed after the next was asked for. */
struct names_entry *names_next(const struct names *t, const struct names_entry *e);
/* One after the other, until NULL: then the table is empty, and has nothing to free. Nothing
 * else is done with it in between. */
struct names_entry *names_take(struct names *t);
/* Frees the table, not the objects: their entries mean nothing any more. */
void names_clear(struct names *t);

#endif
