/*
 * A CONSUME or an ACK: decoded once, in op_consume.c, and carried by its op (op->request),
 * with which it ends; and the queues in which it waits.
 *
 * Loop thread only.
 */
#ifndef KP_REQUEST_H
#define KP_REQUEST_H

#include <sys/queue.h>

#include "common/msg.h"
#include "helper/kafka/topics.h"
#include "helper/op.h"

/* More do not wait in a queue: who comes then is told so. */
#define REQUESTS_MAX 1024

struct helper;
struct gtopic;

struct request {
	struct topics_ask ask;		/* first */
	struct helper *h;
	struct op *op;
	struct msg_consume m;		/* an ACK's too, with .ack; slices of the op's body */
	struct gtopic *t;		/* once groups have it */
	struct requests *queue;		/* where it waits, or NULL */
	TAILQ_ENTRY(request) link;	/* there */
};

/* First come, first served; `all` begins as TAILQ_INIT() makes it. */
struct requests {
	TAILQ_HEAD(request_list, request) all;
	size_t n;
};

/* It waits, as the last one; `interrupted` is its op's while it does. */
void request_wait(struct request *r, struct requests *queue,
    void (*interrupted)(struct op *op, enum kp_err why));
/* It waits no more; it must be waiting. */
void request_leave(struct request *r);
/* Nobody waits any more: all ops were answered. */
void requests_fail(struct requests *queue, enum kp_err err, const char *why);

#endif
