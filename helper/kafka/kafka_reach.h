/*
 * Whether Kafka answers who comes anew, by the names of --kafkaPeers. A handle that does not
 * find it meanwhile is of no use any more: librdkafka keeps addresses that it has learnt, and
 * that of a group's coordinator for good, as long as it is the same broker. And whether each of
 * those names is a broker: those that are none are left out, see kafka_peers.h.
 *
 * Loop thread only.
 */
#ifndef KP_KAFKA_REACH_H
#define KP_KAFKA_REACH_H

#include "helper/kafka/kafka.h"

struct kafka_reach;

/* It asks the names one after another at once, and now and then. NULL without memory. */
struct kafka_reach *kafka_reach_new(struct loop *l, struct kafka *k, bool embedded);
/* Calls changed(arg) when one is left out, or is a broker again. */
void kafka_reach_on_change(struct kafka_reach *r, void (*changed)(void *arg), void *arg);
/* Whether what has had no answer since then, by the loop's clock, is to be tried through a new
 * handle: for KAFKA_LOST_MS, and all who came anew have found Kafka for half of it. 0: it has.
 * Kafka is asked while this is called again and again. */
bool kafka_reach_lost(struct kafka_reach *r, int64_t since_ms);
/* Asks nothing any more; a question that is under way ends by itself. NULL is allowed, here
 * and below. */
void kafka_reach_stop(struct kafka_reach *r);
/* After loop_free(), before kafka_close(). */
void kafka_reach_free(struct kafka_reach *r);

#endif
