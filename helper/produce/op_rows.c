/*
 * What waits in the store, for those who look after it: FIND_MESSAGE tells what
 * became of one message, LIST_ROWS shows rows, RETRY_DEAD and DROP_DEAD act on dead
 * letters.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/msg_admin.h"
#include "helper/ipc.h"
#include "helper/ops.h"
#include "helper/produce/sender.h"

#define NO_STORE "nothing is stored: durability is \"memory\""

/* ---- FIND_MESSAGE ---- */

struct find {
	struct store_ask ask;		/* first */
	struct helper *h;
	struct op *op;
	int64_t id;			/* as it was told */
	int64_t row;
};

static void
answer_receipt(struct op *op, const struct msg_receipt *r)
{
	msg_receipt_encode(op_reply_begin(op, MSG_RECEIPT), r);
	op_reply_send(op);
}

static void
answer_unknown(struct op *op, int64_t id)
{
	op_fail(op, KP_ENOTFOUND, 0, "No message with the id %lld is known here: it was delivered "
	    "a while ago, or dropped, or never accepted", (long long)id);
}

static void
find_found(struct store_ask *ask)
{
	struct find *f = (struct find *)ask;
	const struct store_loaded *row = ask->rows;
	struct msg_receipt r = { .id = f->id, .partition = -1, .offset = -1 };

	if (ask->err && row == NULL) {
		op_fail(f->op, KP_EUNAVAIL, 1, "the store cannot be read");
	} else if (row) {
		r.state = row->dead ? RECEIPT_DEAD : RECEIPT_PENDING;
		r.reason = row->dead ? kp_slice_str(row->reason) : LIT("");
		answer_receipt(f->op, &r);
	} else if (sender_receipt(f->h->sender, f->id, &r)) {
		answer_receipt(f->op, &r);	/* it is on its way, or has just arrived */
	} else {
		answer_unknown(f->op, f->id);
	}
	store_loaded_free(ask->rows);
	free(f);
}

void
op_find_message(struct helper *h, struct op *op)
{
	struct store *store = sender_store(h->sender);
	struct msg_receipt r;
	struct msg_find m;
	struct find *f;
	bool known;

	if (msg_find_decode(op_body(op), &m) != KP_OK) {
		op_fail(op, KP_EBADMSG, 0, "malformed FIND_MESSAGE");
		return;
	}
	known = sender_receipt(h->sender, m.id, &r);
	if (known && (r.state == RECEIPT_DELIVERED || store == NULL)) {
		answer_receipt(op, &r);
		return;
	}
	f = store ? calloc(1, sizeof(*f)) : NULL;
	if (f == NULL) {
		answer_unknown(op, m.id);
		return;
	}
	*f = (struct find){ .h = h, .op = op, .id = m.id,
	    .row = ids_row(sender_ids(h->sender), m.id), .ask = { .question = STORE_FIND,
	    .n_ids = 1, .max_rows = 1, .max_bytes = 1, .done = find_found } };
	f->ask.ids = &f->row;
	store_ask(store, &f->ask);
}

/* ---- for operators ---- */

/* False: the op was answered. */
static bool
may_operate(struct helper *h, struct op *op, struct store **store)
{
	*store = sender_store(h->sender);
	if (op->conn == NULL || !conn_is_operator(op->conn))
		op_fail(op, KP_EDENIED, 0, "only root and the helper's own user may see or change "
		    "what is stored");
	else if (*store == NULL)
		op_fail(op, KP_ENOTSUP, 0, NO_STORE);
	else
		return true;
	return false;
}

static void
put_topic(struct store_ask *ask, struct kp_slice topic)
{
	memcpy(ask->topic, topic.p, topic.n);
}

/* ---- LIST_ROWS ---- */

struct list {
	struct store_ask ask;		/* first */
	struct op *op;
	const struct ids *ids;
};

static void
fill_row(struct msg_row *out, const struct store_loaded *l, const struct ids *ids)
{
	*out = (struct msg_row){
		.id = ids_told(ids, l->row.was ? l->row.was : l->row.id), .topic = l->row.topic,
		.accepted_ms = l->row.accepted_ms, .attempts = l->row.attempts,
		.buried_ms = l->buried_ms, .reason = kp_slice_str(l->reason),
		.value_bytes = (uint32_t)l->value_bytes, .has_key = l->row.key.p != NULL,
		.key = l->row.key, .value = l->row.value,
	};
}

static void
list_found(struct store_ask *ask)
{
	struct list *l = (struct list *)ask;
	struct msg_rows m = { .v = calloc(ROWS_MAX, sizeof(*m.v)) };

	if (m.v == NULL || (ask->err && ask->rows == NULL)) {
		op_fail(l->op, m.v ? KP_EUNAVAIL : KP_ENOMEM, 1, "the store cannot be read");
	} else {
		for (const struct store_loaded *r = ask->rows; r && m.n < ROWS_MAX; r = r->next) {
			fill_row(&m.v[m.n++], r, l->ids);
			m.next = r->row.id;
		}
		/* A short page may be one of large rows: the next tells. */
		if (ask->rows == NULL)
			m.next = 0;
		msg_rows_encode(op_reply_begin(l->op, MSG_ROWS), &m);
		op_reply_send(l->op);
	}
	msg_rows_free(&m);
	store_loaded_free(ask->rows);
	free(l);
}

