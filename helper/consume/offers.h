/*
 * What of a partition was handed out, what came back, and so what may be
 * committed. Pure bookkeeping: no Kafka, no clock, no connection.
 *
 * Messages enter in the order of their offsets. Each is OUT with somebody, was
 * RETURNED to be offered again, is PENDING (delivered, to be acknowledged by its
 * offset), or is done, and then it is not kept any more:
 *
 *	offset   7     8     9        10    11       12   13
 *	         done  OUT   RETURNED done  PENDING  done <- read
 *	               ^ commit: the lowest that is not done; 10 and 12 are committed
 *	                 with it as ranges, see sparse.h
 *
 * Not everything that is done was read: the ranges that were committed, and what
 * is acknowledged of an earlier life of the partition (below `end`, which is where
 * the partition ended when it started), wait `ahead` until the reader comes there.
 */
#ifndef KP_OFFERS_H
#define KP_OFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "helper/consume/sparse.h"

/* More in one partition that are not done, and it waits. */
#define OFFERS_MAX 1000
#define OFFERS_BYTES_MAX (16u << 20)

enum offer_state { OFFER_OUT, OFFER_RETURNED, OFFER_PENDING };

struct offer {
	TAILQ_ENTRY(offer) link, due;	/* `due`: PENDING */
	int64_t offset;
	enum offer_state state;
	int64_t due_ms;			/* PENDING */
	size_t bytes;
	void *message;			/* the owner's */
};

struct offers {
	TAILQ_HEAD(, offer) all, due;	/* by offset; PENDING, by due_ms */
	size_t n;			/* of all states */
	size_t out, returned, pending;
	size_t bytes;
	int64_t commit;			/* see offers_commit() */
	int64_t read;			/* the next to be read */
	int64_t end;
	struct sparse_range *ahead;	/* ascending, never touching, after `read` */
	size_t n_ahead;
	uint64_t changes;		/* counts what is worth a commit */
};

/* `offset` is the first that will be handed out; below `end` something may have been
 * handed out before. */
void offers_init(struct offers *o, int64_t offset, int64_t end);
/* Ranges that are done already, ascending; right after offers_init(). What lies below its
 * offset counts for nothing. False: they reach beyond its end, or no memory; nothing is taken. */
bool offers_restore(struct offers *o, const struct sparse_range *v, size_t n);
bool offers_full(const struct offers *o);

/* The reader is at `offset`. True: it is done already, pass over it. */
bool offers_skip(struct offers *o, int64_t offset);
/* The reader is at `offset`: what it has passed over has no messages. */
void offers_pass(struct offers *o, int64_t offset);
/* Hands out a message read from the partition. NULL without memory. */
struct offer *offers_add(struct offers *o, int64_t offset, void *message, size_t bytes);
/* The returned one with the lowest offset, now OUT again; NULL: there is none. */
struct offer *offers_again(struct offers *o);

/* These three are for one that is OUT: it came back; it was delivered, and is to be
 * acknowledged before due_ms, which never goes down from call to call; it is done. */
void offers_return(struct offers *o, struct offer *f);
void offers_pend(struct offers *o, struct offer *f, int64_t due_ms);
/* Gives the message back to its owner, and frees the offer. */
void *offers_confirm(struct offers *o, struct offer *f);
/* PENDING ones that are due are RETURNED; how many. */
size_t offers_expire(struct offers *o, int64_t now_ms);

/*
 * Acknowledged by offset, whatever its state is. DONE: its offer, if there was one, is
 * freed, and *message is its owner's again. AGAIN: it was done already. NEVER: not handed
 * out, by nobody. FULL: too many that were not read yet, or no memory.
 */
enum offers_ack { OFFERS_DONE, OFFERS_AGAIN, OFFERS_NEVER, OFFERS_FULL };
enum offers_ack offers_ack(struct offers *o, int64_t offset, void **message);
/* The offer of that offset, or NULL. */
struct offer *offers_find(const struct offers *o, int64_t offset);

/* The offset to commit: everything below it is done. */
int64_t offers_commit(const struct offers *o);
/* The ranges above it that are done; the lowest first, if they do not all fit. */
void offers_ranges(const struct offers *o, struct sparse_text *out);
/* Frees all, calling drop(message) for each. What was done above offers_commit() is not any more:
 * it begins there again. */
void offers_clear(struct offers *o, void (*drop)(void *message));

#endif
