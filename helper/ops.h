/*
 * The handlers of requests. Each takes the op (see op.h) and decodes its body.
 *
 * Loop thread only.
 */
#ifndef KP_OPS_H
#define KP_OPS_H

#include "helper/helper.h"
#include "helper/op.h"

void op_produce(struct helper *h, struct op *op);
void op_consume(struct helper *h, struct op *op);
void op_confirm(struct helper *h, struct op *op);
void op_ack(struct helper *h, struct op *op);
void op_get_offsets(struct helper *h, struct op *op);
void op_set_offsets(struct helper *h, struct op *op);
void op_get_consumers(struct helper *h, struct op *op);
void op_get_status(struct helper *h, struct op *op);
void op_find_message(struct helper *h, struct op *op);
void op_list_rows(struct helper *h, struct op *op);
void op_retry_dead(struct helper *h, struct op *op);
void op_drop_dead(struct helper *h, struct op *op);

#endif
