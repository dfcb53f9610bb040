/*
 * The state of the sender and of its topics, shared by sender.c (accepting, life),
 * sender_retry.c, entry.c (one message on its way), lane.c (one topic: window and backlog),
 * waves.c and waves_stuck.c (what goes to librdkafka, and is not reported), division.c (to
 * which partition), stamp.c (the time of a message) and doubt.c (a topic that Kafka says is
 * not there). Nobody else includes it.
 */
#ifndef KP_SENDER_STATE_H
#define KP_SENDER_STATE_H

#include <stdatomic.h>

#include "common/log.h"
#include "helper/kafka/kafka_list.h"
#include "helper/kafka/producer.h"
#include "helper/produce/entry.h"
#include "helper/produce/partition_queue.h"
#include "helper/produce/rate.h"
#include "helper/produce/receipts.h"
#include "helper/produce/sender.h"

#define LANE_BUCKETS 256

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
	struct partition_queue **queues;
	int32_t n_queues;
	int32_t partitions;		/* by which the entries were divided; 0: not known */
	_Atomic int32_t partitions_seen;	/* by librdkafka, latest; 0: never */
	int64_t taken_ms;		/* when Kafka last took a message; 0: or failed since */
	unsigned taken_generation;	/* of the producer then */
	int64_t moved_ms;		/* when Kafka last took one, or the window had none */
	struct doubt doubt;
	int64_t old_ms;			/* brokers refuse messages that are so old; 0: or of now */
	int64_t old_seen_ms;		/* when they last did; 0: never */
	int64_t old_told_ms;		/* when the log was last told */
	size_t in_window;		/* in the queues' hands */
	size_t in_window_bytes;
	size_t appending;		/* not sent, and not on disk yet */
	bool backlog;			/* the disk holds what was not sent */
	bool loading;
	bool load_covers;		/* the load sees all that was accepted */
	bool unreadable;		/* its rows are, until a restart */
	size_t entries;
	int64_t loaded_id;		/* everything up to here is in the queues' hands, or was */
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
	size_t waves_out;		/* queues that librdkafka has something of */
	uint64_t waves_done;
	int64_t renewed_ms;		/* the last time something was stuck */
	int64_t renew_pause_ms;		/* until the next time */
	int64_t drain_until_ms;
	struct loop_timer drain;
	bool closing;			/* nothing is sent or loaded any more */
	void (*drained)(void *arg);
	void *drained_arg;
};

/* division.c */
/* One queue, for a topic of which nothing is known yet. False: no memory. */
bool division_init(struct lane *lane);
void division_end(struct lane *lane);
/* The number of partitions has become known, or has changed: all goes to other queues. */
void division_renew(struct lane *lane);
/* The queue of the partition that the entry is for. */
struct partition_queue *division_find(struct lane *lane, struct entry *e);
/* Callback of the producer, as in struct producer_conf. */
int32_t division_place(void *opaque, int32_t partitions, int32_t proposed);

/* waves.c */
/* Takes the entry behind those of its partition. waves_send() sends what can be sent, as
 * soon as the waves before are. */
void waves_take(struct lane *lane, struct entry *e);
void waves_send(struct lane *lane);
/* Gives up what was not sent. */
void waves_end(struct lane *lane);
/* Callbacks of the producer, as in struct producer_conf. */
void waves_delivered(void *arg, void *opaque, const struct delivery *d);
void waves_flushed(void *arg);

/* waves_stuck.c */
/* A wave of the topic is on its way for so long that its leader is to be asked for. */
bool waves_late(const struct lane *lane);
/* When the first of those was sent that are on their way by the present handle; 0: none is. */
int64_t waves_unreported_ms(const struct lane *lane);
/* True when one is that had a leader all the time: librdkafka will not send it. */
bool waves_stuck(struct lane *lane, const struct kafka_list *list);

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
/* The only writers of what a lane has: an entry comes into the queues' hands, or leaves them;
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
