/*
 * All topics and their leaders, as one broker lists them: what is asked when something
 * does not move, because a handle of librdkafka only has what the broker that it happened
 * to ask believed.
 */
#ifndef KP_KAFKA_LIST_H
#define KP_KAFKA_LIST_H

#include "helper/kafka.h"

/* A handle that holds connections to all brokers, so that each ask may be answered by
 * another one. NULL on error; a line has been logged. Any thread. */
rd_kafka_t *kafka_list_handle(struct kafka *k);

struct kafka_list;

/* A blocking call for workers. NULL: no broker answers in time. */
struct kafka_list *kafka_list_ask(rd_kafka_t *rk, int timeout_ms);
void kafka_list_free(struct kafka_list *l);

/* Who answered, and how many brokers it knows of. */
int32_t kafka_list_broker(const struct kafka_list *l);
int kafka_list_brokers(const struct kafka_list *l);
bool kafka_list_has(const struct kafka_list *l, const char *topic);
/* True when the partition has a leader; -1: when any of the topic has. */
bool kafka_list_led(const struct kafka_list *l, const char *topic, int32_t partition);

#endif
