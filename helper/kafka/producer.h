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
#include "common/fault.h"
#include "helper/kafka/kafka.h"

struct producer;

/* Nothing of a partition was reported for so long, and it has a leader: librdkafka will
 * not send it. A leader that hangs loses its request after 35 s. */
#define PRODUCER_STUCK_MS fault_number("KP_STUCK_MS", 60 * 1000)

/* A delivery report. */
struct delivery {
	enum kp_err err;
	bool permanent;		/* sending it again can never help */
	bool of_topic;		/* a broker says that its topic is not there, or not for us; which
				 * a broker that has just started may say of any */
	bool shared;		/* permanent, but maybe for another message of its batch */
	bool of_time;		/* permanent, for its time, or that of another one of its batch */
	bool given_up;		/* by producer_renew(), and never on its way */
	bool maybe_kept;	/* failed, but a copy was on the wire: Kafka may have it */
	int32_t partition;
	int64_t offset;
	const char *text;	/* Kafka's own words, static */
};

struct producer_conf {
	unsigned timeout_ms;	/* a message may wait so long for its delivery, 0: for ever */
	/* NULL, or: what is sent waits for producer_flush(), LINGER_MS at most; called on the
	 * loop when the flush is done. */
	void (*flushed)(void *arg);
	/* Once a message, with what producer_send() was given. */
	void (*delivered)(void *arg, void *opaque, const struct delivery *d);
	void *arg;
	/* NULL, or: the partition of a message, of `partitions`, where the partitioner
	 * proposes one. Also called by a thread of librdkafka. */
	int32_t (*place)(void *opaque, int32_t partitions, int32_t proposed);
};
/* NULL on error; a line has been logged. */
struct producer *producer_new(struct loop *l, struct kafka *k, const struct producer_conf *conf);

/* The value is borrowed until its delivery report; topic and key are copied.
 * An absent key (p == NULL) goes to a random partition, an empty one is a key.
 * `wall_ms` is the message's time. `alone`: in a batch of its own. On error *failed says
 * what a report would, and there will be none. KP_EBUSY: the queue is full, or there is no
 * memory or no handle. */
enum kp_err producer_send(struct producer *p, const char *topic, struct kp_slice key,
    struct kp_slice value, int64_t wall_ms, bool alone, void *opaque, struct delivery *failed);

/*
 * Another handle takes what is sent from now on. The one before ends once all that it has
 * is reported; `give_up`: what is not on its way to a broker is reported now, with
 * KP_EUNAVAIL. False: not now, as some still have messages, or for want of memory or
 * threads. By itself it is done when there are topics that nobody uses any more.
 */
bool producer_renew(struct producer *p, bool give_up);
/* Changes with each renewal: what was known of topics then has to be learnt again. */
unsigned producer_generation(const struct producer *p);
/* A partition of a topic that has answered nothing but time-outs for a minute; -1: its
 * topic, before it was divided. NULL: there is none. Valid until the next call. */
const char *producer_stuck(const struct producer *p, int32_t *partition);

/* Since when all that is sent ends by its time-out, of late, too; 0: it does not. */
int64_t producer_mute_ms(const struct producer *p);

/* The partition of the key among so many; -1 when it is nobody's in particular. */
int32_t producer_partition(const struct producer *p, struct kp_slice key, int32_t partitions);

/* What is sent to partitions between producer_hold() and producer_let_go(), as much as one
 * request takes of each, goes in one request, however long that takes. They are announced
 * first. Waits for a thread of librdkafka, some 50 us. */
void producer_announce(struct producer *p, const char *topic, int32_t partition);
void producer_hold(struct producer *p);
void producer_let_go(struct producer *p);

/* Sends what waits now; flushed() says when that is done, some ms later. Until then nothing
 * may be sent: it would go in a request of its own. */
void producer_flush(struct producer *p);

/* What one request takes of one partition: the number of messages, and their bytes, with
 * PRODUCER_OVERHEAD for each. */
#define PRODUCER_OVERHEAD 64
void producer_request(const struct producer *p, size_t *messages, size_t *bytes);

/* Gives up what is queued or on its way: each message gets its report first, with
 * KP_EUNAVAIL. Does not wait for brokers, 1 s at most for librdkafka. NULL is allowed. */
void producer_free(struct producer *p);

#endif
