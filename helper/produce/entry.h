/*
 * One async message: on its way into the store, to Kafka, and out of the store.
 *
 * Every async message that is in memory is an entry. It may be in the store's
 * hands, in a partition's, or both, and is freed when it is in neither:
 *
 *	append: NONE -> QUEUED -> KEPT -> REMOVING -> NONE
 *		QUEUED -> NONE: taken back, or it failed; NONE -> KEPT: read from the disk
 *	send:   IDLE -> WAITING -> SENT -> DELIVERED or REFUSED
 *		SENT -> WAITING: again; WAITING -> REFUSED: librdkafka does not take it;
 *		WAITING -> WAITING: librdkafka does not take it now;
 *		WAITING, SENT -> IDLE: back to the disk, or given up at the end
 *
 * Only enter_append() and enter_send() in entry.c make these steps. An entry whose topic has a
 * backlog stays IDLE; it is freed once it is kept, and comes back from the disk in its turn.
 *
 * Loop thread only, but for what is said of the partition.
 */
#ifndef KP_ENTRY_H
#define KP_ENTRY_H

#include <sys/queue.h>

#include "common/log.h"
#include "helper/op.h"
#include "helper/store/store.h"

struct delivery;
struct lane;
struct partition_queue;
struct sender;

enum append_state { APPEND_NONE, APPEND_QUEUED, APPEND_KEPT, APPEND_REMOVING };
enum send_state { SEND_IDLE, SEND_WAITING, SEND_SENT, SEND_DELIVERED, SEND_REFUSED };

TAILQ_HEAD(entries, entry);

struct entry {
	struct sender *sender;
	struct lane *lane;
	struct op *op;			/* NULL once answered */
	struct store_row row;		/* its bytes are in `body` */
	void *body;
	struct store_cmd append;
	struct store_cmd remove;
	enum append_state appended;
	enum send_state sent;
	uint32_t tries;
	struct partition_queue *queue;	/* in whose hands it is */
	TAILQ_ENTRY(entry) link;	/* there, or among the `unsettled` */
	/* Read by librdkafka's thread, too, while it is SENT: without a key it goes to this
	 * one of so many partitions. */
	int32_t partition, partitions;
	enum kp_err failed;		/* permanently, by Kafka */
	const char *reason;
	int64_t stamp_ms;		/* the time that it was last sent with, wall clock */
};

/* What entry.c keeps of a sender. */
struct entries_kept {
	struct entries unsettled;	/* their rows could not be removed: full disk */
	struct log_rate stays, again;
};

/* Nobody has it any more: not the store, not librdkafka, not the one who waits. */
void entry_free_if_done(struct entry *e);
void entry_refuse(struct entry *e, enum kp_err err, const char *text);
/* Hands it to the store, in which it is kept when its sender is answered. */
void entry_append(struct entry *e);
/* What was read of the disk can never be sent: it is a dead letter. */
void entry_damaged(struct entry *e);
/* It is in the hands of a partition: for the first time, or again. */
void entry_wait(struct entry *e);
/* Hands it to librdkafka: KP_OK, or why not. */
enum kp_err entry_send(struct entry *e, struct delivery *failed);
/* It failed, and waits to be sent again. */
void entry_again(struct entry *e, const char *text);
/* It is in nobody's hands any more; after each of these it may be gone. What its report says: */
void entry_done(struct entry *e, const struct delivery *d);
void entry_hopeless(struct entry *e, enum kp_err err, const char *text);
/* It was not sent, and waits on the disk for its turn. */
void entry_put_back(struct entry *e);
/* The end has come: it stays in the store, if that keeps it. */
void entry_given_up(struct entry *e);
/* Tries once more what a full disk did not let leave. */
void entries_settle_again(struct sender *s);
/* Counted by its lane until entry_free_if_done(). NULL without memory. */
struct entry *entry_new(struct lane *lane);
/* The same of a row from the disk, which is kept already. Its allocation is the entry's from
 * then on. */
struct entry *entry_from_disk(struct lane *lane, struct store_loaded *row);

#endif
