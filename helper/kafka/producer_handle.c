/* A handle, the table of its topics, and its end. */
#include "helper/kafka/producer_handle.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/names.h"

/* And so are many, and most of all, that were not used of late. A new handle has none of them,
 * so it lasts as long again. */
#define RECENT_MS (60 * 1000)
#define MANY 500
#define RETIRE_STEP_MS 250
#define PURGE_TRIES 100		/* of 10 ms, for brokers' threads to let go */

struct known_topic {
	struct names_entry by_name;	/* first */
	rd_kafka_topic_t *rkt;
	int64_t used_ms;
	/* Since when this partition of it answers nothing but time-outs. One is enough. */
	int64_t mute_ms;		/* 0: none does */
	int32_t mute;
};

struct producer_handle {
	struct producer_handle_conf conf;
	rd_kafka_t *rk;
	rd_kafka_queue_t *q;
	struct kafka_wake *wake;
	struct names topics;
	size_t mute;			/* topics with a partition that is */
	int64_t late_ms, first_late_ms;	/* the latest time-out, and the first since a success */
	struct loop_timer retire;
	int64_t give_up_ms;		/* from then on what it has is reported */
	struct loop_job end;
	bool pinned;
};

static int64_t
now_ms(const struct producer_handle *h)
{
	return loop_now_ms(h->conf.loop);
}

/* ---- topics ---- */

static struct known_topic *
find(const struct producer_handle *h, const char *name)
{
	return (struct known_topic *)names_find(&h->topics, kp_slice_str(name));
}

static struct known_topic *
next(const struct producer_handle *h, const struct known_topic *t)
{
	return (struct known_topic *)names_next(&h->topics, t ? &t->by_name : NULL);
}

static struct known_topic *
add(struct producer_handle *h, const char *name)
{
	struct known_topic *t = names_new(&h->topics, sizeof(*t), kp_slice_str(name));

	if (t == NULL)
		return NULL;
	t->rkt = rd_kafka_topic_new(h->rk, name, NULL);
	if (t->rkt)
		return t;
	names_remove(&h->topics, &t->by_name);
	free(t);
	return NULL;
}

rd_kafka_topic_t *
producer_handle_topic(struct producer_handle *h, const char *name)
{
	struct known_topic *t = find(h, name);

	if (t == NULL)
		t = add(h, name);
	if (t == NULL)
		return NULL;
	t->used_ms = now_ms(h);
	return t->rkt;
}

bool
producer_handle_is_stale(const struct producer_handle *h)
{
	int64_t idle = now_ms(h) - PRODUCER_HANDLE_IDLE_MS, recent = now_ms(h) - RECENT_MS;
	size_t used = 0, unused = 0;

	for (const struct known_topic *t = next(h, NULL); t; t = next(h, t)) {
		if (t->used_ms < idle)
			return true;
		used += t->used_ms >= recent;
		unused += t->used_ms < recent;
	}
	return unused > MANY && unused > 2 * used;
}

const char *
producer_handle_stuck(const struct producer_handle *h, int32_t *partition)
{
	for (const struct known_topic *t = next(h, NULL); t; t = next(h, t))
		if (t->mute_ms && now_ms(h) - t->mute_ms > PRODUCER_STUCK_MS) {
			*partition = t->mute;
			return t->by_name.name;
		}
	return NULL;
}

int64_t
producer_handle_mute_ms(const struct producer_handle *h)
{
	return now_ms(h) - h->late_ms < 2 * KAFKA_LOST_MS ? h->first_late_ms : 0;
}

static void
forget_topics(struct producer_handle *h)
{
	struct known_topic *t;

	while ((t = (struct known_topic *)names_take(&h->topics)) != NULL) {
		rd_kafka_topic_destroy(t->rkt);
		free(t);
	}
}

/* ---- serving ---- */

