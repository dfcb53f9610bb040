/*
 * Acknowledgements by offset. One that comes while the group is being joined, after a
 * restart or when partitions move, waits until it is known whose the partition is and
 * where it starts; nothing is answered that was not done.
 */
#include "common/log.h"
#include "helper/consume/group_state.h"

/* Both kinds of op carry one; they were decoded before. */
static struct msg_ack
ack_of(const struct op *op)
{
	struct msg_ack m = { .partition = -1 };
	struct msg_consume c;

	if (op->type == MSG_ACK) {
		if (msg_ack_decode(op_body(op), &m) != KP_OK)
			m.partition = -1;
	} else if (msg_consume_decode(op_body(op), &c) == KP_OK) {
		m = (struct msg_ack){ c.topic, c.group, c.ack_partition, c.ack_offset };
	}
	return m;
}

static void
decided(struct gtopic *t, struct op *op, const struct msg_ack *m, enum offers_ack result)
{
	log_debug("ack group=%s topic=%s partition=%d offset=%lld result=%d", t->g->name, t->name,
	    m->partition, (long long)m->offset, result);
	switch (result) {
	case OFFERS_DONE:
	case OFFERS_AGAIN:
		if (op->type == MSG_ACK)
			op_done(op);
		else
			topic_wait(t, op);
		break;
	case OFFERS_NEVER:
		op_fail(op, KP_ENOTFOUND, 0, "offset %lld of partition %d has not been handed out",
		    (long long)m->offset, m->partition);
		break;
	case OFFERS_FULL:
		op_fail(op, KP_EBUSY, 1, "partition %d has too many acknowledgements that are out "
		    "of order", m->partition);
		break;
	}
}

/* True when the op was answered, or waits for its message. */
static bool
try(struct gtopic *t, struct op *op)
{
	struct msg_ack m = ack_of(op);
	struct gpart *p = gpart_find(t, m.partition);
	uint32_t retry_s;

	if (p && p->reader && group_usable(t->g) && !t->g->probe.fenced) {
		decided(t, op, &m, gpart_ack(p, m.offset));
		return true;
	}
	if (t->g->gs->closing) {
		op_fail(op, KP_EUNAVAIL, 2, "%s", GROUPS_CLOSING);
		return true;
	}
	if (p || t->state != TOPIC_ACTIVE)
		return false;
	if (m.partition < 0 || m.partition >= t->n_partitions) {
		op_fail(op, KP_ENOTFOUND, 0, "Unknown partition %d: the topic has %d", m.partition,
		    t->n_partitions);
		return true;
	}
	if (topic_trouble(t, &retry_s))
		return false;
	op_fail(op, KP_ECONFLICT, 0, "partition %d is consumed by another host now: acknowledge "
	    "there, or not at all, and the message comes again", m.partition);
	return true;
}

static void
ack_remove(struct gtopic *t, struct op *op)
{
	struct op **at = &t->first_ack, *before = NULL;

	while (*at && *at != op) {
		before = *at;
		at = &(*at)->link;
	}
	if (*at == NULL)
		return;
	*at = op->link;
	if (t->last_ack == op)
		t->last_ack = before;
	t->n_acks--;
	op->link = NULL;
	op->interrupted = NULL;
}

static void
ack_interrupted(struct op *op, enum kp_err err)
{
	struct gtopic *t = op->state;
	uint32_t retry_s = 1;
	const char *why = topic_trouble(t, &retry_s);

	ack_remove(t, op);
	if (err == KP_EGONE)
		op_end(op);
	else
		op_fail(op, KP_EUNAVAIL, retry_s, "not acknowledged: %s",
		    why ? why : "partitions are being moved");
}

static void
ack_append(struct gtopic *t, struct op *op)
{
	op->state = t;
	op->interrupted = ack_interrupted;
	op->link = NULL;
	if (t->last_ack)
		t->last_ack->link = op;
	else
		t->first_ack = op;
	t->last_ack = op;
	t->n_acks++;
}

void
topic_ack(struct gtopic *t, struct op *op)
{
	t->asked_ms = loop_now_ms(t->g->gs->env.loop);
	if (t->n_acks >= WAITERS_MAX) {
		op_fail(op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
		return;
	}
	if (try(t, op)) {
		topic_serve(t);		/* a partition may have waited for this one */
		return;
	}
	ack_append(t, op);
	if (t->state == TOPIC_ASKING)
		topic_ask(t);
}

void
topic_retry_acks(struct gtopic *t)
{
	/* Each once: those that still cannot be decided go to the end. */
	for (size_t n = t->n_acks; n > 0 && t->first_ack; n--) {
		struct op *op = t->first_ack;

		ack_remove(t, op);
		if (!try(t, op))
			ack_append(t, op);
	}
}

void
topic_fail_acks(struct gtopic *t, enum kp_err err, const char *why)
{
	while (t->first_ack) {
		struct op *op = t->first_ack;

		ack_remove(t, op);
		op_fail(op, err, 1, "%s", why);
	}
}
