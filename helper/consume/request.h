/*
 * A CONSUME or an ACK: decoded once, in op_consume.c, and carried by its op (op->request),
 * with which it ends.
 */
#ifndef KP_REQUEST_H
#define KP_REQUEST_H

#include "common/msg.h"
#include "helper/kafka/topics.h"
#include "helper/op.h"

struct helper;
struct gtopic;

struct request {
	struct topics_ask ask;		/* first */
	struct helper *h;
	struct op *op;
	struct msg_consume m;		/* an ACK's too, with .ack; slices of the op's body */
	struct gtopic *t;		/* where it waits; for nothing before it does */
	struct request *next;		/* in the queue there */
};

#endif
