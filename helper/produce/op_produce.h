/*
 * The sync producer's reports end in op_produce.c: main.c makes that producer
 * with this callback; `arg` is not used.
 */
#ifndef KP_OP_PRODUCE_H
#define KP_OP_PRODUCE_H

#include "helper/kafka/producer.h"

void op_produce_delivered(void *arg, void *opaque, const struct delivery *d);

#endif
