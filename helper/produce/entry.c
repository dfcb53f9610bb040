/* One async message: on its way into the store, to Kafka, and out of the store. */
#include <stdlib.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/produce/sender_state.h"

#define AGAIN_MS 500
#define SETTLE_MS 5000

size_t
entry_bytes(const struct entry *e)
{
	return e->row.key.n + e->row.value.n + sizeof(*e);
}

int64_t
entry_message(const struct entry *e)
{
	return e->row.was ? e->row.was : e->row.id;
}

/* What its row has of the topic's share of the store. */
static int64_t
row_bytes(const struct entry *e)
{
	return (int64_t)(e->row.key.n + e->row.value.n);
}

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

/* Its row, if it has one, is not to be read from the disk again. */
static void
note_leaving(struct entry *e)
{
	bool leaving = e->sent == SEND_SENT || e->appended == APPEND_REMOVING ||
	    (e->appended == APPEND_QUEUED && (e->sent == SEND_DELIVERED || e->failed));

	if (leaving != e->leaving)
		e->lane->leaving += leaving ? 1 : (size_t)-1;
	e->leaving = leaving;
}

void
entry_free_if_done(struct entry *e)
{
	note_leaving(e);
	if (e->sent == SEND_SENT || e->op ||
	    e->appended == APPEND_QUEUED || e->appended == APPEND_REMOVING)
		return;
	e->lane->entries--;
	free(e->body);
	free(e);
}

void
entry_answer(struct entry *e)
{
	struct msg_produced r = { .partition = -1, .offset = -1, .id = e->row.id };
	struct op *op = e->op;

	if (op == NULL)
		return;
	e->op = NULL;
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
	struct entry *e = (struct entry *)((char *)cmd - offsetof(struct entry, remove));
	struct lane *lane = e->lane;
	unsigned dropped = 0;

	if ((err == KP_EFULL || err == KP_ENOMEM) && !e->sender->closing) {
		e->next = e->sender->again;
		e->sender->again = e;
		return;
	}
	if (err == KP_OK || err == KP_ENOTFOUND)
		lane->pending_bytes -= row_bytes(e);
	else if (log_rate_ok(&e->sender->stays, &dropped))
		log_warn("sender row stays id=%lld err=%s dropped_lines=%u: it will be sent again "
		    "after a restart", (long long)e->row.id, kp_err_name(err), dropped);
	e->appended = APPEND_NONE;
	entry_free_if_done(e);
	if (lane->settling)
		lane_load(lane);
}

void
entry_settle(struct entry *e, enum store_verb verb)
{
	e->appended = APPEND_REMOVING;
	e->remove = (struct store_cmd){ .verb = verb, .row = { .id = e->row.id,
	    .topic = kp_slice_str(e->lane->name), .attempts = e->tries, .key.n = e->row.key.n,
	    .value.n = e->row.value.n }, .reason = e->reason, .done = removed };
	if (verb == STORE_BURY) {
		receipts_forget(e->sender->receipts, entry_message(e));
		log_error("sender dead letter id=%lld topic=%s: %s", (long long)entry_message(e),
		    e->lane->name, e->reason);
	}
	/* The disk has it; only its size is still asked for. */
	if (e->sent != SEND_SENT) {
		free(e->body);
		e->body = NULL;
	}
	store_submit(e->sender->store, &e->remove);
}

void
entries_settle_again(struct sender *s)
{
	struct entry *e = s->again;

	s->again = NULL;
	while (e) {
		struct entry *next = e->next;

		store_submit(s->store, &e->remove);
		e = next;
	}
}

/* The commit that the answer waits for. */
void
entry_appended(struct store_cmd *cmd, enum kp_err err)
{
	struct entry *e = (struct entry *)((char *)cmd - offsetof(struct entry, append));
	struct lane *lane = e->lane;

	fault_point("P4");
	if (e->sent == SEND_IDLE)
		lane->appending--;
	e->appended = err ? APPEND_NONE : APPEND_KEPT;
	if (err)
		lane->pending_bytes -= row_bytes(e);
	if (e->failed) {
		/* Kafka refused it while it was being written: nobody was told 200. */
		entry_refuse(e, e->failed, e->reason);
		if (err == KP_OK)
			entry_settle(e, STORE_REFUSE);
	} else if (err == KP_OK) {
		entry_answer(e);
		if (e->sent == SEND_DELIVERED || (e->sent && fault_break("early-delete")))
			entry_settle(e, STORE_REMOVE);
	} else if (e->sent == SEND_DELIVERED) {
		store_count_direct(e->sender->store);
	} else if (e->sent != SEND_SENT) {
		entry_refuse(e, KP_EFULL, err == KP_EFULL ? "the disk of the store is full" :
		    "the store has failed: sync produce still works, and a restart of the helper "
		    "checks the store");
	}	/* else Kafka's acknowledgement can still keep the promise */
	entry_free_if_done(e);
	if (lane->backlog)
		lane_load(lane);
}

enum kp_err
entry_send(struct entry *e, const char **why)
{
	struct lane *lane = e->lane;
	enum kp_err err;

	fault_point("P6");
	err = producer_send(e->sender->producer, lane->name, e->row.key, e->row.value, e->alone, e,
	    why);
	if (err)
		return err;
	fault_point("P7");
	e->sent = SEND_SENT;
	e->tries++;
	note_leaving(e);
	lane->alone_sent += e->alone;
	lane->in_window++;
	lane->in_window_bytes += entry_bytes(e);
	e->sender->in_window++;
	e->sender->in_window_bytes += entry_bytes(e);
	if (e->row.id > lane->loaded_id)
		lane->loaded_id = e->row.id;
	return KP_OK;
}

