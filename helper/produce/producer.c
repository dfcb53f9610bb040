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

enum { BATCHES, ALONE, N_HANDLES };

struct handle {
	struct producer *p;
	rd_kafka_t *rk;			/* NULL: not made yet */
	rd_kafka_queue_t *q;
	struct kafka_wake *wake;
	bool alone;
};

struct producer {
	struct loop *loop;
	struct kafka *kafka;
	unsigned timeout_ms, linger_ms;
	struct handle handles[N_HANDLES];
	void (*delivered)(void *arg, void *opaque, const struct delivery *d);
	void *arg;
};

static void
report(const struct handle *h, const rd_kafka_message_t *m)
{
	struct delivery d = {
		.err = kafka_err(m->err),
		.permanent = kafka_err_permanent(m->err),
		.shared = !h->alone && kafka_err_of_batch(m->err),
		.purged = m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE,
		.partition = m->partition,
		.offset = m->offset,
		.text = rd_kafka_err2str(m->err),
	};

	if (m->err)
		d.maybe_kept = rd_kafka_message_status(m) !=
		    RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
	if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
		d.err = KP_EUNAVAIL;
	h->p->delivered(h->p->arg, m->_private, &d);
}

static void
serve_events(struct handle *h, int timeout_ms)
{
	rd_kafka_event_t *ev;

	while ((ev = rd_kafka_queue_poll(h->q, timeout_ms)) != NULL) {
		const rd_kafka_message_t *m;

		if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR)
			while ((m = rd_kafka_event_message_next(ev)) != NULL)
				report(h, m);
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

static bool
open_handle(struct producer *p, struct handle *h, bool alone)
{
	char timeout[16], linger[16];
	const struct kafka_property props[] = {
		{ "acks", "all" },
		{ "message.timeout.ms", timeout },
		{ "linger.ms", linger },
		{ alone ? "!batch.num.messages" : "batch.num.messages", alone ? "1" : "10000" },
		{ "max.in.flight.requests.per.connection", "1" },
		/* Who waits wants to know soon; a kept message can wait for a cluster
		 * that is starting and does not know its topics yet. */
		{ "topic.metadata.propagation.max.ms", p->timeout_ms ? "2000" : "60000" },
		{ "partitioner", "fnv1a_random" },
		{ "sticky.partitioning.linger.ms", "0" },
		/* Our own bounds are lower; these must never be the ones that bind. */
		{ "queue.buffering.max.messages", "1000000" },
		{ "queue.buffering.max.kbytes", "2097151" },
		{ "message.max.bytes", "67200000" },
		{ NULL, NULL },
	};

	snprintf(timeout, sizeof(timeout), "%u", p->timeout_ms);
	snprintf(linger, sizeof(linger), "%u", alone ? 0 : p->linger_ms);
	h->p = p;
	h->alone = alone;
	h->rk = kafka_new(p->kafka, RD_KAFKA_PRODUCER, props,
	    RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	if (h->rk)
		h->q = rd_kafka_queue_get_main(h->rk);
	h->wake = kafka_wake_new(p->loop, serve, h);
	if (h->rk == NULL || h->wake == NULL)
		return false;
	kafka_wake_add(h->wake, h->q);
	return true;
}

static void
close_handle(struct handle *h)
{
	if (h->rk) {
		rd_kafka_purge(h->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		for (int i = 0; i < PURGE_TRIES && rd_kafka_outq_len(h->rk) > 0; i++)
			serve_events(h, 10);
	}
	if (h->q) {
		rd_kafka_queue_io_event_enable(h->q, -1, NULL, 0);
		rd_kafka_queue_destroy(h->q);
	}
	if (h->rk)
		rd_kafka_destroy(h->rk);
	kafka_wake_free(h->wake);
	*h = (struct handle){ 0 };
}

struct producer *
producer_new(struct loop *l, struct kafka *k, unsigned timeout_ms, unsigned linger_ms,
    void (*delivered)(void *arg, void *opaque, const struct delivery *d), void *arg)
{
	struct producer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	*p = (struct producer){ .loop = l, .kafka = k, .timeout_ms = timeout_ms,
	    .linger_ms = linger_ms, .delivered = delivered, .arg = arg };
	if (open_handle(p, &p->handles[BATCHES], false))
		return p;
	producer_free(p);
	return NULL;
}

enum kp_err
producer_send(struct producer *p, const char *topic, struct kp_slice key, struct kp_slice value,
    bool alone, void *opaque, const char **why)
{
	struct handle *h = &p->handles[alone ? ALONE : BATCHES];
	rd_kafka_resp_err_t err;

	if (h->rk == NULL && !open_handle(p, h, alone)) {
		close_handle(h);
		*why = kp_err_text(KP_ENOMEM);
		return KP_EBUSY;
	}
	err = rd_kafka_producev(h->rk, RD_KAFKA_V_TOPIC(topic),
	    RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
	    RD_KAFKA_V_KEY(key.p, key.n),
	    RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
	    RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
	*why = rd_kafka_err2str(err);
	return kafka_err(err);
}

void
producer_purge(struct producer *p)
{
	rd_kafka_purge(p->handles[BATCHES].rk,
	    RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

rd_kafka_t *
producer_handle(struct producer *p)
{
	return p->handles[BATCHES].rk;
}

void
producer_free(struct producer *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < N_HANDLES; i++)
		close_handle(&p->handles[i]);
	free(p);
}
