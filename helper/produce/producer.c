/*
 * A librdkafka producer whose delivery reports are read on the loop.
 *
 * One request to a broker at a time: what waits meanwhile becomes one batch, so
 * that a single message travels at once and a thousand travel together. That does not
 * keep their order: librdkafka has the next request ready, and when the one on its way
 * fails and is to be repeated, the ready one goes first. Who needs order hands over one
 * request's worth for each partition while it is paused, so that no part of it can leave
 * before, flushes, and waits for its reports.
 */
#include "helper/produce/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "helper/produce/producer_flush.h"

/* With flushes: longer than the owner mostly needs to hand over what is to go together. It
 * is waited for only by what is sent again, and when a broker's thread sleeps through a
 * flush. */
#define LINGER_MS 50
/* With flushes a partition has one request, and does not wait for those of others. */
#define IN_FLIGHT "16"
#define PURGE_TRIES 100		/* of 10 ms, for brokers' threads to let go */

/* Of a request that is not its messages, and more. */
#define REQUEST_OVERHEAD 1024

enum { BATCHES, ALONE, N_HANDLES };

/* librdkafka's partitioners, and the keys that they look at. */
static const struct partitioner {
	const char *name;
	kafka_partitioner *choose;
	enum { NO_KEY, NON_EMPTY, NON_NULL, ANY_KEY } keys;
} partitioners[] = {
	{ "random", rd_kafka_msg_partitioner_random, NO_KEY },
	{ "consistent", rd_kafka_msg_partitioner_consistent, ANY_KEY },
	{ "consistent_random", rd_kafka_msg_partitioner_consistent_random, NON_EMPTY },
	{ "murmur2", rd_kafka_msg_partitioner_murmur2, ANY_KEY },
	{ "murmur2_random", rd_kafka_msg_partitioner_murmur2_random, NON_NULL },
	{ "fnv1a", rd_kafka_msg_partitioner_fnv1a, ANY_KEY },
	{ "fnv1a_random", rd_kafka_msg_partitioner_fnv1a_random, NON_NULL },
};
#define N_PARTITIONERS (sizeof(partitioners) / sizeof(partitioners[0]))

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
	struct producer_conf conf;
	const struct partitioner *partitioner;
	struct producer_flush *flush;	/* NULL: not wanted */
	rd_kafka_topic_partition_list_t *held;
	struct handle handles[N_HANDLES];
};

