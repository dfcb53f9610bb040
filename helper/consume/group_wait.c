/*
 * Who waits for a message of a topic, first come first served, and what is offered to them:
 * partitions that have any take turns. And acknowledgements by offset: one that comes while the
 * group is being joined, after a restart or when partitions move, waits until it is known whose
 * the partition is and where it starts; nothing is answered that was not done.
 */
#include "helper/consume/group_wait.h"

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_topic.h"

#define LATE_MS 700			/* for a group that is joining, after the long poll */

/* ---- waiting requests ---- */

/* Its message will wait to be acknowledged. */
static bool
will_pend(const struct request *r)
{
	return r->m.no_ack || r->m.ack;
}

/* The first who waits and may have a message now: those that wait to be acknowledged must
 * not use up the memory of all others. */
static struct request *
next_waiter(struct gtopic *t)
{
	struct request *r = TAILQ_FIRST(&t->waiting.all);

	if (budget_may_pend(t->budget))
		return r;
	while (r && will_pend(r))
		r = TAILQ_NEXT(r, link);
	return r;
}

/* A partition that gives nothing before something is acknowledged; NULL: there is none. */
static const struct gpart *
held_up(const struct gtopic *t)
{
	const struct gpart *p = t->parts;

	while (p && !(p->state == GPART_ACTIVE && p->offers.pending && offers_full(&p->offers)))
		p = p->next;
	return p;
}

/* The long poll is over. Empty and broken must not look alike. */
static void
waiter_late(struct op *op, enum kp_err err)
{
	struct request *r = op->request;
	struct gtopic *t = r->t;
	uint32_t retry_s = 0;
	const char *why = topic_trouble(t, &retry_s);
	const struct gpart *p = held_up(t);
	bool full = will_pend(r) && !budget_may_pend(t->budget);

	request_leave(r);
	if (err == KP_EGONE)
		op_end(op);
	else if (why == NULL && p)
		op_fail(op, KP_EUNAVAIL, 1, "partition %d waits for %zu acknowledgements",
		    p->partition, p->offers.pending);
	else if (why == NULL && full)
		op_fail(op, KP_EUNAVAIL, 1, "messages that wait to be acknowledged have used "
		    "up their half of --consumeMaxBytes");
	else if (why)
		op_fail(op, KP_EUNAVAIL, retry_s, "%s", why);
	else
		op_fail(op, KP_ENOMSG, 0, "%s", kp_err_text(KP_ENOMSG));
}

/* A group that is still joining gets a little more time: the first request for it
 * shall not be answered before its offsets are stored. */
static void
waiter_interrupted(struct op *op, enum kp_err err)
{
	const struct request *r = op->request;
	uint32_t retry_s;

	if (err == KP_ETIMEDOUT && topic_trouble(r->t, &retry_s)) {
		op->interrupted = waiter_late;
		op_extend(op, LATE_MS);
		return;
	}
	waiter_late(op, err);
}

