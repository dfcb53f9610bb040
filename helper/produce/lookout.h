/*
 * Looks into what Kafka does not take although it could: topics that it says are not
 * there, and partitions that report nothing.
 *
 * librdkafka may leave a partition's messages where they are for good, when a leader
 * changes at the wrong moment. When brokers name a leader all the time and nothing was
 * reported for a minute, a new handle sends them again. So it does after KAFKA_LOST_MS when
 * nothing at all was taken, and who comes anew finds Kafka.
 *
 * Loop thread only.
 */
#ifndef KP_LOOKOUT_H
#define KP_LOOKOUT_H

#include "helper/kafka/kafka_reach.h"
#include "helper/kafka/producer.h"
#include "helper/produce/sender.h"

struct lookout;

/* NULL without memory. What it is given must outlive lookout_stop(). */
struct lookout *lookout_new(struct loop *l, struct kafka *k, struct kafka_reach *reach,
    struct sender *sender, struct producer *sync);
/* Looks no more; a question that is under way ends by itself. */
void lookout_stop(struct lookout *o);
/* After loop_free(), before kafka_close(). */
void lookout_free(struct lookout *o);

#endif
