/* The table of requests. A new message type gets a row here and a handler. */
#include "helper/dispatch.h"

#include "common/log.h"
#include "common/msg.h"
#include "helper/ops.h"

static void
op_ping(struct helper *h, struct op *op)
{
	(void)h;
	op_done(op);
}

static const struct {
	void (*run)(struct helper *h, struct op *op);
	bool while_stopping;
} handlers[] = {
	[MSG_PING] = { op_ping, false },
	[MSG_PRODUCE] = { op_produce, false },
	[MSG_CONSUME] = { op_consume, false },
	/* Who already has a message may still say so. */
	[MSG_CONFIRM_OFFER] = { op_confirm, true },
	[MSG_ACK] = { op_ack, true },
	[MSG_GET_OFFSETS] = { op_get_offsets, false },
	[MSG_SET_OFFSETS] = { op_set_offsets, false },
	[MSG_GET_CONSUMERS] = { op_get_consumers, false },
	[MSG_GET_STATUS] = { op_get_status, true },
	[MSG_FIND_MESSAGE] = { op_find_message, false },
	[MSG_LIST_ROWS] = { op_list_rows, false },
	[MSG_RETRY_DEAD] = { op_retry_dead, false },
	[MSG_DROP_DEAD] = { op_drop_dead, false },
};

void
dispatch(void *arg, struct op *op)
{
	struct helper *h = arg;

	log_debug("op type=%s id=%u body_bytes=%zu", msg_type_name(op->type), op->id,
	    op->body_bytes);
	if (op->type >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[op->type].run)
		op_fail(op, KP_EBADMSG, 0, "unknown request type %u", op->type);
	else if (h->stopping && !handlers[op->type].while_stopping)
		op_fail(op, KP_EUNAVAIL, 2, "the helper is shutting down");
	else
		handlers[op->type].run(h, op);
}
