/* Its states, and what is done with it: only what is asked for changes them. */
#include "helper/produce/entry.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/steps.h"
#include "helper/produce/sender_state.h"

/* ---- what it is ---- */

static size_t
size(const struct entry *e)
{
	return e->row.key.n + e->row.value.n + sizeof(*e);
}

/* The id that the message has had since it was accepted; and as its sender knows it. */
static int64_t
message(const struct entry *e)
{
	return e->row.was ? e->row.was : e->row.id;
}

static int64_t
told(const struct entry *e)
{
	return ids_told(store_ids(e->sender->store), message(e));
}

/* ---- states ---- */

static const struct steps append_steps[] = {
	[APPEND_NONE] = { "none", STEP(APPEND_QUEUED) | STEP(APPEND_REMOVING) },
	[APPEND_QUEUED] = { "queued", STEP(APPEND_NONE) },
	[APPEND_KEPT] = { "kept", STEP(APPEND_NONE) | STEP(APPEND_QUEUED) },
	[APPEND_REMOVING] = { "removing", STEP(APPEND_KEPT) },
}, send_steps[] = {
	[SEND_IDLE] = { "idle", STEP(SEND_WAITING) | STEP(SEND_SENT) },
	[SEND_WAITING] = { "waiting", STEP(SEND_IDLE) | STEP(SEND_WAITING) |
	    STEP(SEND_SENT) },
	[SEND_SENT] = { "sent", STEP(SEND_WAITING) },
	[SEND_DELIVERED] = { "delivered", STEP(SEND_SENT) },
	[SEND_REFUSED] = { "refused", STEP(SEND_WAITING) | STEP(SEND_SENT) },
};

static bool
in_hands(const struct entry *e)
{
	return e->sent == SEND_WAITING || e->sent == SEND_SENT;
}

/* Its lane has to wait for the disk before it can read on. */
static bool
is_appending(const struct entry *e)
{
	return e->appended == APPEND_QUEUED && e->sent == SEND_IDLE;
}

/* The only place that changes the states, and tells the lane what follows from them. */
static void
enter(struct entry *e, enum append_state appended, enum send_state sent)
{
	bool held = in_hands(e), appending = is_appending(e);

	e->appended = appended;
	e->sent = sent;
	if (in_hands(e) != held)
		lane_count_window(e->lane, in_hands(e), size(e));
	if (is_appending(e) != appending)
		lane_count_appending(e->lane, is_appending(e));
}

static void
enter_append(struct entry *e, enum append_state next)
{
	steps_log(append_steps, e->appended, next, "sender entry id=%lld topic=%s append:",
	    (long long)told(e), e->lane->by_name.name);
	enter(e, next, e->sent);
}

static void
enter_send(struct entry *e, enum send_state next)
{
	steps_log(send_steps, e->sent, next, "sender entry id=%lld topic=%s send:",
	    (long long)told(e), e->lane->by_name.name);
	enter(e, e->appended, next);
}

/* ---- its beginning and its end ---- */

struct entry *
entry_new(struct lane *lane)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e) {
		e->sender = lane->sender;
		e->lane = lane;
		lane->entries++;
	}
	return e;
}

struct entry *
entry_from_disk(struct lane *lane, struct store_loaded *row)
{
	struct entry *e = entry_new(lane);

	if (e == NULL)
		return NULL;
	e->row = row->row;
	e->body = row;
	enter_append(e, APPEND_KEPT);
	return e;
}

void
entry_free_if_done(struct entry *e)
{
	if (in_hands(e) || e->op ||
	    e->appended == APPEND_QUEUED || e->appended == APPEND_REMOVING)
		return;
	e->lane->entries--;
	free(e->body);
	free(e);
}

/* ---- its sender, and the store ---- */

static void
answer(struct entry *e)
{
	struct msg_produced r = { .partition = -1, .offset = -1 };
	struct op *op = e->op;

	if (op == NULL)
		return;
	e->op = NULL;
	r.id = told(e);
	msg_produced_encode(op_reply_begin(op, MSG_PRODUCED), &r);
	op_reply_send(op);
}

void
entry_refuse(struct entry *e, enum kp_err err, const char *text)
{
	struct op *op = e->op;

	e->op = NULL;
	receipts_forget(e->sender->receipts, e->row.id);
	if (op)
		op_fail(op, err, err == KP_EFULL ? sender_retry_after(e->sender) : 0, "%s", text);
}

static void
removed(struct store_cmd *cmd, enum kp_err err)
{
	struct entry *e = loop_owner(cmd, struct entry, remove);
	unsigned dropped = 0;

	if ((err == KP_EFULL || err == KP_ENOMEM) && !e->sender->closing) {
		TAILQ_INSERT_TAIL(&e->sender->kept.unsettled, e, link);
		return;
	}
	if (err && err != KP_ENOTFOUND && log_rate_ok(&e->sender->kept.stays, &dropped))
		log_warn("sender row stays id=%lld err=%s dropped_lines=%u: it will be sent again "
		    "after a restart", (long long)told(e), kp_err_name(err), dropped);
	enter_append(e, APPEND_NONE);
	entry_free_if_done(e);
}

static void
tell_buried(const struct entry *e)
{
	if (store_keeps(e->sender->store))
		log_error("sender dead letter id=%lld topic=%s: %s", (long long)told(e),
		    e->lane->by_name.name, e->reason);
	else
		log_error("sender message lost topic=%s durability=memory: %s",
		    e->lane->by_name.name, e->reason);
}

/* It ends; its row, if it has one, leaves the store or moves to the dead letters. The entry
 * may be gone after it. */
