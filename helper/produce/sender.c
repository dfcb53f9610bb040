/* Accepting async messages; opening, draining and closing the way to Kafka. */
#include "helper/produce/sender.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "helper/produce/sender_state.h"

#define RETRY_MS 500
/* Whoever is refused comes back when a hundredth of the store may be free again, as
 * fast as Kafka takes messages now. */
#define ROOM_PART 100
#define RETRY_AFTER_MAX_S 300
#define RETRY_AFTER_UNKNOWN_S 30
#define STALLED_MS 3000
#define RENEW_PAUSE_MAX_MS (30 * 60 * 1000)

static enum kp_err
accept_entry(struct lane *lane, struct op *op, const struct msg_produce *m, struct entry **out)
{
	struct sender *s = lane->sender;
	int64_t id = store_next_id(s->store);
	struct entry *e;

	*out = e = id ? entry_new(lane) : NULL;
	if (e == NULL)
		return id ? KP_ENOMEM : KP_EUNAVAIL;
	e->op = op;
	e->row = (struct store_row){
		.id = id, .accepted_ms = clock_wall_ms(),
		.topic = kp_slice_str(lane->by_name.name), .key = m->key, .value = m->value,
	};
	e->body = op_take_body(op);
	receipts_pending(s->receipts, e->row.id);
	return KP_OK;
}

/* Hands the entry to its partition if it is its turn, and to the store in any case. */
static void
entry_start(struct entry *e)
{
	struct lane *lane = e->lane;

	if (!lane->backlog && lane_has_room(lane)) {
		waves_take(lane, e);
	} else if (store_keeps(e->sender->store)) {
		lane_to_disk(lane, "Kafka takes less than comes in");
	} else {
		/* The window is all there is. */
		entry_refuse(e, KP_EFULL, "too many messages wait for Kafka, and durability is "
		    "\"memory\"");
		entry_free_if_done(e);
		return;
	}
	entry_append(e);
	waves_send(lane);
}

/* ---- room ---- */

uint32_t
sender_retry_after(const struct sender *s)
{
	uint64_t messages, bytes, wanted = s->max_bytes / ROOM_PART;
	uint64_t used = store_bytes(s->store), seconds = RETRY_AFTER_UNKNOWN_S;

	rate_get(&s->rate, loop_now_ms(s->loop), &messages, &bytes);
	if (used > s->max_bytes)
		wanted += used - s->max_bytes;
	if (bytes)
		seconds = 1 + wanted / bytes;
	return (uint32_t)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
}

void
sender_accept(struct sender *s, struct op *op, const struct msg_produce *m)
{
	const char *why = store_refuses(s->store, m->topic, m->key.n + m->value.n);
	struct lane *lane = why ? NULL : lane_find(s, m->topic);
	enum kp_err err = KP_OK;
	struct entry *e;

	if (why == NULL && lane == NULL)
		why = "the topic is new, and too many others have messages that wait for Kafka";
	if (why == NULL)
		err = accept_entry(lane, op, m, &e);
	if (why || err)
		op_fail(op, why ? KP_EFULL : err, sender_retry_after(s), "%s",
		    why ? why : kp_err_text(err));
	else
		entry_start(e);
}

/* ---- questions ---- */

struct store *
sender_store(struct sender *s)
{
	return store_keeps(s->store) ? s->store : NULL;
}

const struct ids *
sender_ids(const struct sender *s)
{
	return store_ids(s->store);
}

bool
sender_receipt(struct sender *s, int64_t id, struct msg_receipt *out)
{
	bool found = receipts_find(s->receipts, ids_row(store_ids(s->store), id),
	    loop_now_ms(s->loop), out);

	out->id = id;
	return found;
}

void
sender_stats(struct sender *s, struct sender_stats *out)
{
	uint64_t bytes;

	*out = (struct sender_stats){ .delivered_ms = s->delivered_ms };
	rate_get(&s->rate, loop_now_ms(s->loop), &out->delivered_per_s, &bytes);
	store_stats(s->store, &out->store);
	out->bytes = store_bytes(s->store);
	out->max_bytes = store_max_bytes(s->store);
	out->trouble = out->store.trouble;
}

/* ---- trouble ---- */

bool
sender_in_trouble(struct sender *s)
{
	const struct lane *lane = NULL;

	while ((lane = lanes_next(s, lane)) != NULL)
		if (doubt_any(&lane->doubt) || waves_late(lane))
			return true;
	return false;
}

