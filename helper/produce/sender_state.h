/*
 * The state of the sender, shared by sender.c (accepting, life), sender_retry.c, entry.c (one
 * message on its way), lane.c (one topic: window and backlog), part.c (one partition: what
 * waits and what librdkafka has), part_back.c (back to the disk with it), part_stuck.c (what
 * is not reported), stamp.c (its time) and doubt.c (a topic that Kafka says is not there).
 * Nobody else includes it.
 *
 * Every async message that is in memory is an entry. It may be in the store's
 * hands, in a partition's, or both, and is freed when it is in neither:
 *
 *	append: NONE -> QUEUED -> KEPT -> REMOVING -> NONE
 *		QUEUED -> NONE: taken back, or it failed; NONE -> KEPT: read from the disk
 *	send:   IDLE -> WAITING -> SENT -> DELIVERED or REFUSED
 *		SENT -> WAITING: again; WAITING -> REFUSED: librdkafka does not take it;
 *		WAITING, SENT -> IDLE: back to the disk, or given up at the end
 *
 * Only enter() in entry.c makes these steps. An entry whose topic has a backlog stays
 * IDLE; it is freed once it is kept, and comes back from the disk in its turn.
 */
#ifndef KP_SENDER_STATE_H
#define KP_SENDER_STATE_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "common/log.h"
#include "helper/kafka/kafka_list.h"
#include "helper/kafka/producer.h"
#include "helper/produce/rate.h"
#include "helper/produce/receipts.h"
#include "helper/produce/sender.h"
#include "helper/store/store.h"

#define LANE_BUCKETS 256

enum append_state { APPEND_NONE, APPEND_QUEUED, APPEND_KEPT, APPEND_REMOVING };
enum send_state { SEND_IDLE, SEND_WAITING, SEND_SENT, SEND_DELIVERED, SEND_REFUSED };

TAILQ_HEAD(entries, entry);

/*
 * One partition of a topic. A wave is what librdkafka has of it: no more than goes into
 * one request, and nothing follows before all reports of it are in. So nothing can
 * overtake what has to be sent again.
 */
struct part {
	struct entries wave;		/* as sent; those that failed wait here for the others */
	struct entries queue;		/* what comes after it */
	size_t load;			/* in both */
	size_t wave_size;		/* when it was sent */
	size_t unreported;
	size_t limit;			/* of the next wave */
	bool held;			/* by the producer: more than one may go */
	bool refused;			/* the wave was, maybe for one message in it */
	int64_t pause_until_ms;		/* after a strange failure */
	int64_t sent_ms;		/* when the wave began */
	int64_t led_ms;			/* since when it has a leader all the same; 0: not asked */
	uint64_t overtaken_at;		/* the sender's waves_done, when others must not be ahead */
	unsigned generation;		/* of the producer that got it */
};

/*
 * Kafka says that the topic is not there, or not for us: a broker that has just started may
 * say so of any. It is true when the topic was missing from all lists of topics for
 * DOUBT_MS, and brokers of which there are several have both said so.
 */
struct doubt {
	int64_t since_ms;		/* the first failure; 0: there is no doubt */
	int64_t last_ms;		/* the latest one */
	enum kp_err err;		/* likewise */
	bool missed;			/* from a list */
	bool by_several;		/* from those of two brokers */
	int32_t broker;			/* that made the first one */
	bool over;			/* it is true */
};

struct lane {				/* one topic */
	struct lane *next;		/* of its bucket */
	struct sender *sender;
	char name[TOPIC_MAX + 1];
	STAILQ_ENTRY(lane) ready_link;	/* of the sender's `ready` */
	bool ready;
	int64_t used_ms;		/* when it was last found */
	struct part *parts;
	int32_t n_parts;
	int32_t partitions;		/* by which the entries were divided; 0: not known */
	_Atomic int32_t partitions_seen;	/* by librdkafka, latest; 0: never */
	int64_t taken_ms;		/* when Kafka last took a message; 0: or failed since */
	unsigned taken_generation;	/* of the producer then */
	int64_t moved_ms;		/* when Kafka last took one, or the window had none */
	struct doubt doubt;
	int64_t old_ms;			/* brokers refuse messages that are so old; 0: or of now */
	int64_t old_seen_ms;		/* when they last did; 0: never */
	int64_t old_told_ms;		/* when the log was last told */
	size_t in_window;		/* in the parts' hands */
	size_t in_window_bytes;
	size_t appending;		/* not sent, and not on disk yet */
	bool backlog;			/* the disk holds what was not sent */
	bool loading;
	bool load_covers;		/* the load sees all that was accepted */
	bool unreadable;		/* its rows are, until a restart */
	size_t entries;
	int64_t loaded_id;		/* everything up to here is in the parts' hands, or was */
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
	struct part *part;		/* in whose hands it is */
	TAILQ_ENTRY(entry) link;	/* there, or in the sender's `again` */
	/* Read by librdkafka's thread, too, while it is SENT: without a key it goes to this
	 * one of so many partitions. */
	int32_t partition, partitions;
	enum kp_err failed;		/* permanently, by Kafka */
	const char *reason;
	int64_t stamp_ms;		/* the time that it was last sent with, wall clock */
};

