/*
 * Whether Kafka, ZooKeeper and the store serve: since when, and what the last
 * error was. Kafka is asked now and then when nothing else shows that it is there.
 *
 * Loop thread only.
 */
#ifndef KP_HEALTH_H
#define KP_HEALTH_H

#include "common/msg_admin.h"
#include "helper/kafka/kafka_admin.h"
#include "helper/produce/sender.h"
#include "helper/zookeeper/zk.h"

struct health;

/* `zk` may be NULL: not used. All must outlive it. NULL without memory. */
struct health *health_new(struct loop *l, struct kafka_admin *admin, struct zk *zk,
    struct sender *sender);
/* Asks nothing any more; a question that is under way ends by itself. */
void health_stop(struct health *h);
/* After loop_free(). */
void health_free(struct health *h);

/* The texts are valid until the next turn of the loop. */
void health_get(struct health *h, struct msg_part *kafka, struct msg_part *zookeeper,
    struct msg_part *store);

#endif
