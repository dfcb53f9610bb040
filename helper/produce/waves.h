/*
 * What goes to librdkafka of a topic, in waves, and what becomes of them.
 *
 * Loop thread only.
 */
#ifndef KP_WAVES_H
#define KP_WAVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/log.h"

struct entry;
struct kafka;
struct kafka_list;
struct lane;
struct sender;

/* What waves.c keeps of a sender. */
struct waves {
	STAILQ_HEAD(, lane) ready;	/* something of them may be sent */
	bool flushing;			/* not now: some are being sent */
	size_t out;			/* queues that librdkafka has something of */
	uint64_t done;
	size_t request_messages;	/* what goes in one request */
	size_t request_bytes;
	struct log_rate refused;
};

/* Makes its producer, and hears from it. False: a line has been logged. */
bool waves_open(struct sender *s, struct kafka *k);
/* Takes the entry behind those of its partition. waves_send() sends what can be sent, as
 * soon as the waves before are. */
void waves_take(struct lane *lane, struct entry *e);
void waves_send(struct lane *lane);
/* Gives up what was not sent. */
void waves_end(struct lane *lane);

/* ---- waves that are not reported ---- */

/* A wave of the topic is on its way for so long that its leader is to be asked for. */
bool waves_late(const struct lane *lane);
/* When the first of those was sent that are on their way by the present handle; 0: none is. */
int64_t waves_unreported_ms(const struct lane *lane);
/* True when one is that had a leader all the time: librdkafka will not send it. */
bool waves_stuck(struct lane *lane, const struct kafka_list *list);

#endif
