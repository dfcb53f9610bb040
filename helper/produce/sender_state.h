/*
 * The state of the sender, of which those that work for it know some: its loop and producer,
 * its window, the topics that are ready to be sent. Nobody else includes it.
 */
#ifndef KP_SENDER_STATE_H
#define KP_SENDER_STATE_H

#include "common/log.h"
#include "helper/kafka/producer.h"
#include "helper/produce/entry.h"
#include "helper/produce/lane.h"
#include "helper/produce/rate.h"
#include "helper/produce/receipts.h"
#include "helper/produce/sender.h"

struct sender {
	struct loop *loop;
	struct store *store;
	struct producer *producer;
	uint64_t max_bytes;
	struct lanes lanes;
	struct receipts *receipts;
	bool old_times_die;
	struct rate rate;		/* of deliveries */
	struct log_rate stays, again_rate, refused_rate;
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

/* sender.c: how long it is worth waiting for room, in seconds. */
uint32_t sender_retry_after(const struct sender *s);

#endif