/* A new handle is given time before the next, and more each time that it did not help. */
bool
sender_renew(struct sender *s, const char *why)
{
	int64_t now = loop_now_ms(s->loop), since = now - s->renewed_ms;
	bool again = since < 4 * s->renew_pause_ms;

	if (s->closing || since < s->renew_pause_ms)
		return false;
	s->renew_pause_ms = !again ? PRODUCER_STUCK_MS :
	    s->renew_pause_ms < RENEW_PAUSE_MAX_MS ? 2 * s->renew_pause_ms : s->renew_pause_ms;
	s->renewed_ms = now;
	log_warn("sender %s: it is sent again through a new handle", why);
	return producer_renew(s->producer, true);
}

int64_t
sender_mute_ms(const struct sender *s)
{
	const struct lane *lane = NULL;
	int64_t since = 0;

	while ((lane = lanes_next(s, lane)) != NULL) {
		int64_t ms = waves_unreported_ms(lane);

		since = since == 0 || (ms && ms < since) ? ms : since;
	}
	return since && since < s->delivered_ms ? s->delivered_ms : since;
}

void
sender_judge(struct sender *s, const struct kafka_list *list)
{
	char why[TOPIC_MAX + 64];
	struct lane *lane = NULL;

	while (!s->closing && (lane = lanes_next(s, lane)) != NULL) {
		bool late = waves_late(lane);

		doubt_judge(&lane->doubt, lane->by_name.name, late, list, loop_now_ms(s->loop));
		if (!waves_stuck(lane, list) && !(late && lane->doubt.over))
			continue;
		snprintf(why, sizeof(why), "nothing is reported topic=%s", lane->by_name.name);
		sender_renew(s, why);
	}
}

/* ---- opening and ending ---- */

static void
retry(void *arg)
{
	struct sender *s = arg;
	struct lane *lane = NULL;

	entries_settle_again(s);
	while ((lane = lanes_next(s, lane)) != NULL) {
		waves_send(lane);
		lane_make_room(lane);
		if (lane->backlog)
			lane_load(lane);
	}
	lanes_forget(s);
}

static void
lane_with_rows(void *arg, const char *topic)
{
	struct lane *lane = lane_find(arg, kp_slice_str(topic));

	if (lane)
		lane_to_disk(lane, "accepted before this start");
	else
		log_error("sender backlog topic=%s: too many topics, it waits for the next start",
		    topic);
}

enum kp_err
sender_open(struct loop *l, struct kafka *k, const struct conf *conf, struct sender **out)
{
	struct sender *s = calloc(1, sizeof(*s));
	enum kp_err err;

	*out = NULL;
	if (s == NULL)
		return KP_ENOMEM;
	s->loop = l;
	s->renew_pause_ms = PRODUCER_STUCK_MS;
	s->renewed_ms = loop_now_ms(l) - 4 * s->renew_pause_ms;
	TAILQ_INIT(&s->kept.unsettled);
	s->max_bytes = conf->store_max_bytes;
	s->old_times_die = conf->on_old_timestamp == OLD_DEAD;
	err = store_open(l, conf->store, (enum conf_durability)conf->durability, &s->store);
	if (err == KP_OK)
		store_set_limits(s->store, conf->store_max_bytes, conf->store_min_free_bytes);
	s->receipts = receipts_new();
	if (err == KP_OK && s->receipts == NULL)
		err = KP_ENOMEM;
	if (err == KP_OK && !waves_open(s, k))
		err = KP_EIO;
	if (err) {
		store_close(s->store);
		receipts_free(s->receipts);
		free(s);
		return err;
	}
	store_each_topic(s->store, lane_with_rows, s);
	loop_timer_set(l, &s->retry, 0, RETRY_MS, retry, s);
	*out = s;
	return KP_OK;
}

static void
check_drained(void *arg)
{
	struct sender *s = arg;
	const struct lane *lane = NULL;
	int64_t now = loop_now_ms(s->loop);
	bool empty = s->lanes.in_window == 0;

	while (empty && (lane = lanes_next(s, lane)) != NULL)
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
	struct lane *lane = NULL;
	int64_t left;

	s->closing = true;
	entries_settle_again(s);
	loop_timer_end(&s->retry);
	producer_free(s->producer);
	while ((lane = lanes_next(s, lane)) != NULL)
		waves_end(lane);
	left = store_finish(s->store);
	log_info("sender stopped in_store=%lld%s", (long long)left,
	    left ? ": they are sent after the next start" : "");
	store_close(s->store);
	lanes_end(s);
	receipts_free(s->receipts);
	free(s);
}
