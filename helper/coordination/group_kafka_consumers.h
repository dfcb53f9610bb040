/* Who owns what of a topic in groups that the brokers manage: they are asked. */
#ifndef KP_GROUP_KAFKA_CONSUMERS_H
#define KP_GROUP_KAFKA_CONSUMERS_H

#include "helper/kafka/consumer.h"
#include "helper/coordination/coordination.h"

/* See struct coordination_ops. */
void group_kafka_consumers(const struct coordination_env *env, const char *topic,
    const char *group, int64_t deadline_ms, coordination_consumers_fn *answer, void *arg);

#endif
