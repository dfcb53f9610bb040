/*
 * Acknowledgements by offset. One that comes while the group is being joined, after a
 * restart or when partitions move, waits until it is known whose the partition is and
 * where it starts; nothing is answered that was not done.
 */
#include "common/log.h"
#include "helper/consume/group_state.h"

static void
decided(struct gtopic *t, struct request *r, enum offers_ack result)
{
	const struct msg_consume *m = &r->m;
	struct op *op = r->op;

	log_debug("ack group=%s topic=%s partition=%d offset=%lld result=%d", t->g->name, t->name,
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
try(struct gtopic *t, struct request *r)
{
	int32_t partition = r->m.ack_partition;
	struct gpart *p = gpart_find(t, partition);
	uint32_t retry_s;

	if (p && p->reader && group_usable(t->g) && !t->g->probe.fenced) {
		decided(t, r, gpart_ack(p, r->m.ack_offset));
		return true;
	}
	if (t->g->gs->closing) {
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
	t->asked_ms = loop_now_ms(t->g->gs->env.loop);
	if (t->acks.n >= WAITERS_MAX) {
		op_fail(r->op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
		return;
	}
	if (try(t, r)) {
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
		if (!try(t, r))
			request_wait(r, &t->acks, ack_interrupted);
	}
}
