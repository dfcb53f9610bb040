/*
 * The life of requests: from a frame to its answer, its deadline, or the end of
 * its connection, whichever comes first. See op.h.
 */
#include "helper/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/msg.h"
#include "helper/ipc_state.h"

void
op_send_error(struct conn *c, uint32_t id, enum kp_err err, uint32_t retry_after_s,
    const char *text)
{
	struct msg_error m = { .err = err, .retry_after_s = retry_after_s,
	    .text = kp_slice_str(text) };
	struct kp_buf *out = &c->ipc->out;
	size_t begin;

	kp_buf_reset(out);
	begin = wire_begin(out, MSG_ERROR, id, 0);
	if (msg_error_encode(out, &m) == KP_OK && wire_end(out, begin) == KP_OK)
		conn_write(c, out->p, out->len);
}

struct kp_slice
op_body(const struct op *op)
{
	return (struct kp_slice){ op->body ? op->body : (const uint8_t *)"", op->body_bytes };
}

void
op_keep_body(struct op *op, struct op_body *body)
{
	*body = (struct op_body){ op->body, op->body_bytes, op->room };
	op->held -= op->body_bytes;
	op->body = NULL;
	op->body_bytes = 0;
}

uint8_t *
op_take_body(struct op *op)
{
	struct op_body body;

	op_keep_body(op, &body);
	kp_quota_give(body.room, body.n);
	return body.p;
}

void
op_body_free(struct op_body *body)
{
	kp_quota_give(body->room, body->n);
	free(body->p);
}

int64_t
op_left_ms(const struct op *op)
{
	return op->deadline.impl ? loop_timer_left_ms(&op->deadline) : 0;
}

/* From here on nobody waits for the op's answer. */
static void
op_detach(struct op *op)
{
	struct conn *c = op->conn;

	if (c == NULL)
		return;
	LIST_REMOVE(op, link);
	c->n_ops--;
	c->ipc->n_ops--;
	op->conn = NULL;
	loop_timer_end(&op->deadline);
}

void
op_end(struct op *op)
{
	op_detach(op);
	kp_quota_give(op->room, op->held);
	free(op->request);
	free(op->body);
	free(op);
}

void
op_abandon(struct op *op)
{
	void (*interrupted)(struct op *op, enum kp_err why) = op->interrupted;

	op_detach(op);
	op->interrupted = NULL;
	if (interrupted)
		interrupted(op, KP_EGONE);
}

/* A handler that has `interrupted` set answers by itself, while it still can. */
static void
op_expired(void *arg)
{
	struct op *op = arg;
	void (*interrupted)(struct op *op, enum kp_err why) = op->interrupted;
	struct conn *c = op->conn;

	log_debug("op expired type=%s id=%u", msg_type_name(op->type), op->id);
	if (interrupted) {
		op->interrupted = NULL;
		interrupted(op, KP_ETIMEDOUT);
		return;
	}
	op_detach(op);
	op_send_error(c, op->id, KP_EUNAVAIL, 1, "the helper could not answer in time; try again");
}

void
op_extend(struct op *op, int64_t ms)
{
	if (op->conn)
		loop_timer_set(op->conn->ipc->loop, &op->deadline, ms, 0, op_expired, op);
}

void
op_fail(struct op *op, enum kp_err err, uint32_t retry_after_s, const char *fmt, ...)
{
	char text[TEXT_MAX];
	struct conn *c = op->conn;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c)
		op_send_error(c, op->id, err, retry_after_s, text);
	log_debug("op failed type=%s id=%u err=%s: %s", msg_type_name(op->type), op->id,
	    kp_err_name(err), text);
	op_end(op);
}

struct kp_buf *
op_reply_begin(struct op *op, uint8_t type)
{
	static struct kp_buf nowhere;	/* limit 0: every put fails */
	struct ipc *ipc;

	if (op->conn == NULL)
		return &nowhere;
	ipc = op->conn->ipc;
	kp_buf_reset(&ipc->out);
	ipc->out_begin = wire_begin(&ipc->out, type, op->id, 0);
	return &ipc->out;
}

void
op_reply_send(struct op *op)
{
	struct conn *c = op->conn;

	if (c) {
		struct kp_buf *out = &c->ipc->out;

		if (wire_end(out, c->ipc->out_begin) == KP_OK)
			conn_write(c, out->p, out->len);
		else
			op_send_error(c, op->id, KP_ETOOBIG, 0, "the reply is too large");
		if (out->cap > KEEP_BYTES)
			kp_buf_free(out);
	}
	op_end(op);
}

void
op_done(struct op *op)
{
	op_reply_begin(op, MSG_DONE);
	op_reply_send(op);
}

enum kp_err
op_new(struct conn *c, const struct wire_frame *f)
{
	bool large = kp_quota_weight(f->body.n) > 0;
	struct kp_quota *room = large ? &c->ipc->large : &c->ipc->small;
	size_t held = OP_BYTES + f->body.n;
	struct op *op;

	if (!kp_quota_take(room, held))
		return KP_EUNAVAIL;
	op = calloc(1, sizeof(*op));
	if (op == NULL || (op->body = malloc(f->body.n + 1)) == NULL) {
		free(op);
		kp_quota_give(room, held);
		return KP_ENOMEM;
	}
	op->room = room;
	op->held = held;
	memcpy(op->body, f->body.p, f->body.n);
	op->body_bytes = f->body.n;
	op->id = f->id;
	op->type = f->type;
	op->conn = c;
	LIST_INSERT_HEAD(&c->ops, op, link);
	c->n_ops++;
	c->ipc->n_ops++;
	/* A CONFIRM is handled at once and needs no clock. */
	if (f->type != MSG_CONFIRM_OFFER)
		loop_timer_set(c->ipc->loop, &op->deadline, f->deadline_ms, 0, op_expired, op);
	c->ipc->dispatch(c->ipc->arg, op);
	return KP_OK;
}

bool
op_names_ok(struct op *op, struct kp_slice topic, const struct kp_slice *group)
{
	if (!msg_topic_ok(topic))
		op_fail(op, KP_EBADREQ, 0, "bad topic name");
	else if (group && !msg_group_ok(*group))
		op_fail(op, KP_EBADREQ, 0, "bad group name");
	else
		return true;
	return false;
}