static void
report(const struct handle *h, const rd_kafka_message_t *m)
{
	struct delivery d = {
		.err = kafka_err(m->err),
		.permanent = kafka_err_permanent(m->err),
		.shared = !h->alone && kafka_err_of_batch(m->err),
		.partition = m->partition,
		.offset = m->offset,
		.text = rd_kafka_err2str(m->err),
	};

	if (m->err)
		d.maybe_kept = rd_kafka_message_status(m) !=
		    RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
	if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
		d.err = KP_EUNAVAIL;
	h->p->conf.delivered(h->p->conf.arg, m->_private, &d);
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

static int32_t
choose(const rd_kafka_topic_t *rkt, const void *key, size_t key_bytes, int32_t partitions,
    void *opaque, void *msg_opaque)
{
	const struct producer *p = opaque;
	int32_t proposed;

	proposed = p->partitioner->choose(rkt, key, key_bytes, partitions, NULL, NULL);
	return p->conf.place ? p->conf.place(msg_opaque, partitions, proposed) : proposed;
}

/* As the handle was configured in the end. */
static const char *
property(const struct producer *p, const char *name, char *out, size_t cap)
{
	if (rd_kafka_conf_get(rd_kafka_conf(p->handles[BATCHES].rk), name, out, &cap) !=
	    RD_KAFKA_CONF_OK)
		out[0] = '\0';
	return out;
}

static const struct partitioner *
find_partitioner(const struct producer *p)
{
	const struct partitioner *f = partitioners;
	char name[32];

	property(p, "partitioner", name, sizeof(name));
	while (f < &partitioners[N_PARTITIONERS - 1] && strcmp(f->name, name) != 0)
		f++;
	return f;
}

static bool
open_handle(struct producer *p, struct handle *h, bool alone)
{
	bool flushes = p->conf.flushed && !alone;
	char timeout[16], linger[16];
	const struct kafka_property props[] = {
		{ "acks", "all" },
		{ "message.timeout.ms", timeout },
		{ flushes ? "!linger.ms" : "linger.ms", linger },
		{ alone ? "!batch.num.messages" : "batch.num.messages", alone ? "1" : "10000" },
		{ "max.in.flight.requests.per.connection", flushes ? IN_FLIGHT : "1" },
		/* A leader that hangs holds a wave so long; a broker may ponder one for 30 s. */
		{ "socket.timeout.ms", "35000" },
		/* Who waits wants to know soon; a kept message can wait for a cluster
		 * that is starting and does not know its topics yet. */
		{ "topic.metadata.propagation.max.ms", p->conf.timeout_ms ? "2000" : "60000" },
		{ "partitioner", "fnv1a_random" },
		{ "sticky.partitioning.linger.ms", "0" },
		/* Our own bounds are lower; these must never be the ones that bind. */
		{ "queue.buffering.max.messages", "1000000" },
		{ "queue.buffering.max.kbytes", "2097151" },
		{ "message.max.bytes", "67200000" },
		{ NULL, NULL },
	};

	snprintf(timeout, sizeof(timeout), "%u", p->conf.timeout_ms);
	snprintf(linger, sizeof(linger), "%u", flushes ? LINGER_MS : 0);
	h->p = p;
	h->alone = alone;
	h->rk = kafka_new_producer(p->kafka, props, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR,
	    choose, p);
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
producer_new(struct loop *l, struct kafka *k, const struct producer_conf *conf)
{
	struct producer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	*p = (struct producer){ .loop = l, .kafka = k, .conf = *conf,
	    .held = rd_kafka_topic_partition_list_new(0) };
	if (open_handle(p, &p->handles[BATCHES], false)) {
		p->partitioner = find_partitioner(p);
		if (conf->flushed)
			p->flush = producer_flush_new(l, p->handles[BATCHES].rk, conf->flushed,
			    conf->arg);
		if (p->flush || conf->flushed == NULL)
			return p;
	}
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

int32_t
producer_partition(const struct producer *p, struct kp_slice key, int32_t partitions)
{
	unsigned kind = key.p == NULL ? ANY_KEY : key.n == 0 ? NON_NULL : NON_EMPTY;

	if (kind > p->partitioner->keys)
		return -1;
	return p->partitioner->choose(NULL, key.p, key.n, partitions, NULL, NULL);
}

static size_t
number(const struct producer *p, const char *name)
{
	char value[32];

	return strtoul(property(p, name, value, sizeof(value)), NULL, 10);
}

void
producer_request(const struct producer *p, size_t *messages, size_t *bytes)
{
	size_t batch = number(p, "batch.size"), message = number(p, "message.max.bytes");

	*messages = number(p, "batch.num.messages");
	*bytes = batch < message ? batch : message;
	*bytes -= *bytes > REQUEST_OVERHEAD ? REQUEST_OVERHEAD : *bytes;
}

void
producer_announce(struct producer *p, const char *topic, int32_t partition)
{
	rd_kafka_topic_partition_list_add(p->held, topic, partition);
}

void
producer_hold(struct producer *p)
{
	if (p->held->cnt)
		rd_kafka_pause_partitions(p->handles[BATCHES].rk, p->held);
}

void
producer_let_go(struct producer *p)
{
	if (p->held->cnt == 0)
		return;
	rd_kafka_resume_partitions(p->handles[BATCHES].rk, p->held);
	rd_kafka_topic_partition_list_destroy(p->held);
	p->held = rd_kafka_topic_partition_list_new(0);
}

void
producer_flush(struct producer *p)
{
	producer_flush_start(p->flush);
}

void
producer_free(struct producer *p)
{
	if (p == NULL)
		return;
	producer_flush_free(p->flush);
	for (int i = 0; i < N_HANDLES; i++)
		close_handle(&p->handles[i]);
	rd_kafka_topic_partition_list_destroy(p->held);
	free(p);
}
