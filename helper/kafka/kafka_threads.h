/*
 * The threads of librdkafka's handles, counted before each is made.
 *
 * A handle has one for itself, one for what is internal, one for the coordinator of its group,
 * and one for each broker: those of --kafkaPeers at once, the others once they are heard of.
 * Any thread.
 */
#ifndef KP_KAFKA_THREADS_H
#define KP_KAFKA_THREADS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

struct kafka_threads;

/* `peers` is --kafkaPeers, and outlives it. NULL without memory. */
struct kafka_threads *kafka_threads_new(const char *peers);
void kafka_threads_free(struct kafka_threads *t);

/*
 * Before a handle is made: true, and others wait until kafka_threads_end(); or false, as its
 * threads cannot be started, and a line has been logged. `many`: it is one of many that
 * come and go, which leave some threads to the others.
 */
bool kafka_threads_begin(struct kafka_threads *t, bool many);
void kafka_threads_end(struct kafka_threads *t);

/* Which brokers there are now. */
void kafka_threads_brokers(struct kafka_threads *t, const struct rd_kafka_metadata *md);

/* True when one of many was refused a moment ago; with the reason, for users. */
bool kafka_threads_are_used_up(struct kafka_threads *t, char *out, size_t cap);

#endif
