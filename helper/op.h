/*
 * The life of one request in the helper.
 *
 *	conn reads a frame -> op_new() -> dispatch -> op_* handler ... op_reply_send()
 *
 * The handler owns the op from dispatch until it calls one of op_done(), op_fail(),
 * op_reply_send() or op_end(), exactly once; after that the op is gone. A handler
 * may answer in the same call or much later. Meanwhile
 *
 * - the asker's connection may go: then the answer is dropped in silence;
 * - its deadline may pass: then the asker is told so, and the answer is dropped.
 *
 * A handler that sets `interrupted` hears of either, and answers by itself in time.
 *
 * Loop thread only.
 */
#ifndef KP_OP_H
#define KP_OP_H

#include "common/buf.h"
#include "common/err.h"
#include "helper/loop.h"

struct conn;

struct op {
	struct conn *conn;		/* NULL: nobody waits for the answer */
	LIST_ENTRY(op) link;		/* of the connection's ops */
	uint32_t id;
	uint8_t type;
	uint8_t *body;			/* owned; see op_take_body() */
	size_t body_bytes;
	struct kp_quota *room;		/* ipc's, of which it has `held` */
	size_t held;
	struct loop_timer deadline;
	/*
	 * Set by the handler, or NULL: called once when the connection has gone
	 * (KP_EGONE) or the deadline has passed (KP_ETIMEDOUT). The handler may
	 * finish the op from there, or later.
	 */
	void (*interrupted)(struct op *op, enum kp_err why);
	/* The handler's own. */
	void *state;
	void *request;			/* likewise: what it made of the body; freed with the op */
};

struct kp_slice op_body(const struct op *op);
/* The body becomes the caller's, to be freed with free(), and is the caller's to bound. */
uint8_t *op_take_body(struct op *op);
/* Or it stays among those of requests that were not answered, until op_body_free(). */
struct op_body {
	uint8_t *p;
	size_t n;
	struct kp_quota *room;
};
void op_keep_body(struct op *op, struct op_body *body);
void op_body_free(struct op_body *body);
/* How long the asker still waits. */
int64_t op_left_ms(const struct op *op);
/* From now, also from inside interrupted(op, KP_ETIMEDOUT): the op goes on for so long;
 * then `interrupted`, if it is set again, is called again. Less than the second that
 * responders wait past the deadline. */
void op_extend(struct op *op, int64_t ms);

/* True when the names are valid; group may be NULL. Else the op was answered: a
 * responder should have refused them. */
bool op_names_ok(struct op *op, struct kp_slice topic, const struct kp_slice *group);

/* Each answers and frees the op. */
void op_done(struct op *op);			/* MSG_DONE */
void op_fail(struct op *op, enum kp_err err, uint32_t retry_after_s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A reply with a body: begin, put the body with an encoder of msg.h, send. */
struct kp_buf *op_reply_begin(struct op *op, uint8_t type);
void op_reply_send(struct op *op);
/* No answer at all: CONFIRM, and ops whose connection has gone. */
void op_end(struct op *op);

#endif