static void
leave(struct entry *e, enum store_verb verb)
{
	if (e->appended != APPEND_KEPT) {
		entry_free_if_done(e);
		return;
	}
	enter_append(e, APPEND_REMOVING);
	e->remove = (struct store_cmd){ .verb = verb, .row = { .id = e->row.id,
	    .topic = kp_slice_str(e->lane->by_name.name),
	    .attempts = e->tries, .key.n = e->row.key.n,
	    .value.n = e->row.value.n }, .reason = e->reason, .done = removed };
	if (verb == STORE_BURY) {
		receipts_forget(e->sender->receipts, message(e));
		tell_buried(e);
	}
	/* The disk has it; only its size is still asked for. */
	if (!in_hands(e)) {
		free(e->body);
		e->body = NULL;
	}
	store_submit(e->sender->store, &e->remove);
}

void
entries_settle_again(struct sender *s)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&s->kept.unsettled)) != NULL) {
		TAILQ_REMOVE(&s->kept.unsettled, e, link);
		store_submit(s->store, &e->remove);
	}
}

static void
not_appended(struct entry *e, enum kp_err err)
{
	if (e->sent == SEND_DELIVERED)
		store_count_direct(e->sender->store);
	else if (!in_hands(e))
		entry_refuse(e, KP_EFULL, err == KP_EFULL ? "the disk of the store is full" :
		    err == KP_EBUSY ? store_too_many_topics :
		    "the store has failed: sync produce still works, and a restart of the helper "
		    "checks the store");
	/* else Kafka's acknowledgement can still keep the promise */
}

/* The commit that the answer waits for. */
static void
appended(struct store_cmd *cmd, enum kp_err err)
{
	struct entry *e = loop_owner(cmd, struct entry, append);
	struct lane *lane = e->lane;

	fault_point("P4");
	enter_append(e, err ? APPEND_NONE : APPEND_KEPT);
	if (e->failed) {
		/* Kafka refused it while it was being written: nobody was told 200. */
		entry_refuse(e, e->failed, e->reason);
		leave(e, STORE_REFUSE);
	} else if (err == KP_OK) {
		answer(e);
		if (e->sent == SEND_DELIVERED || (in_hands(e) && fault_break("early-delete")))
			leave(e, STORE_REMOVE);
		else
			entry_free_if_done(e);
	} else {
		not_appended(e, err);
		entry_free_if_done(e);
	}
	if (lane->backlog)
		lane_load(lane);
}

void
entry_append(struct entry *e)
{
	e->append = (struct store_cmd){ .verb = STORE_APPEND, .row = e->row, .done = appended };
	enter_append(e, APPEND_QUEUED);
	store_submit(e->sender->store, &e->append);
	if (fault_break("early-answer"))
		answer(e);
}

void
entry_damaged(struct entry *e)
{
	e->reason = "damaged on the disk: this is not what was accepted";
	leave(e, STORE_BURY);
}

/* ---- Kafka ---- */

void
entry_wait(struct entry *e)
{
	enter_send(e, SEND_WAITING);
}

enum kp_err
entry_send(struct entry *e, struct delivery *failed)
{
	enum kp_err err;

	fault_point("P6");
	e->stamp_ms = stamp_of(&e->lane->stamp, e->row.accepted_ms, clock_wall_ms(),
	    loop_now_ms(e->sender->loop));
	err = producer_send(e->sender->producer, e->lane->by_name.name, e->row.key, e->row.value,
	    e->stamp_ms, false, e, failed);
	if (err)
		return err;
	fault_point("P7");
	enter_send(e, SEND_SENT);
	e->tries++;
	return KP_OK;
}

/* A row that is still on its way into the store need not go there. */
static void
take_back(struct entry *e)
{
	if (e->appended == APPEND_QUEUED && store_cancel(e->sender->store, &e->append))
		enter_append(e, APPEND_NONE);
}

/* Kafka has it, and its row leaves the store for good. */
void
entry_done(struct entry *e, const struct delivery *d)
{
	struct sender *s = e->sender;

	fault_point("P8");
	if (s->drained)
		fault_point("P13");
	s->delivered_ms = loop_now_ms(s->loop);
	rate_add(&s->rate, s->delivered_ms, size(e));
	receipts_delivered(s->receipts, message(e), d->partition, d->offset,
	    s->delivered_ms);
	enter_send(e, SEND_DELIVERED);
	take_back(e);
	answer(e);
	if (e->appended == APPEND_NONE)
		store_count_direct(s->store);
	leave(e, STORE_REMOVE);
}

/* Kafka will never take it: its sender hears so, if nobody told him 200 yet. */
void
entry_hopeless(struct entry *e, enum kp_err err, const char *text)
{
	enter_send(e, SEND_REFUSED);
	e->failed = err;
	e->reason = text;
	take_back(e);
	if (e->appended == APPEND_NONE)
		entry_refuse(e, err, text);
	leave(e, STORE_BURY);
}

/* Nothing is wrong with it, and kept messages have no time-out. librdkafka has
 * retried what is usual; what comes here is sent again after a pause. */
void
entry_again(struct entry *e, const char *text)
{
	unsigned dropped;

	entry_wait(e);
	if (log_rate_ok(&e->sender->kept.again, &dropped))
		log_warn("sender again id=%lld topic=%s dropped_lines=%u: %s",
		    (long long)told(e), e->lane->by_name.name, dropped, text);
}

void
entry_put_back(struct entry *e)
{
	enter_send(e, SEND_IDLE);
	entry_free_if_done(e);
}

void
entry_given_up(struct entry *e)
{
	enter_send(e, SEND_IDLE);
	if (e->appended == APPEND_NONE)
		entry_refuse(e, KP_EUNAVAIL, "Kafka did not take the message");
	e->reason = "the helper ends";
	if (store_keeps(e->sender->store))
		entry_free_if_done(e);
	else
		leave(e, STORE_BURY);
}
