/*
 * Every async message that is in memory is an entry. It may be in the store's
 * hands, in librdkafka's hands, or both, and is freed when it is in neither:
 *
 *	            append: NONE -> QUEUED -> KEPT -> REMOVING -> (gone)
 *	            send:   IDLE -> SENT -> REPORTED
 *
 * An entry whose topic has a backlog is not sent; it is freed once it is kept,
 * and comes back from the disk in its turn.
 */
#include "helper/produce/sender.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "helper/produce/producer.h"
#include "helper/produce/store.h"

#define WINDOW_MESSAGES 10000
#define WINDOW_BYTES (16u * 1024 * 1024)
#define LOAD_ROWS 1000
#define LOAD_BYTES (2u * 1024 * 1024)
#define TOPICS_MAX 4096
/* An async answer does not wait for Kafka, so its producer may gather. */
#define LINGER_MS 5
#define RETRY_MS 500
#define STALLED_MS 3000

enum append_state { APPEND_NONE, APPEND_QUEUED, APPEND_KEPT, APPEND_REMOVING };
enum send_state { SEND_IDLE, SEND_SENT, SEND_REPORTED };

struct lane {				/* one topic */
	struct lane *next;
	struct sender *sender;
	char name[TOPIC_MAX + 1];
	size_t in_window;
	size_t in_window_bytes;
	size_t appending;		/* not sent, and not on disk yet */
	bool backlog;			/* the disk holds what was not sent */
	bool loading;
	bool load_covers;		/* the load sees all that was accepted */
	int64_t loaded_id;		/* everything up to here was sent */
};

struct entry {
	struct sender *sender;
	struct lane *lane;
	struct op *op;			/* NULL once answered */
	struct store_row row;		/* its bytes are in `body` */
	void *body;
	struct store_cmd append;
	struct store_cmd remove;
	enum append_state appended;
	enum send_state sent;
	enum kp_err failed;		/* permanently, by Kafka */
	const char *reason;
};

struct sender {
	struct loop *loop;
	struct store *store;		/* NULL: durability memory */
	struct producer *producer;
	uint64_t max_bytes;
	int64_t next_id;		/* without a store */
	struct lane *lanes;
	size_t n_lanes;
	size_t in_window;
	size_t in_window_bytes;
	struct loop_timer retry;
	int64_t delivered_ms;		/* the last time Kafka took a message */
	int64_t drain_until_ms;
	struct loop_timer drain;
	void (*drained)(void *arg);
	void *drained_arg;
};

static void lane_load(struct lane *lane);

/* ---- entries ---- */

static size_t
entry_bytes(const struct entry *e)
{
	return e->row.key.n + e->row.value.n + sizeof(*e);
}

static void
entry_free_if_done(struct entry *e)
{
	if (e->sent == SEND_SENT || e->op ||
	    e->appended == APPEND_QUEUED || e->appended == APPEND_REMOVING)
		return;
	free(e->body);
	free(e);
}

static void
answer(struct entry *e)
{
	struct msg_produced r = { .partition = -1, .offset = -1, .id = e->row.id };
	struct op *op = e->op;

	if (op == NULL)
		return;
	e->op = NULL;
	msg_produced_encode(op_reply_begin(op, MSG_PRODUCED), &r);
	op_reply_send(op);
}

static void
refuse(struct entry *e, enum kp_err err, const char *text)
{
	struct op *op = e->op;

	e->op = NULL;
	if (op)
		op_fail(op, err, err == KP_EFULL ? 10 : 0, "%s", text);
}

static void
removed(struct store_cmd *cmd, enum kp_err err)
{
	struct entry *e = (struct entry *)((char *)cmd - offsetof(struct entry, remove));

	if (err)
		log_warn("sender row stays id=%lld err=%s: it will be sent again after a restart",
		    (long long)e->row.id, kp_err_name(err));
	e->appended = APPEND_NONE;
	entry_free_if_done(e);
}