void
topic_wait(struct gtopic *t, struct request *r)
{
	t->asked_ms = topic_now_ms(t);
	if (t->waiting.n >= REQUESTS_MAX) {
		op_fail(r->op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
		return;
	}
	request_wait(r, &t->waiting, waiter_interrupted);
	if (t->state == TOPIC_ACTIVE)
		topic_serve(t);
	else if (t->state == TOPIC_ASKING)
		topic_ask(t);
}

void
topic_fail_waiters(struct gtopic *t, enum kp_err err, const char *why)
{
	requests_fail(&t->acks, err, why);
	requests_fail(&t->waiting, err, why);
}

/* ---- offering ---- */

/* Who waits for something that was read ahead and given up. */
static void
want_parts(struct gtopic *t)
{
	t->slept = false;
	for (struct gpart *p = t->parts; p; p = p->next)
		if (p->reader)
			consumer_want(p->reader);
}

/* The next message of the topic; partitions that have any take turns. */
static struct gpart *
next_in_turn(struct gtopic *t, struct offer **f)
{
	while (!budget_link_alone(&t->ready)) {
		struct budget_link *l = t->ready.next;
		struct gpart *p = loop_owner(l, struct gpart, ready);

		budget_link_leave(l);
		*f = gpart_next(p);
		if (*f) {
			gpart_ready(p);
			return p;
		}
	}
	if (t->slept)
		want_parts(t);
	return NULL;
}

static void
offer(struct gpart *p, struct offer *f, const struct request *r)
{
	struct op *op = r->op;
	struct offering *o = offering_new(p, f, op->conn);
	struct msg_message m;

	if (o == NULL) {
		offers_return(&p->offers, f);
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	o->pend = will_pend(r);
	fault_point("C1");
	m = consumer_message_view(f->message);
	m.offer = o->hook.id;
	msg_message_encode(op_reply_begin(op, MSG_MESSAGE), &m);
	op_reply_send(op);
	fault_point("C2");
	if (fault_break("early-commit"))
		offering_end(o, true);
}

void
topic_serve(struct gtopic *t)
{
	struct offer *f;
	struct gpart *p;
	struct request *r;

	if (t->waiting.n == 0 || !group_usable(t->g) || topic_is_uncommitted(t))
		return;
	while ((r = next_waiter(t)) != NULL && (p = next_in_turn(t, &f)) != NULL) {
		request_leave(r);
		offer(p, f, r);
	}
}

/* ---- acknowledgements ---- */

static void
ack_decided(struct gtopic *t, struct request *r, enum offers_ack result)
{
	const struct msg_consume *m = &r->m;
	struct op *op = r->op;

	log_debug("ack group=%s topic=%s partition=%d offset=%lld result=%d", t->group, t->name,
	    m->ack_partition, (long long)m->ack_offset, result);
	switch (result) {
	case OFFERS_DONE:
	case OFFERS_AGAIN:
		if (op->type == MSG_ACK)
			op_done(op);
		else
			topic_wait(t, r);
		break;
	case OFFERS_NEVER:
		op_fail(op, KP_ENOTFOUND, 0, "offset %lld of partition %d has not been handed out",
		    (long long)m->ack_offset, m->ack_partition);
		break;
	case OFFERS_FULL:
		op_fail(op, KP_EBUSY, 1, "partition %d has too many acknowledgements that are out "
		    "of order", m->ack_partition);
		break;
	}
}

/* True when the op was answered, or waits for its message. */
static bool
try_ack(struct gtopic *t, struct request *r)
{
	int32_t partition = r->m.ack_partition;
	struct gpart *p = gpart_find(t, partition);
	uint32_t retry_s;

	if (p && p->reader && group_usable(t->g) && !group_is_fenced(t->g)) {
		ack_decided(t, r, gpart_ack(p, r->m.ack_offset));
		return true;
	}
	if (group_is_closing(t->g)) {
		op_fail(r->op, KP_EUNAVAIL, 2, "%s", GROUPS_CLOSING);
		return true;
	}
	if (p || t->state != TOPIC_ACTIVE)
		return false;
	if (partition >= t->n_partitions) {
		op_fail(r->op, KP_ENOTFOUND, 0, "Unknown partition %d: the topic has %d", partition,
		    t->n_partitions);
		return true;
	}
	if (topic_trouble(t, &retry_s))
		return false;
	op_fail(r->op, KP_ECONFLICT, 0, "partition %d is consumed by another host now: acknowledge "
	    "there, or not at all, and the message comes again", partition);
	return true;
}

static void
ack_interrupted(struct op *op, enum kp_err err)
{
	struct request *r = op->request;
	uint32_t retry_s = 1;
	const char *why = topic_trouble(r->t, &retry_s);

	request_leave(r);
	if (err == KP_EGONE)
		op_end(op);
	else
		op_fail(op, KP_EUNAVAIL, retry_s, "not acknowledged: %s",
		    why ? why : "partitions are being moved");
}

void
topic_ack(struct gtopic *t, struct request *r)
{
	t->asked_ms = topic_now_ms(t);
	if (t->acks.n >= REQUESTS_MAX) {
		op_fail(r->op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
		return;
	}
	if (try_ack(t, r)) {
		topic_serve(t);		/* a partition may have waited for this one */
		return;
	}
	request_wait(r, &t->acks, ack_interrupted);
	if (t->state == TOPIC_ASKING)
		topic_ask(t);
}

void
topic_retry_acks(struct gtopic *t)
{
	/* Each once: those that still cannot be decided go to the end. */
	for (size_t n = t->acks.n; n > 0 && t->acks.n; n--) {
		struct request *r = TAILQ_FIRST(&t->acks.all);

		request_leave(r);
		if (!try_ack(t, r))
			request_wait(r, &t->acks, ack_interrupted);
	}
}