static void
listen_to(struct producer_handle *h, const rd_kafka_message_t *m)
{
	bool late = m->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
	struct known_topic *t;

	if (late)
		h->late_ms = now_ms(h);
	if (late && h->first_late_ms == 0)
		h->first_late_ms = h->late_ms;
	else if (!late && m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		h->first_late_ms = 0;
	if (!late && (m->err || h->mute == 0))
		return;
	t = find(h, rd_kafka_topic_name(m->rkt));
	if (t && late && t->mute_ms == 0) {
		t->mute_ms = now_ms(h);
		t->mute = m->partition;
		h->mute++;
	} else if (t && t->mute_ms && !late && (t->mute == m->partition || t->mute < 0)) {
		t->mute_ms = 0;
		h->mute--;
	}
}

static void
serve_events(struct producer_handle *h, int timeout_ms)
{
	rd_kafka_event_t *ev;

	while ((ev = rd_kafka_queue_poll(h->q, timeout_ms)) != NULL) {
		const rd_kafka_message_t *m;

		if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR)
			while ((m = rd_kafka_event_message_next(ev)) != NULL) {
				listen_to(h, m);
				h->conf.report(h->conf.arg, m);
			}
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

struct producer_handle *
producer_handle_new(const struct producer_handle_conf *conf)
{
	struct producer_handle *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->conf = *conf;
	h->rk = kafka_new_producer(conf->kafka, conf->props,
	    RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR, conf->choose, conf->choose_arg);
	if (h->rk)
		h->q = rd_kafka_queue_get_main(h->rk);
	h->wake = kafka_wake_new(conf->loop, serve, h);
	if (h->rk == NULL || h->wake == NULL) {
		producer_handle_free(h);
		return NULL;
	}
	kafka_wake_add(h->wake, h->q);
	return h;
}

rd_kafka_t *
producer_handle_rk(const struct producer_handle *h)
{
	return h->rk;
}

/* ---- its end ---- */

/* Nothing of it reaches the loop any more. */
static void
let_go(struct producer_handle *h)
{
	if (h->q) {
		rd_kafka_queue_io_event_enable(h->q, -1, NULL, 0);
		rd_kafka_queue_destroy(h->q);
	}
	h->q = NULL;
	kafka_wake_free(h->wake);
	h->wake = NULL;
	forget_topics(h);
}

static void
destroy(struct loop_job *job)
{
	struct producer_handle *h = loop_owner(job, struct producer_handle, end);

	rd_kafka_destroy(h->rk);
}

static void
destroyed(struct loop_job *job)
{
	free(loop_owner(job, struct producer_handle, end));
}

/* Once all is reported: the end, which waits for librdkafka's threads, is a worker's. */
static void
retire_step(void *arg)
{
	struct producer_handle *h = arg;
	int64_t late_ms = now_ms(h) - h->give_up_ms;

	if (h->q && (h->pinned || rd_kafka_outq_len(h->rk) > 0)) {
		if (late_ms >= 0)
			rd_kafka_purge(h->rk, RD_KAFKA_PURGE_F_NON_BLOCKING |
			    RD_KAFKA_PURGE_F_QUEUE | (late_ms >= PRODUCER_STUCK_MS ?
			    RD_KAFKA_PURGE_F_INFLIGHT : 0));
		return;
	}
	if (h->q)
		let_go(h);
	h->end.work = destroy;
	h->end.done = destroyed;
	if (loop_work(h->conf.loop, &h->end)) {
		loop_timer_end(&h->retire);
		h->conf.retired(h->conf.arg, h);
	}
}

void
producer_handle_pin(struct producer_handle *h, bool pinned)
{
	h->pinned = pinned;
}

void
producer_handle_retire(struct producer_handle *h, bool give_up)
{
	h->give_up_ms = now_ms(h) + (give_up ? 0 : PRODUCER_STUCK_MS);
	loop_timer_set(h->conf.loop, &h->retire, 0, RETIRE_STEP_MS, retire_step, h);
}

void
producer_handle_free(struct producer_handle *h)
{
	if (h == NULL)
		return;
	if (h->q) {
		rd_kafka_purge(h->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
		    RD_KAFKA_PURGE_F_NON_BLOCKING);
		for (int i = 0; i < PURGE_TRIES && rd_kafka_outq_len(h->rk) > 0; i++)
			serve_events(h, 10);
	}
	let_go(h);
	loop_timer_end(&h->retire);
	if (h->rk)
		rd_kafka_destroy(h->rk);
	free(h);
}
