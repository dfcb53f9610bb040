/*
 * Which topics exist: asked of Kafka once, remembered while it stays true.
 *
 * A topic that nobody has asked for yet is looked up before the first message
 * goes to it, so that a mistyped name is an error for its sender and not a dead
 * letter. All who ask for it meanwhile wait for the one answer, in order.
 *
 * Loop thread only.
 */
#ifndef KP_TOPICS_H
#define KP_TOPICS_H

#include "common/msg.h"
#include "helper/admin/kafka_admin.h"
#include "helper/loop.h"

struct topics;

struct topics *topics_new(struct loop *l, struct kafka_admin *a);
void topics_free(struct topics *t);

/* In the asker's own object, until done() is called. err: KP_OK with the number
 * of partitions; else as kafka_admin_partitions(), with why (borrowed). done() may
 * be called before topics_ask() returns. */
struct topics_ask {
	struct topics_ask *next;
	void (*done)(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why);
};
void topics_ask(struct topics *t, struct kp_slice name, struct topics_ask *ask);

/* Kafka said that it does not know the topic: ask again next time. */
void topics_forget(struct topics *t, struct kp_slice name);

#endif
