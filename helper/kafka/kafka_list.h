/*
 * All topics and their leaders, as one broker lists them: what is asked when something
 * does not move, because a handle of librdkafka only has what the broker that it happened
 * to ask believed.
 */
#ifndef KP_KAFKA_LIST_H
#define KP_KAFKA_LIST_H

#include "helper/kafka/kafka.h"

struct kafka_list;

/* A blocking call for workers: asks the broker that is number `turn` of those in `before`,
 * counted round and round; `before` NULL: any of --kafkaPeers. It connects to it alone, as a handle
 * that has connections goes on asking the same broker. NULL: it does not answer in time. */
struct kafka_list *kafka_list_ask(struct kafka *k, const struct kafka_list *before,
    unsigned turn, int timeout_ms);
void kafka_list_free(struct kafka_list *l);

/* Who answered, -1 for an unknown one; and how many brokers it knows of. */
int32_t kafka_list_broker(const struct kafka_list *l);
int kafka_list_brokers(const struct kafka_list *l);
bool kafka_list_has(const struct kafka_list *l, const char *topic);
/* True when the partition has a leader; -1: when any of the topic has. */
bool kafka_list_led(const struct kafka_list *l, const char *topic, int32_t partition);

#endif
