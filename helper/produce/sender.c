/* Accepting async messages; opening, draining and closing the way to Kafka. */
#include "helper/produce/sender.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/produce/sender_state.h"

/* An async answer does not wait for Kafka, so its producer may gather. */
#define LINGER_MS 5
#define RETRY_MS 500
#define STALLED_MS 3000

static enum kp_err
accept_entry(struct sender *s, struct op *op, const struct msg_produce *m, struct entry **out)
{
	struct lane *lane = lane_find(s, m->topic);
	struct timespec now;
	struct entry *e;

	if (lane == NULL)
		return KP_EFULL;
	*out = e = entry_new(lane);
	if (e == NULL)
		return KP_ENOMEM;
	clock_gettime(CLOCK_REALTIME, &now);
	e->op = op;
	e->row = (struct store_row){
		.id = s->store ? store_next_id(s->store) : s->next_id++,
		.accepted_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000,
		.topic = m->topic, .key = m->key, .value = m->value,
	};
	e->body = op_take_body(op);
	return KP_OK;
}

/* Hands the entry to Kafka if it is its turn, and to the store in any case. */
static void
entry_start(struct entry *e)
{
	struct sender *s = e->sender;
	struct lane *lane = e->lane;
	const char *why = "";
	enum kp_err err = KP_EBUSY;

	if (!lane->backlog && lane_has_room(lane))
		err = entry_send(e, &why);
	if (err && err != KP_EBUSY) {
		entry_refuse(e, err, why);
		entry_free_if_done(e);
		return;
	}
	if (s->store == NULL) {
		if (err)
			entry_refuse(e, KP_EFULL, "too many messages wait for Kafka, and "
			    "durability is \"memory\"");
		else
			entry_answer(e);
		entry_free_if_done(e);
		return;
	}
	if (err) {
		if (!lane->backlog)
			log_info("sender backlog topic=%s: Kafka takes less than comes in",
			    lane->name);
		lane->backlog = true;
		lane->load_covers = false;
		lane->appending++;
	}
	e->append = (struct store_cmd){ .verb = STORE_APPEND, .row = e->row,
	    .done = entry_appended };
	e->appended = APPEND_QUEUED;
	store_submit(s->store, &e->append);
	if (fault_break("early-answer"))
		entry_answer(e);
}

void
sender_accept(struct sender *s, struct op *op, const struct msg_produce *m)
{
	struct entry *e;
	enum kp_err err;

	if (s->store && store_bytes(s->store) + m->value.n > s->max_bytes) {
		op_fail(op, KP_EFULL, 10, "the store is full: Kafka has not taken what was "
		    "accepted before; see --storeMaxBytes");
		return;
	}
	err = accept_entry(s, op, m, &e);
	if (err) {
		op_fail(op, err, 10, "%s", err == KP_EFULL ? "too many topics" :
		    kp_err_text(err));
		return;
	}
	entry_start(e);
}

static void
retry(void *arg)
{
	struct sender *s = arg;

	entries_settle_again(s);
	for (struct lane *lane = s->lanes; lane; lane = lane->next)
		if (lane->backlog)
			lane_load(lane);
}

static void
lane_with_rows(void *arg, const char *topic)
{
	struct lane *lane = lane_find(arg, kp_slice_str(topic));

	if (lane) {
		lane->backlog = true;
		log_info("sender backlog topic=%s: accepted before this start", topic);
	} else {
		log_error("sender backlog topic=%s: too many topics, it waits for the next start",
		    topic);
	}
}

enum kp_err
sender_open(struct loop *l, struct kafka *k, const struct conf *conf, struct sender **out)
{
	struct sender *s = calloc(1, sizeof(*s));
	enum kp_err err = KP_OK;

	*out = NULL;
	if (s == NULL)
		return KP_ENOMEM;
	s->loop = l;
	s->next_id = 1;
	s->max_bytes = conf->store_max_bytes;
	if (conf->durability != DURABLE_MEMORY)
		err = store_open(l, conf->store, (enum conf_durability)conf->durability, &s->store);
	if (err == KP_OK) {
		s->producer = producer_new(l, k, 0, LINGER_MS, entry_delivered, s);
		err = s->producer ? KP_OK : KP_EIO;
	}
	if (err) {
		store_close(s->store);
		free(s);
		return err;
	}
	if (s->store)
		store_each_topic(s->store, lane_with_rows, s);
	loop_timer_set(l, &s->retry, 0, RETRY_MS, retry, s);
	*out = s;
	return KP_OK;
}

static void
check_drained(void *arg)
{
	struct sender *s = arg;
	int64_t now = loop_now_ms(s->loop);
	bool empty = s->in_window == 0;

	for (struct lane *lane = s->lanes; lane && empty; lane = lane->next)
		empty = !lane->backlog;
	if (!empty && now < s->drain_until_ms && now < s->delivered_ms + STALLED_MS)
		return;
	loop_timer_end(&s->drain);
	s->drained(s->drained_arg);
}

void
sender_drain(struct sender *s, int64_t max_ms, void (*done)(void *arg), void *arg)
{
	s->drained = done;
	s->drained_arg = arg;
	s->drain_until_ms = loop_now_ms(s->loop) + max_ms;
	s->delivered_ms = loop_now_ms(s->loop);
	loop_timer_set(s->loop, &s->drain, 0, 20, check_drained, s);
}

void
sender_close(struct sender *s)
{
	int64_t left = 0;

	s->closing = true;
	entries_settle_again(s);
	loop_timer_end(&s->retry);
	producer_free(s->producer);
	if (s->store)
		left = store_finish(s->store);
	log_info("sender stopped in_store=%lld%s", (long long)left,
	    left ? ": they are sent after the next start" : "");
	store_close(s->store);
	while (s->lanes) {
		struct lane *lane = s->lanes;

		s->lanes = lane->next;
		free(lane);
	}
	free(s);
}
