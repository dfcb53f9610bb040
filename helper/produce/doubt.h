/*
 * Kafka says that the topic is not there, or not for us: a broker that has just started may
 * say so of any. It is true when the topic was missing from all lists of topics for
 * DOUBT_MS, and brokers of which there are several have both said so.
 *
 * It knows one topic by what it is told of it, and no more. All zero: there is no doubt.
 * Loop thread only.
 */
#ifndef KP_DOUBT_H
#define KP_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct delivery;
struct kafka_list;

struct doubt {
	int64_t since_ms;		/* the first failure; 0: there is no doubt */
	int64_t last_ms;		/* the latest one */
	enum kp_err err;		/* likewise */
	bool missed;			/* from a list */
	bool by_several;		/* from those of two brokers */
	int32_t broker;			/* that made the first one */
	bool over;			/* it is true */
};

/* What librdkafka, or a report, said of one of its messages. True: it is so for good. */
bool doubt_failed(struct doubt *doubt, const struct delivery *d, int64_t now_ms);
/* Kafka took a message, or shows the topic. */
void doubt_end(struct doubt *doubt);
/* A list of topics would help. */
bool doubt_any(const struct doubt *doubt);
/* Here is one. `late`: librdkafka has messages of the topic that it does not report. */
void doubt_judge(struct doubt *doubt, const char *topic, bool late, const struct kafka_list *list,
    int64_t now_ms);

#endif
