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

/* A group is only started for a topic that exists. */
static void
topic_known(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct request *r = (struct request *)ask;

	(void)partitions;
	if (r->op->conn == NULL)
		op_end(r->op);
	else if (err)
		op_fail(r->op, err == KP_EBUSY ? KP_EUNAVAIL : err, 1, "%s", why);
	else
		groups_request(r->h->groups, r);
}

static void
begin(struct helper *h, struct op *op, const struct msg_consume *m)
{
	struct request *r;

	if (!op_names_ok(op, m->topic, &m->group))
		return;
	r = op->request = calloc(1, sizeof(*r));
	if (r == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	*r = (struct request){ .ask.done = topic_known, .h = h, .op = op, .m = *m };
	topics_ask(h->topics, m->topic, &r->ask);
}

void
op_consume(struct helper *h, struct op *op)
{
	struct msg_consume m;

	if (msg_consume_decode(op_body(op), &m) == KP_OK)
		begin(h, op, &m);
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
		begin(h, op, &(struct msg_consume){ .topic = m.topic, .group = m.group,
		    .ack = true, .ack_partition = m.partition, .ack_offset = m.offset });
	else
		op_fail(op, KP_EBADMSG, 0, "malformed ACK");
}