/* The row leaves the store, or moves to the dead letters. */
static void
settle_row(struct entry *e, enum store_verb verb)
{
	e->appended = APPEND_REMOVING;
	e->remove = (struct store_cmd){ .verb = verb, .row.id = e->row.id,
	    .reason = e->reason, .done = removed };
	if (verb == STORE_BURY)
		log_error("sender dead letter id=%lld topic=%s: %s", (long long)e->row.id,
		    e->lane->name, e->reason);
	store_submit(e->sender->store, &e->remove);
}

/* The commit that the answer waits for. */
static void
appended(struct store_cmd *cmd, enum kp_err err)
{
	struct entry *e = (struct entry *)((char *)cmd - offsetof(struct entry, append));
	struct lane *lane = e->lane;

	if (e->sent == SEND_IDLE)
		lane->appending--;
	e->appended = err ? APPEND_NONE : APPEND_KEPT;
	if (e->failed) {
		/* Kafka refused it while it was being written: nobody was told 200. */
		refuse(e, e->failed, e->reason);
		if (err == KP_OK)
			settle_row(e, STORE_REMOVE);
	} else if (err == KP_OK) {
		answer(e);
		if (e->sent == SEND_REPORTED)
			settle_row(e, STORE_REMOVE);
	} else if (e->sent != SEND_SENT) {
		refuse(e, KP_EFULL, err == KP_EFULL ? "the disk of the store is full" :
		    "the store has failed; sync produce still works");
	}	/* else Kafka's acknowledgement can still keep the promise */
	entry_free_if_done(e);
	if (lane->backlog)
		lane_load(lane);
}

/* ---- lanes and the window ---- */

static bool
has_room(const struct lane *lane)
{
	const struct sender *s = lane->sender;

	/* One topic that Kafka does not take must leave room for the others. */
	return s->in_window < WINDOW_MESSAGES && s->in_window_bytes < WINDOW_BYTES &&
	    lane->in_window < WINDOW_MESSAGES / 2 && lane->in_window_bytes < WINDOW_BYTES / 2;
}

static enum kp_err
entry_send(struct entry *e, const char **why)
{
	struct lane *lane = e->lane;
	enum kp_err err;

	err = producer_send(e->sender->producer, lane->name, e->row.key, e->row.value, e, why);
	if (err)
		return err;
	e->sent = SEND_SENT;
	lane->in_window++;
	lane->in_window_bytes += entry_bytes(e);
	e->sender->in_window++;
	e->sender->in_window_bytes += entry_bytes(e);
	if (e->row.id > lane->loaded_id)
		lane->loaded_id = e->row.id;
	return KP_OK;
}

static struct lane *
lane_find(struct sender *s, struct kp_slice topic)
{
	struct lane *lane = s->lanes;

	while (lane && !kp_slice_eq(topic, kp_slice_str(lane->name)))
		lane = lane->next;
	if (lane || s->n_lanes == TOPICS_MAX)
		return lane;
	lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return NULL;
	lane->sender = s;
	memcpy(lane->name, topic.p, topic.n);
	lane->next = s->lanes;
	s->lanes = lane;
	s->n_lanes++;
	return lane;
}

/* A row from the disk becomes an entry that is kept already. The row's
 * allocation becomes the entry's body. */
static struct entry *
entry_from_disk(struct lane *lane, struct store_loaded *row)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->sender = lane->sender;
	e->lane = lane;
	e->row = row->row;
	e->body = row;
	e->appended = APPEND_KEPT;
	return e;
}

/* False: no further row may be sent now, because this one was not. */
static bool
send_loaded(struct lane *lane, struct store_loaded *row)
{
	struct entry *e = entry_from_disk(lane, row);
	const char *why;
	enum kp_err err;

	if (e == NULL) {
		free(row);
		return false;
	}
	err = entry_send(e, &why);
	if (err && err != KP_EBUSY) {
		/* It can never be sent, and does not hold up what is behind it. */
		lane->loaded_id = e->row.id;
		e->reason = why;
		settle_row(e, STORE_BURY);
	}
	entry_free_if_done(e);
	return err != KP_EBUSY;
}

