/*
 * One librdkafka producer: made, served on the loop, and brought to an end while another
 * takes its place.
 *
 * librdkafka forgets no topic before its handle ends: it goes on asking brokers for each one,
 * which makes those anew that were deleted where brokers create topics, and it finds a
 * topic by its name in a list. So a handle has a table of the topics that are in use,
 * and who has names that nobody uses any more is to be replaced.
 *
 * Shared by producer.c and producer_handle.c. Loop thread only.
 */
#ifndef KP_PRODUCER_HANDLE_H
#define KP_PRODUCER_HANDLE_H

#include "helper/kafka/producer.h"

/* A name that was not used for so long is to go. */
#define PRODUCER_HANDLE_IDLE_MS fault_number("KP_IDLE_MS", 5 * 60 * 1000)

struct producer_handle;

struct producer_handle_conf {
	struct loop *loop;
	struct kafka *kafka;
	const struct kafka_property *props;
	kafka_partitioner *choose;
	void *choose_arg;
	/* Each delivery report. */
	void (*report)(void *arg, const rd_kafka_message_t *m);
	/* A retired one is out of its owner's hands. */
	void (*retired)(void *arg, struct producer_handle *h);
	void *arg;
};

/* NULL on error; a line has been logged. */
struct producer_handle *producer_handle_new(const struct producer_handle_conf *conf);
rd_kafka_t *producer_handle_rk(const struct producer_handle *h);

/* The topic, used now; NULL: librdkafka does not take the name. The handle's. */
rd_kafka_topic_t *producer_handle_topic(struct producer_handle *h, const char *name);
/* True when it has names that are to go: each one is to be asked for all the time. */
bool producer_handle_is_stale(const struct producer_handle *h);
/* A partition that reports nothing but time-outs for PRODUCER_STUCK_MS; -1: of a topic that
 * was never divided. The name is valid until the next call of anything here; NULL: none. */
const char *producer_handle_stuck(const struct producer_handle *h, int32_t *partition);

/* When the first time-out since a success was reported, unless that is long over; or 0. */
int64_t producer_handle_mute_ms(const struct producer_handle *h);

/*
 * It gets no more messages, and ends by itself once all it has are reported. `give_up`: what
 * is not on its way to a broker is reported now, with RD_KAFKA_RESP_ERR__PURGE_QUEUE; else
 * after PRODUCER_STUCK_MS. What is on its way has as long again.
 */
void producer_handle_retire(struct producer_handle *h, bool give_up);
/* While another thread uses it, it does not end. */
void producer_handle_pin(struct producer_handle *h, bool pinned);
/* Ends it now, also a retired one: each message gets its report first. Does not wait for
 * brokers, 1 s at most for librdkafka. NULL is allowed. */
void producer_handle_free(struct producer_handle *h);

#endif
