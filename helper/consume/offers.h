/*
 * What of a partition was handed out, what came back, and so what may be
 * committed. Pure bookkeeping: no Kafka, no clock, no connection.
 *
 * Messages enter in the order of their offsets. Each is OUT with somebody, was
 * RETURNED to be offered again, or is CONFIRMED:
 *
 *	offset   7        8     9        10            11
 *	       CONFIRMED  OUT   RETURNED CONFIRMED     <- next
 *	                  ^ commit: the lowest that is not confirmed
 *
 * A confirmed one is kept while a lower one is not.
 */
#ifndef KP_OFFERS_H
#define KP_OFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More in one partition, and it waits for the lowest to be confirmed. */
#define OFFERS_MAX 1000

enum offer_state { OFFER_OUT, OFFER_RETURNED, OFFER_CONFIRMED };

struct offer {
	struct offer *prev, *next;
	int64_t offset;
	enum offer_state state;
	void *message;			/* the owner's; NULL once confirmed */
};

struct offers {
	struct offer *first, *last;
	size_t n;			/* of all states */
	size_t out;
	int64_t commit;			/* see offers_commit() */
};

/* `offset` is the first that will be handed out. */
void offers_init(struct offers *o, int64_t offset);
bool offers_full(const struct offers *o);
/* Hands out a message read from the partition. NULL without memory. */
struct offer *offers_add(struct offers *o, int64_t offset, void *message);
/* The returned one with the lowest offset, now OUT again; NULL: there is none. */
struct offer *offers_again(struct offers *o);
/* The offer came back, or was confirmed; only for one that is OUT. */
void offers_return(struct offers *o, struct offer *f);
/* Gives the message back to its owner. The offer may be freed by this. */
void *offers_confirm(struct offers *o, struct offer *f);
/* The offset to commit: everything below it is confirmed. */
int64_t offers_commit(const struct offers *o);
/* Frees all, calling drop(message) for those that are not confirmed. */
void offers_clear(struct offers *o, void (*drop)(void *message));

#endif