static void
loaded(void *arg, enum kp_err err, struct store_loaded *rows)
{
	struct lane *lane = arg;
	bool any = rows != NULL, sending = true;

	lane->loading = false;
	while (rows) {
		struct store_loaded *next = rows->next;

		if (sending)
			sending = send_loaded(lane, rows);
		else
			free(rows);
		rows = next;
	}
	if (err == KP_OK && !any && lane->load_covers) {
		lane->backlog = false;
		log_info("sender caught up topic=%s", lane->name);
	} else if (err == KP_OK && sending && (any || lane->appending == 0)) {
		lane_load(lane);
	}	/* else the next commit, report or retry comes back to it */
}

/* Reads on where the lane's sending stopped, as far as there is room. */
static void
lane_load(struct lane *lane)
{
	if (lane->loading || !has_room(lane))
		return;
	lane->loading = true;
	lane->load_covers = lane->appending == 0;
	store_load(lane->sender->store, lane->name, lane->loaded_id, LOAD_ROWS, LOAD_BYTES,
	    loaded, lane);
}

static void
retry(void *arg)
{
	struct sender *s = arg;

	for (struct lane *lane = s->lanes; lane; lane = lane->next)
		if (lane->backlog)
			lane_load(lane);
}

/* ---- accepting ---- */

static enum kp_err
entry_new(struct sender *s, struct op *op, const struct msg_produce *m, struct entry **out)
{
	struct entry *e = calloc(1, sizeof(*e));
	struct timespec now;

	*out = e;
	if (e == NULL)
		return KP_ENOMEM;
	e->sender = s;
	e->lane = lane_find(s, m->topic);
	if (e->lane == NULL) {
		free(e);
		return KP_EFULL;
	}
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

	if (!lane->backlog && has_room(lane))
		err = entry_send(e, &why);
	if (err && err != KP_EBUSY) {
		refuse(e, err, why);
		entry_free_if_done(e);
		return;
	}
	if (s->store == NULL) {
		if (err)
			refuse(e, KP_EFULL, "too many messages wait for Kafka, and durability "
			    "is \"memory\"");
		else
			answer(e);
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
	e->append = (struct store_cmd){ .verb = STORE_APPEND, .row = e->row, .done = appended };
	e->appended = APPEND_QUEUED;
	store_submit(s->store, &e->append);
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
	err = entry_new(s, op, m, &e);
	if (err) {
		op_fail(op, err, 10, "%s", err == KP_EFULL ? "too many topics" :
		    kp_err_text(err));
		return;
	}
	entry_start(e);
}

/* ---- delivery reports ---- */

static void
delivered(void *arg, void *opaque, const struct delivery *d)
{
	struct sender *s = arg;
	struct entry *e = opaque;
	struct lane *lane = e->lane;
	const char *why;

	lane->in_window--;
	lane->in_window_bytes -= entry_bytes(e);
	s->in_window--;
	s->in_window_bytes -= entry_bytes(e);
	e->sent = SEND_REPORTED;
	if (d->err == KP_OK) {
		s->delivered_ms = loop_now_ms(s->loop);
	} else if (!d->permanent && s->drained == NULL && entry_send(e, &why) == KP_OK) {
		return;			/* kept messages have no time-out */
	} else if (d->permanent) {
		e->failed = d->err;
		e->reason = d->text;
	}
	if (e->appended == APPEND_QUEUED && store_cancel(s->store, &e->append))
		e->appended = APPEND_NONE;
	if (d->err == KP_OK)
		answer(e);
	else if (e->appended == APPEND_NONE)
		refuse(e, d->err, d->text);
	if (e->appended == APPEND_KEPT && d->err == KP_OK)
		settle_row(e, STORE_REMOVE);
	else if (e->appended == APPEND_KEPT && d->permanent)
		settle_row(e, STORE_BURY);
	else if (e->appended == APPEND_NONE && d->err && s->store == NULL)
		log_error("sender message lost topic=%s durability=memory: %s", lane->name,
		    d->text);
	entry_free_if_done(e);
	if (lane->backlog)
		lane_load(lane);
}

/* ---- life ---- */

static void
lane_with_rows(void *arg, const char *topic)
{
	struct lane *lane = lane_find(arg, kp_slice_str(topic));

	if (lane) {
		lane->backlog = true;
		log_info("sender backlog topic=%s: accepted before this start", topic);
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
		s->producer = producer_new(l, k, 0, LINGER_MS, delivered, s);
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