struct sender {
	struct loop *loop;
	struct store *store;
	struct producer *producer;
	uint64_t max_bytes;
	struct lane *lanes[LANE_BUCKETS];
	size_t n_lanes;
	struct receipts *receipts;
	bool old_times_die;
	struct rate rate;		/* of deliveries */
	struct log_rate stays, again_rate, refused_rate;
	size_t in_window;
	size_t in_window_bytes;
	size_t request_messages, request_bytes;
	STAILQ_HEAD(, lane) ready;	/* something of them may be sent */
	bool flushing;			/* not now: waves are being sent */
	struct loop_timer retry;
	struct entries again;		/* their rows could not be removed: full disk */
	int64_t delivered_ms;		/* the last time Kafka took a message */
	size_t waves_out;		/* parts that librdkafka has something of */
	uint64_t waves_done;
	int64_t renewed_ms;		/* the last time something was stuck */
	int64_t renew_pause_ms;		/* until the next time */
	int64_t drain_until_ms;
	struct loop_timer drain;
	bool closing;			/* nothing is sent or loaded any more */
	void (*drained)(void *arg);
	void *drained_arg;
};

/* entry.c */
size_t entry_bytes(const struct entry *e);
/* The id that its sender knows it by. */
int64_t entry_told(const struct entry *e);
/* Nobody has it any more: not the store, not librdkafka, not the one who waits. */
void entry_free_if_done(struct entry *e);
void entry_answer(struct entry *e);
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

/* part.c */
/* One part, for a topic of which nothing is known yet. False: no memory. */
bool parts_init(struct lane *lane);
/* Takes the entry behind those of its partition. parts_send() sends what can be sent, as
 * soon as the waves before are. */
void parts_take(struct lane *lane, struct entry *e);
void parts_send(struct lane *lane);
/* Gives up what was not sent. */
void parts_end(struct lane *lane);
/* Callbacks of the producer, as in struct producer_conf. */
void parts_delivered(void *arg, void *opaque, const struct delivery *d);
void parts_flushed(void *arg);
int32_t parts_place(void *opaque, int32_t partitions, int32_t proposed);

/* It is no longer in the hands of the part of that list. */
void parts_leave(struct entry *e, struct entries *list);

/* part_back.c */
/* What waits goes back to the disk, but the oldest `keep`. Returns the id up to which it
 * did not. */
int64_t parts_put_back(struct lane *lane, size_t keep);

/* part_stuck.c */
/* A wave of the topic is on its way for so long that its leader is to be asked for. */
bool parts_late(const struct lane *lane);
/* When the first of those was sent that are on their way by the present handle; 0: none is. */
int64_t parts_unreported_ms(const struct lane *lane);
/* True when one is that had a leader all the time: librdkafka will not send it. */
bool parts_stuck(struct lane *lane, const struct kafka_list *list);

/* stamp.c */
/* The time to send it with. */
int64_t stamp_of(const struct entry *e);
/* A broker refuses it for its time, or that of another one of its wave. True: its time will
 * be another one when it is sent again. */
bool stamp_refused(struct entry *e);

/* doubt.c */
/* What librdkafka, or a report, said of one of its messages. True: it is so for good. */
bool doubt_failed(struct lane *lane, const struct delivery *d);
/* Kafka took a message, or shows the topic. */
void doubt_end(struct lane *lane);
/* A list of topics would help. */
bool doubt_any(const struct lane *lane);
void doubt_judge(struct lane *lane, const struct kafka_list *list);

/* sender.c: how long it is worth waiting for room, in seconds. */
uint32_t sender_retry_after(const struct sender *s);

/* lane.c */
void lanes_each(struct sender *s, void (*each)(struct lane *lane));
void lanes_end(struct sender *s);
/* Frees those that nobody has needed for long. */
void lanes_forget(struct sender *s);
/* The topic's lane, made if there is none; NULL past TOPICS_MAX. */
struct lane *lane_find(struct sender *s, struct kp_slice topic);
bool lane_has_room(const struct lane *lane);
/* The only writers of what a lane has: an entry comes into the parts' hands, or leaves them;
 * something begins to be written that is not sent, or is written. */
void lane_count_window(struct lane *lane, bool in, size_t bytes);
void lane_count_appending(struct lane *lane, bool in);
/* From now on it sends from the disk, until it has caught up. The log is told why, once;
 * NULL: it is not. */
void lane_to_disk(struct lane *lane, const char *why);
/* Takes a topic that stands still out of the others' way. */
void lane_make_room(struct lane *lane);
/* Reads on from the disk where its sending stopped, as far as there is room. */
void lane_load(struct lane *lane);

#endif
