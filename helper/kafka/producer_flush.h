/*
 * Makes librdkafka send what it has at once, instead of after linger.ms.
 *
 * rd_kafka_flush() does so while it is being called, and brokers' threads need a moment
 * to notice: it has a thread of its own to wait in.
 *
 * Loop thread only.
 */
#ifndef KP_PRODUCER_FLUSH_H
#define KP_PRODUCER_FLUSH_H

#include "helper/kafka/kafka.h"

struct producer_flush;

/* done(arg) is called once after each start. NULL without memory, threads or
 * descriptors. */
struct producer_flush *producer_flush_new(struct loop *l, void (*done)(void *arg), void *arg);
/* Not again before done(), until when the handle must stay. What librdkafka is given
 * meanwhile goes as it comes. */
void producer_flush_start(struct producer_flush *f, rd_kafka_t *rk);
/* Before the handle is destroyed. done() is not called any more; takes as long as a
 * flush, a few ms. */
void producer_flush_free(struct producer_flush *f);

#endif
