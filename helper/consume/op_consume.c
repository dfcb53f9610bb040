/*
 * CONSUME: the next message of a topic for a group, in two phases: it is offered
 * in the reply, and counts when CONFIRM comes after the response was written.
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

	(void)partitions;
	if (op->conn == NULL)
		op_end(op);
	else if (err)
		op_fail(op, err, 1, "%s", why);
	else if (msg_consume_decode(op_body(op), &m) == KP_OK)
		groups_consume(c->h->groups, op, &m);
	free(c);
}

void
op_consume(struct helper *h, struct op *op)
{
	struct msg_consume m;
	struct consume *c;

	if (msg_consume_decode(op_body(op), &m) != KP_OK) {
		op_fail(op, KP_EBADMSG, 0, "malformed CONSUME");
		return;
	}
	if (!op_names_ok(op, m.topic, &m.group))
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	*c = (struct consume){ .ask.done = topic_known, .h = h, .op = op };
	topics_ask(h->topics, m.topic, &c->ask);
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
	(void)h;
	op_fail(op, KP_ENOTSUP, 0, "explicit acknowledgement is not supported by this version");
}
