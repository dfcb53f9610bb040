/*
 * One librdkafka producer: messages in, delivery reports out.
 *
 * A broker refuses a batch as a whole when one message in it is too large or not
 * valid. Such a report is `shared`: only when the message was sent alone it is about
 * that message. Who sends alone uses a second handle, made when it is first needed.
 *
 * Loop thread only. Nothing is kept here: a message that was sent is safe only
 * after its delivery report without an error.
 */
#ifndef KP_PRODUCER_H
#define KP_PRODUCER_H

#include "common/buf.h"
#include "helper/kafka.h"

struct producer;

/* A delivery report. */
struct delivery {
	enum kp_err err;
	bool permanent;		/* sending it again can never help */
	bool shared;		/* permanent, but maybe for another message of its batch */
	bool purged;		/* taken back by producer_purge() */
	bool maybe_kept;	/* failed, but a copy was on the wire: Kafka may have it */
	int32_t partition;
	int64_t offset;
	const char *text;	/* Kafka's own words, static */
};

/* `timeout_ms` is how long a message may wait for its delivery, 0: for ever.
 * delivered() is called once a message, with what producer_send() was given.
 * NULL on error; a line has been logged. */
struct producer *producer_new(struct loop *l, struct kafka *k, unsigned timeout_ms,
    unsigned linger_ms, void (*delivered)(void *arg, void *opaque, const struct delivery *d),
    void *arg);

/* The value is borrowed until its delivery report; topic and key are copied.
 * An absent key (p == NULL) goes to a random partition, an empty one is a key.
 * `alone`: in a batch of its own. KP_EBUSY: the queue is full. KP_ETOOBIG. KP_EKAFKA:
 * *why (static) says. */
enum kp_err producer_send(struct producer *p, const char *topic, struct kp_slice key,
    struct kp_slice value, bool alone, void *opaque, const char **why);

/* Takes back what waits in batches and was never on the wire; their reports come
 * later, in order. */
void producer_purge(struct producer *p);

/* For topic metadata, which lets brokers create the topic. Any thread. */
rd_kafka_t *producer_handle(struct producer *p);

/* Gives up what is queued or on its way: each message gets its report first, with
 * KP_EUNAVAIL. Does not wait for brokers, 1 s at most for librdkafka. */
void producer_free(struct producer *p);

#endif
