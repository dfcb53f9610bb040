/*
 * A librdkafka producer whose delivery reports are read on the loop.
 *
 * One request to a broker at a time: what waits meanwhile becomes one batch, so
 * that a single message travels at once and a thousand travel together, and a
 * retry can never overtake.
 */
#include "helper/produce/producer.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"

#define PURGE_TRIES 100		/* of 10 ms, for brokers' threads to let go */

struct producer {
	rd_kafka_t *rk;
	rd_kafka_queue_t *q;
	struct kafka_wake *wake;
	void (*delivered)(void *arg, void *opaque, const struct delivery *d);
	void *arg;
};

static void
report(struct producer *p, const rd_kafka_message_t *m)
{
	struct delivery d = {
		.err = kafka_err(m->err),
		.permanent = kafka_err_permanent(m->err),
		.partition = m->partition,
		.offset = m->offset,
		.text = rd_kafka_err2str(m->err),
	};

	if (m->err)
		d.maybe_kept = rd_kafka_message_status(m) !=
		    RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
	if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
		d.err = KP_EUNAVAIL;
	p->delivered(p->arg, m->_private, &d);
}

static void
serve_events(struct producer *p, int timeout_ms)
{
	rd_kafka_event_t *ev;

	while ((ev = rd_kafka_queue_poll(p->q, timeout_ms)) != NULL) {
		const rd_kafka_message_t *m;

		if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR)
			while ((m = rd_kafka_event_message_next(ev)) != NULL)
				report(p, m);
		else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR)
			log_warn("producer kafka: %s", rd_kafka_event_error_string(ev));
		rd_kafka_event_destroy(ev);
	}
}

static void
serve(void *arg)
{
	serve_events(arg, 0);
}

struct producer *
producer_new(struct loop *l, struct kafka *k, unsigned timeout_ms, unsigned linger_ms,
    void (*delivered)(void *arg, void *opaque, const struct delivery *d), void *arg)
{
	struct producer *p = calloc(1, sizeof(*p));
	char timeout[16], linger[16];
	const struct kafka_property props[] = {
		{ "acks", "all" },
		{ "message.timeout.ms", timeout },
		{ "linger.ms", linger },
		{ "max.in.flight.requests.per.connection", "1" },
		/* Who waits wants to know soon; a kept message can wait for a cluster
		 * that is starting and does not know its topics yet. */
		{ "topic.metadata.propagation.max.ms", timeout_ms ? "2000" : "60000" },
		{ "partitioner", "fnv1a_random" },
		{ "sticky.partitioning.linger.ms", "0" },
		/* Our own bounds are lower; these must never be the ones that bind. */
		{ "queue.buffering.max.messages", "1000000" },
		{ "queue.buffering.max.kbytes", "2097151" },
		{ "message.max.bytes", "67200000" },
		{ NULL, NULL },
	};

	if (p == NULL)
		return NULL;
	snprintf(timeout, sizeof(timeout), "%u", timeout_ms);
	snprintf(linger, sizeof(linger), "%u", linger_ms);
	p->delivered = delivered;
	p->arg = arg;
	p->rk = kafka_new(k, RD_KAFKA_PRODUCER, props, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	if (p->rk)
		p->q = rd_kafka_queue_get_main(p->rk);
	p->wake = kafka_wake_new(l, serve, p);
	if (p->rk == NULL || p->wake == NULL) {
		producer_free(p);
		return NULL;
	}
	kafka_wake_add(p->wake, p->q);
	return p;
}

enum kp_err
producer_send(struct producer *p, const char *topic, struct kp_slice key, struct kp_slice value,
    void *opaque, const char **why)
{
	rd_kafka_resp_err_t err = rd_kafka_producev(p->rk, RD_KAFKA_V_TOPIC(topic),
	    RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
	    RD_KAFKA_V_KEY(key.p, key.n),
	    RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
	    RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);

	*why = rd_kafka_err2str(err);
	return kafka_err(err);
}

rd_kafka_t *
producer_handle(struct producer *p)
{
	return p->rk;
}

void
producer_free(struct producer *p)
{
	if (p == NULL)
		return;
	if (p->rk) {
		rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		for (int i = 0; i < PURGE_TRIES && rd_kafka_outq_len(p->rk) > 0; i++)
			serve_events(p, 10);
	}
	if (p->q) {
		rd_kafka_queue_io_event_enable(p->q, -1, NULL, 0);
		rd_kafka_queue_destroy(p->q);
	}
	if (p->rk)
		rd_kafka_destroy(p->rk);
	kafka_wake_free(p->wake);
	free(p);
}
