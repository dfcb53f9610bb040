/*
 * The sender, as those see it who send for it. Each part of it that one file alone keeps is a
 * struct of its own, in that file's header; the rest is sender.c's. Nobody else includes it.
 */
#ifndef KP_SENDER_STATE_H
#define KP_SENDER_STATE_H

#include "helper/kafka/producer.h"
#include "helper/produce/entry.h"
#include "helper/produce/lane.h"
#include "helper/produce/rate.h"
#include "helper/produce/receipts.h"
#include "helper/produce/sender.h"
#include "helper/produce/waves.h"

struct sender {
	struct loop *loop;
	struct store *store;
	struct producer *producer;
	uint64_t max_bytes;
	bool old_times_die;
	struct lanes lanes;
	struct waves waves;
	struct entries_kept kept;
	/* What entry.c tells of deliveries. */
	struct receipts *receipts;
	struct rate rate;
	int64_t delivered_ms;		/* the last time Kafka took a message */
	struct loop_timer retry;
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
