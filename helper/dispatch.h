/*
 * From the type of a request to the function that carries it out.
 *
 * Loop thread only.
 */
#ifndef KP_DISPATCH_H
#define KP_DISPATCH_H

#include "helper/helper.h"
#include "helper/op.h"

/* `arg` is the struct helper. Takes the op. */
void dispatch(void *arg, struct op *op);

/* The handlers; each takes the op (see op.h), whose body it decodes itself. */
void op_ping(struct helper *h, struct op *op);
void op_produce(struct helper *h, struct op *op);
void op_consume(struct helper *h, struct op *op);
void op_confirm(struct helper *h, struct op *op);
void op_ack(struct helper *h, struct op *op);
void op_get_offsets(struct helper *h, struct op *op);
void op_set_offsets(struct helper *h, struct op *op);
void op_get_consumers(struct helper *h, struct op *op);

/* A name that a responder should have refused: answers the op. */
bool op_names_ok(struct op *op, struct kp_slice topic, const struct kp_slice *group);

#endif
