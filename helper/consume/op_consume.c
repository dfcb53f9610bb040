/*
 * CONSUME: the next message of a topic for a group, in two phases: it is offered
 * in the reply, and counts when CONFIRM comes after the response was written. Or in
 * three, when it is to be acknowledged after that, by ACK or by the next CONSUME.
 */
#include <stdlib.h>

#include "common/fault.h"
#include "common/msg.h"
#include "helper/consume/group.h"
#include "helper/ops.h"

struct consume {
	struct topics_ask ask;		/* first */
	struct helper *h;
	struct op *op;
};

/* A group is only started for a topic that exists. */
static void
topic_known(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct consume *c = (struct consume *)ask;
	struct op *op = c->op;
	struct msg_consume m;
	struct msg_ack ack;

	(void)partitions;
	if (op->conn == NULL)
		op_end(op);
	else if (err)
		op_fail(op, err == KP_EBUSY ? KP_EUNAVAIL : err, 1, "%s", why);
	else if (op->type == MSG_ACK && msg_ack_decode(op_body(op), &ack) == KP_OK)
		groups_ack(c->h->groups, op, &ack);
	else if (msg_consume_decode(op_body(op), &m) == KP_OK)
		groups_consume(c->h->groups, op, &m);
	free(c);
}

static void
ask_topic(struct helper *h, struct op *op, struct kp_slice topic, struct kp_slice group)
{
	struct consume *c;

	if (!op_names_ok(op, topic, &group))
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	*c = (struct consume){ .ask.done = topic_known, .h = h, .op = op };
	topics_ask(h->topics, topic, &c->ask);
}

void
op_consume(struct helper *h, struct op *op)
{
	struct msg_consume m;

	if (msg_consume_decode(op_body(op), &m) == KP_OK)
		ask_topic(h, op, m.topic, m.group);
	else
		op_fail(op, KP_EBADMSG, 0, "malformed CONSUME");
}

/* CONFIRM has no reply: when it is lost, the message comes again. */
void
op_confirm(struct helper *h, struct op *op)
{
	struct msg_confirm m;

	if (msg_confirm_decode(op_body(op), &m) == KP_OK) {
		groups_confirm(h->groups, op, &m);
		fault_point("C3");
	} else {
		op_end(op);
	}
}

void
op_ack(struct helper *h, struct op *op)
{
	struct msg_ack m;

	if (msg_ack_decode(op_body(op), &m) == KP_OK)
		ask_topic(h, op, m.topic, m.group);
	else
		op_fail(op, KP_EBADMSG, 0, "malformed ACK");
}
