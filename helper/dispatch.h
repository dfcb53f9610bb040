/*
 * From the type of a request to the function that carries it out.
 *
 * Loop thread only.
 */
#ifndef KP_DISPATCH_H
#define KP_DISPATCH_H

#include "helper/op.h"

/* `arg` is the struct helper. Takes the op. */
void dispatch(void *arg, struct op *op);

#endif
