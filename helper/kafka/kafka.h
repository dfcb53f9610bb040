/*
 * What every librdkafka handle of the helper has in common: brokers, -X
 * properties, logging, the meaning of its errors; and the embedded broker.
 */
#ifndef KP_KAFKA_H
#define KP_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "common/conf.h"
#include "common/fault.h"
#include "helper/kafka/kafka_peers.h"
#include "helper/loop.h"

struct kafka;

/* What finds no broker for so long, while others do, is tried through a new handle. */
#define KAFKA_LOST_MS fault_number("KP_LOST_MS", 20 * 1000)

/* With --kafkaPeers embedded it starts the broker. `conf` must outlive it. On
 * error, but KP_ENOMEM, a line has been logged. */
enum kp_err kafka_open(const struct conf *conf, const char *client_id, struct kafka **out);
/* After every handle has been destroyed. */
void kafka_close(struct kafka *k);

/* One property that the handle needs; -X may override it, unless its name begins
 * with a '!'. With a '?' it is one that older versions do not know, and do without. */
struct kafka_property {
	const char *name;
	const char *value;
};

/*
 * A new handle. `props` ends with a NULL name. -X properties come after them:
 * "producer.x=y" goes to producers, "consumer.x=y" to consumers, "x=y" to all
 * that know x. `events` are RD_KAFKA_EVENT_…, to be polled from its main queue.
 * NULL on error, also when this host does not let us start its threads; a line has been
 * logged. Any thread.
 */
rd_kafka_t *kafka_new(struct kafka *k, rd_kafka_type_t type, const struct kafka_property *props,
    int events);

/* See kafka_new_consumer(). Any thread. */
bool kafka_is_full(struct kafka *k, char *out, size_t cap);
/* For the count of threads: what Kafka says of its brokers. Any thread. */
void kafka_note_brokers(struct kafka *k, const struct rd_kafka_metadata *md);

/* As kafka_new(), a producer whose partitions choose() tells, with `opaque` as the
 * topic's; see rd_kafka_topic_conf_set_partitioner_cb(). It is called by whoever sends,
 * or by a thread of librdkafka. */
typedef int32_t kafka_partitioner(const rd_kafka_topic_t *rkt, const void *key, size_t key_bytes,
    int32_t partitions, void *opaque, void *msg_opaque);
rd_kafka_t *kafka_new_producer(struct kafka *k, const struct kafka_property *props, int events,
    kafka_partitioner *choose, void *opaque);

/* As kafka_new(), a consumer, of which clients choose the number: the last threads that this
 * host has are left to others. NULL also without threads; then kafka_is_full() is true for a
 * moment, with the reason. throttled() comes while its main queue is polled, with `rk`: that
 * broker lets us wait for so many ms because of a quota; 0: no longer. */
typedef void kafka_throttled(rd_kafka_t *rk, const char *broker, int32_t id, int ms, void *kafka);
rd_kafka_t *kafka_new_consumer(struct kafka *k, const struct kafka_property *props, int events,
    kafka_throttled *throttled);

/* Those that it asks first. Handles that were made before one was left out know it, and are to
 * be replaced. */
struct kafka_peers *kafka_peers(struct kafka *k);

/* Brokers older than 0.10, as --kafkaVersion says. */
bool kafka_is_old(const struct kafka *k);

/* For who has no answer from Kafka: the latest cause that librdkafka gave, such as a
 * refused password. False: there is no recent one. Any thread. */
#define KAFKA_CAUSE_MAX 400
bool kafka_cause(struct kafka *k, char *out, size_t cap);
/* "Kafka cannot be reached", and the cause if there is one. Any thread. */
void kafka_unreachable(struct kafka *k, char *out, size_t cap);

/* What an error of librdkafka or of a broker means to us. */
enum kp_err kafka_err(rd_kafka_resp_err_t err);
/* No broker was there to say anything. */
bool kafka_err_unreachable(rd_kafka_resp_err_t err);
/* True when trying again with the same message can never help. */
bool kafka_err_permanent(rd_kafka_resp_err_t err);
/* A permanent one that a broker says to all messages of a batch because of one. */
bool kafka_err_of_batch(rd_kafka_resp_err_t err);
/* What is said of a topic: it is not there, or not for us. For good or while a cluster
 * starts: who keeps messages tells the two apart by time. */
bool kafka_err_of_topic(rd_kafka_resp_err_t err);

/* Offsets of one request are one batch in a broker's log, which takes 1 MB unless it is set
 * lower. What one of them takes there, at most; and as much as a request should have. */
#define KAFKA_COMMIT_BYTES (128u * 1024)
size_t kafka_commit_bytes(const char *topic, size_t metadata_bytes);

/*
 * Calls fire(arg) on the loop whenever something comes into the queue, which
 * the callee then polls until it is empty. It does not own the queue. NULL
 * without memory or descriptors. Several queues may wake the same watch.
 */
struct kafka_wake;
struct kafka_wake *kafka_wake_new(struct loop *l, void (*fire)(void *arg), void *arg);
void kafka_wake_add(struct kafka_wake *w, rd_kafka_queue_t *q);
/* Wakes it. Any thread. */
void kafka_wake_ring(struct kafka_wake *w);
/* After the queues were destroyed, or told to wake nobody. */
void kafka_wake_free(struct kafka_wake *w);

#endif