/* A row that is still on its way into the store need not go there. */
static void
take_back(struct entry *e)
{
	if (e->appended != APPEND_QUEUED || !store_cancel(e->sender->store, &e->append))
		return;
	e->appended = APPEND_NONE;
	e->lane->pending_bytes -= row_bytes(e);
}

/* Kafka has it: the only way for a row to leave the store for good. */
static void
entry_done(struct entry *e, const struct delivery *d)
{
	struct sender *s = e->sender;

	fault_point("P8");
	if (s->drained)
		fault_point("P13");
	s->delivered_ms = loop_now_ms(s->loop);
	rate_add(&s->rate, s->delivered_ms, entry_bytes(e));
	receipts_delivered(s->receipts, entry_message(e), d->partition, d->offset,
	    s->delivered_ms);
	e->sent = SEND_DELIVERED;
	take_back(e);
	entry_answer(e);
	if (e->appended == APPEND_KEPT)
		entry_settle(e, STORE_REMOVE);
	else if (e->appended == APPEND_NONE && s->store)
		store_count_direct(s->store);
	s->counts.pending -= s->store == NULL;
	s->counts.delivered += s->store == NULL;
}

/* Durability memory: answered 200, and nothing was kept. */
static void
entry_lost(struct entry *e, const char *why)
{
	struct store_counts *n = &e->sender->counts;

	log_error("sender message lost topic=%s durability=memory: %s", e->lane->name, why);
	receipts_forget(e->sender->receipts, e->row.id);
	n->pending--;
	n->dropped++;
}

/* Kafka will never take it: its sender hears so, if nobody told him 200 yet. */
static void
entry_hopeless(struct entry *e, const struct delivery *d)
{
	e->sent = SEND_IDLE;
	e->failed = d->err;
	e->reason = d->text;
	take_back(e);
	if (e->appended == APPEND_QUEUED)
		e->lane->appending++;
	if (e->appended == APPEND_KEPT)
		entry_settle(e, STORE_BURY);
	else if (e->appended == APPEND_NONE && e->op)
		entry_refuse(e, d->err, d->text);
	else if (e->appended == APPEND_NONE)
		entry_lost(e, d->text);
}

/* No row of it is on the disk: it must go from here, or its sender hears why not. */
static void
entry_again_at_once(struct entry *e, const char *text)
{
	const char *why;

	if (!e->sender->closing && entry_send(e, &why) == KP_OK)
		return;
	if (e->op == NULL)
		entry_lost(e, text);
	entry_refuse(e, KP_EUNAVAIL, "Kafka did not take the message");
}

/* It is read from the disk again, with all that came after it, once what is on its
 * way has been settled. */
static void
entry_again_from_disk(struct entry *e)
{
	struct lane *lane = e->lane;

	lane->settling = true;
	lane->settle_until_ms = loop_now_ms(e->sender->loop) + SETTLE_MS;
	lane->backlog = true;
	lane->load_covers = false;
	lane->appending += e->appended == APPEND_QUEUED;
	if (lane->loaded_id >= e->row.id)
		lane->loaded_id = e->row.id - 1;
}

/* Nothing is wrong with it, and kept messages have no time-out. librdkafka has
 * retried what is usual; what comes here is sent again after a pause. */
static void
entry_again(struct entry *e, const struct delivery *d)
{
	struct sender *s = e->sender;
	unsigned dropped;

	e->sent = SEND_IDLE;
	if (e->appended == APPEND_NONE) {
		entry_again_at_once(e, d->text);
		return;
	}
	entry_again_from_disk(e);
	/* One that is given up at the end stays on the disk. */
	if (d->purged || s->closing)
		return;
	e->lane->pause_until_ms = loop_now_ms(s->loop) + AGAIN_MS;
	if (log_rate_ok(&s->again_rate, &dropped))
		log_warn("sender again id=%lld topic=%s dropped_lines=%u: %s",
		    (long long)entry_message(e), e->lane->name, dropped, d->text);
}

/* One of its batch will never be taken, maybe another one: each is sent alone, and
 * what has not been on the wire waits. A batch that librdkafka had ready goes before
 * them: their order against that one is lost. */
static void
entry_alone(struct entry *e, const struct delivery *d)
{
	struct lane *lane = e->lane;

	e->sent = SEND_IDLE;
	if (e->appended == APPEND_NONE) {
		e->alone = true;
		entry_again_at_once(e, d->text);
		return;
	}
	if (lane->alone_until < e->row.id)
		lane->alone_until = e->row.id;
	if (!lane->settling) {
		log_info("sender batch refused topic=%s: %s; its messages are sent one by one",
		    lane->name, d->text);
		producer_purge(e->sender->producer);
	}
	entry_again_from_disk(e);
}

void
entry_delivered(void *arg, void *opaque, const struct delivery *d)
{
	struct sender *s = arg;
	struct entry *e = opaque;
	struct lane *lane = e->lane;

	lane->in_window--;
	lane->in_window_bytes -= entry_bytes(e);
	lane->alone_sent -= e->alone;
	s->in_window--;
	s->in_window_bytes -= entry_bytes(e);
	if (d->err == KP_OK)
		entry_done(e, d);
	else if (d->shared)
		entry_alone(e, d);
	else if (d->permanent)
		entry_hopeless(e, d);
	else
		entry_again(e, d);
	entry_free_if_done(e);
	if (lane->backlog)
		lane_load(lane);
}