void
op_list_rows(struct helper *h, struct op *op)
{
	struct store *store;
	struct msg_list m;
	struct list *l;

	if (msg_list_decode(op_body(op), &m) != KP_OK) {
		op_fail(op, KP_EBADMSG, 0, "malformed LIST_ROWS");
		return;
	}
	if (!may_operate(h, op, &store) || (m.topic.n && !op_names_ok(op, m.topic, NULL)))
		return;
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	l->op = op;
	l->ids = sender_ids(h->sender);
	l->ask = (struct store_ask){ .question = STORE_LIST, .dead = m.dead,
	    .bodies = m.with_bodies, .after = m.after, .max_rows = m.limit,
	    .max_bytes = ROWS_BYTES_MAX, .done = list_found };
	put_topic(&l->ask, m.topic);
	store_ask(store, &l->ask);
}

/* ---- RETRY_DEAD, DROP_DEAD ---- */

struct act {
	struct store_ask ask;		/* first */
	struct helper *h;
	struct op *op;
	struct msg_act m;		/* its ids are ours, those of rows; its topic is the op's */
	bool drop;
	size_t waiting;			/* letters whose fate is open, and one for ourselves */
	struct msg_acted reply;
};

struct letter {				/* that is dropped */
	struct store_cmd cmd;		/* first */
	struct act *act;
	char topic[TOPIC_MAX + 1];
};

static void
act_end(struct act *a, enum kp_err err)
{
	if (err) {
		op_fail(a->op, err == KP_EFULL ? KP_EFULL : KP_EUNAVAIL, 5,
		    "%lld were done, then: %s", (long long)a->reply.done, kp_err_text(err));
	} else {
		msg_acted_encode(op_reply_begin(a->op, MSG_ACTED), &a->reply);
		op_reply_send(a->op);
	}
	msg_act_free(&a->m);
	msg_acted_free(&a->reply);
	free(a);
}

static void
act_one_done(void *arg, enum kp_err err)
{
	struct act *a = arg;

	if (err == KP_OK)
		a->reply.done++;
	else if (err != KP_ENOTFOUND)
		a->ask.err = err;
	if (--a->waiting == 0)
		act_end(a, a->ask.err);
}

static void
letter_dropped(struct store_cmd *cmd, enum kp_err err)
{
	struct letter *l = (struct letter *)cmd;

	act_one_done(l->act, err);
	free(l);
}

static void
act_on(struct act *a, const struct store_loaded *row)
{
	struct letter *l;

	a->waiting++;
	if (!a->drop) {
		sender_retry(a->h->sender, row, act_one_done, a);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		act_one_done(a, KP_ENOMEM);
		return;
	}
	*l = (struct letter){ .act = a, .cmd = { .verb = STORE_DROP, .row.id = row->row.id,
	    .row.key.n = row->key_bytes, .row.value.n = row->value_bytes,
	    .done = letter_dropped } };
	memcpy(l->topic, row->row.topic.p, row->row.topic.n);
	l->cmd.row.topic = kp_slice_str(l->topic);
	log_info("store dead letter dropped id=%lld",
	    (long long)ids_told(sender_ids(a->h->sender), row->row.id));
	store_submit(sender_store(a->h->sender), &l->cmd);
}

static bool
is_among(const struct store_loaded *rows, int64_t id)
{
	while (rows && !(rows->dead && rows->row.id == id))
		rows = rows->next;
	return rows != NULL;
}

static void
act_found(struct store_ask *ask)
{
	struct act *a = (struct act *)ask;
	struct store_loaded *rows = ask->rows;
	size_t n = 0;

	a->reply.missing = calloc(a->m.n + 1, sizeof(int64_t));
	if (a->reply.missing == NULL)
		ask->err = KP_ENOMEM;
	for (size_t i = 0; i < a->m.n && !a->m.all && ask->err == KP_OK; i++)
		if (!is_among(rows, a->m.ids[i]))
			a->reply.missing[a->reply.n++] =
			    ids_told(sender_ids(a->h->sender), a->m.ids[i]);
	a->waiting = 1;
	for (const struct store_loaded *r = rows; r && ask->err == KP_OK; r = r->next, n++) {
		if (r->dead)
			act_on(a, r);
		if (a->m.all)
			a->reply.next = r->row.id;
	}
	if (n < ROWS_MAX)
		a->reply.next = 0;
	store_loaded_free(rows);
	if (--a->waiting == 0)
		act_end(a, ask->err);
}

static void
act_begin(struct helper *h, struct op *op, bool drop)
{
	struct act *a = calloc(1, sizeof(*a));
	struct store *store;
	enum kp_err err = a ? msg_act_decode(op_body(op), &a->m) : KP_ENOMEM;

	if (err)
		op_fail(op, err, err == KP_ENOMEM, "%s", kp_err_text(err));
	else if (may_operate(h, op, &store) &&
	    (a->m.topic.n == 0 || op_names_ok(op, a->m.topic, NULL))) {
		a->h = h;
		a->op = op;
		a->drop = drop;
		a->ask = (struct store_ask){ .question = a->m.all ? STORE_LIST : STORE_FIND,
		    .dead = true, .after = a->m.after, .max_rows = ROWS_MAX,
		    .max_bytes = ROWS_BYTES_MAX, .ids = a->m.ids, .n_ids = a->m.n,
		    .done = act_found };
		for (size_t i = 0; i < a->m.n; i++)
			a->m.ids[i] = ids_row(sender_ids(h->sender), a->m.ids[i]);
		put_topic(&a->ask, a->m.topic);
		store_ask(store, &a->ask);
		return;
	}
	if (a)
		msg_act_free(&a->m);
	free(a);
}

void
op_retry_dead(struct helper *h, struct op *op)
{
	act_begin(h, op, false);
}

void
op_drop_dead(struct helper *h, struct op *op)
{
	act_begin(h, op, true);
}
