/*
 * The state of the sender, shared by sender.c (accepting, life), entry.c (one
 * message on its way) and lane.c (one topic: window and backlog). Nobody else
 * includes it.
 *
 * Every async message that is in memory is an entry. It may be in the store's
 * hands, in librdkafka's hands, or both, and is freed when it is in neither:
 *
 *	append: NONE -> QUEUED -> KEPT -> REMOVING -> (gone)
 *	send:   IDLE -> SENT -> DELIVERED, or back to IDLE
 *
 * An entry whose topic has a backlog is not sent; it is freed once it is kept,
 * and comes back from the disk in its turn.
 */
#ifndef KP_SENDER_STATE_H
#define KP_SENDER_STATE_H

#include "common/log.h"
#include "helper/produce/producer.h"
#include "helper/produce/rate.h"
#include "helper/produce/receipts.h"
#include "helper/produce/sender.h"
#include "helper/produce/store.h"

#define LANE_BUCKETS 256

enum append_state { APPEND_NONE, APPEND_QUEUED, APPEND_KEPT, APPEND_REMOVING };
enum send_state { SEND_IDLE, SEND_SENT, SEND_DELIVERED };

struct lane {				/* one topic */
	struct lane *next;		/* of its bucket */
	struct sender *sender;
	char name[TOPIC_MAX + 1];
	size_t in_window;
	size_t in_window_bytes;
	size_t alone_sent;		/* of these, each in a batch of its own */
	size_t leaving;			/* on their way to Kafka, or out of the store */
	size_t appending;		/* not sent, and not on disk yet */
	bool backlog;			/* the disk holds what was not sent */
	bool loading;
	bool load_covers;		/* the load sees all that was accepted */
	int64_t load_after;		/* where the load began */
	bool unreadable;		/* its rows are, until a restart */
	int64_t alone_until;		/* up to this id: one of them spoiled a batch */
	bool settling;			/* nothing is loaded while something is leaving, */
	int64_t settle_until_ms;	/* for so long at most: it would be sent twice */
	int64_t pause_until_ms;		/* after a strange failure */
	int64_t pending_bytes;		/* of its rows, with those that are being written */
	size_t entries;
	int64_t loaded_id;		/* everything up to here was sent */
};

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
	bool alone;			/* in a batch of its own */
	bool leaving;			/* counted so by its lane */
	struct entry *next;		/* of the sender's `again` */
	enum kp_err failed;		/* permanently, by Kafka */
	const char *reason;
};

struct sender {
	struct loop *loop;
	struct store *store;		/* NULL: durability memory */
	struct producer *producer;
	uint64_t max_bytes;
	int64_t next_id;		/* without a store */
	struct lane *lanes[LANE_BUCKETS];
	size_t n_lanes;
	struct receipts *receipts;
	struct rate rate;		/* of deliveries */
	struct store_counts counts;	/* without a store */
	struct log_rate stays, again_rate;
	size_t in_window;
	size_t in_window_bytes;
	struct loop_timer retry;
	struct entry *again;		/* their rows could not be removed: full disk */
	int64_t delivered_ms;		/* the last time Kafka took a message */
	int64_t drain_until_ms;
	struct loop_timer drain;
	bool closing;			/* nothing is sent or loaded any more */
	void (*drained)(void *arg);
	void *drained_arg;
};

/* entry.c */
size_t entry_bytes(const struct entry *e);
/* The id that its sender knows. */
int64_t entry_message(const struct entry *e);
/* Nobody has it any more: not the store, not librdkafka, not the one who waits. */
void entry_free_if_done(struct entry *e);
void entry_answer(struct entry *e);
void entry_refuse(struct entry *e, enum kp_err err, const char *text);
/* Hands it to librdkafka: KP_OK, or why not. */
enum kp_err entry_send(struct entry *e, const char **why);
/* Its row leaves the store, or moves to the dead letters. */
void entry_settle(struct entry *e, enum store_verb verb);
/* Tries once more what a full disk did not let leave. */
void entries_settle_again(struct sender *s);
/* Counted by its lane until entry_free_if_done(). NULL without memory. */
struct entry *entry_new(struct lane *lane);
/* Callbacks of the store and of the producer. */
void entry_appended(struct store_cmd *cmd, enum kp_err err);
void entry_delivered(void *arg, void *opaque, const struct delivery *d);

/* sender.c: how long it is worth waiting for room, in seconds. */
uint32_t sender_retry_after(const struct sender *s);

/* lane.c */
void lanes_each(struct sender *s, void (*each)(struct lane *lane));
void lanes_end(struct sender *s);
/* The topic's lane, made if there is none; NULL past TOPICS_MAX. */
struct lane *lane_find(struct sender *s, struct kp_slice topic);
bool lane_has_room(const struct lane *lane);
/* Reads on from the disk where its sending stopped, as far as there is room. */
void lane_load(struct lane *lane);

#endif
