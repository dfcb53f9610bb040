/*
 * From accepted to delivered: the way of an async message.
 *
 *	accept -> store.append --------------+-> answered once kept
 *	       -> producer.send -> report ---+-> store.remove
 *
 * Both ways start at once; the answer goes out when the row is committed or
 * Kafka has acknowledged, whichever is first. At most a window of messages waits for
 * partitions or is in librdkafka; what does not fit stays on disk, and its topic then
 * sends from the disk, in order, until it has caught up. Order is kept per partition.
 *
 * With durability `memory` the store keeps nothing: the window is all there is.
 *
 * Loop thread only.
 */
#ifndef KP_SENDER_H
#define KP_SENDER_H

#include "common/conf.h"
#include "common/msg_admin.h"
#include "helper/kafka/kafka.h"
#include "helper/kafka/kafka_list.h"
#include "helper/op.h"
#include "helper/store/store.h"

struct sender;

/* Opens store and producer and starts to send what the store holds. On error a
 * line has been logged. */
enum kp_err sender_open(struct loop *l, struct kafka *k, const struct conf *conf,
    struct sender **out);

/* Takes the op and its body; `m` points into that body. Answers PRODUCED once
 * the message is kept, or an error when it cannot be. */
void sender_accept(struct sender *s, struct op *op, const struct msg_produce *m);

/*
 * Lets Kafka take what it takes: done(arg) when nothing is left, when Kafka has
 * taken nothing for 3 s, or after max_ms.
 */
void sender_drain(struct sender *s, int64_t max_ms, void (*done)(void *arg), void *arg);

/* Commits what waits, tells the log how many messages stay in the store. */
void sender_close(struct sender *s);

struct sender_stats {
	struct store_stats store;
	uint64_t bytes, max_bytes;	/* max 0: nothing is kept */
	uint64_t delivered_per_s;
	int64_t delivered_ms;		/* when Kafka last took one, on the loop's clock */
	const char *trouble;		/* why async is refused; NULL. Static text */
};
void sender_stats(struct sender *s, struct sender_stats *out);

/* For questions to it; NULL when it keeps nothing. */
struct store *sender_store(struct sender *s);
/* How ids are told to clients. The sender's. */
const struct ids *sender_ids(const struct sender *s);
/* What memory knows of the message that was told this id; false: nothing. */
bool sender_receipt(struct sender *s, int64_t id, struct msg_receipt *out);

/* True while a list of Kafka's topics would tell more of what it does not take; and that
 * list: what waits for a topic that is gone becomes dead letters, what librdkafka does not
 * send goes again through a new handle. */
bool sender_in_trouble(struct sender *s);
void sender_judge(struct sender *s, const struct kafka_list *list);

/* Since when it waits for the first report of all that it has sent by its handle, 0: it does
 * not; and what waits goes again through a new one, and the log tells why. False: not so soon
 * after the last one. */
int64_t sender_mute_ms(const struct sender *s);
bool sender_renew(struct sender *s, const char *why);

/* The dead letter goes to Kafka once more, behind all that is pending. done() is
 * called once, maybe at once. KP_ENOTFOUND: there is none (any more). */
void sender_retry(struct sender *s, const struct store_loaded *dead,
    void (*done)(void *arg, enum kp_err err), void *arg);

#endif
