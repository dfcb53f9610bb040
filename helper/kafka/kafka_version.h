/* Versions of brokers, as --kafkaVersion gives them. */
#ifndef KP_KAFKA_VERSION_H
#define KP_KAFKA_VERSION_H

#include "common/err.h"

/* *old is the version as librdkafka knows it, static, when brokers of `given` cannot be
 * asked for what they support; else NULL. Empty: they can. KP_EBADREQ: it is none, or
 * one that keeps no offsets of groups (before 0.8.2). */
enum kp_err kafka_version(const char *given, const char **old);

#endif
