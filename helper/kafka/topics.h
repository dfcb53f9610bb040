/*
 * Which topics exist: asked of Kafka once, remembered while it stays true.
 *
 * A topic that nobody has asked for yet is looked up before the first message
 * goes to it, so that a mistyped name is an error for its sender and not a dead
 * letter. All who ask for it meanwhile wait for the one answer, in order.
 *
 * Names that do not exist wait here, and not on a worker, while brokers may be making
 * them: two jobs at most ask for all of them. What is remembered has an end.
 *
 * Loop thread only.
 */
#ifndef KP_TOPICS_H
#define KP_TOPICS_H

#include "common/msg.h"
#include "helper/kafka/kafka_admin.h"
#include "helper/loop.h"

/* For so long a topic that does not exist is waited for, while brokers may be making it. */
#define TOPIC_CREATE_MS 2000

struct topics;

struct topics *topics_new(struct loop *l, struct kafka_admin *a);
/* Asks nothing any more; jobs that are out end by themselves. */
void topics_stop(struct topics *t);
/* After the loop's last job. NULL is allowed, here and above. */
void topics_free(struct topics *t);

/*
 * In the asker's own object, until done() is called. err: KP_OK with the number of
 * partitions; KP_ENOTFOUND, KP_EDENIED, KP_EKAFKA, KP_EUNAVAIL: Kafka's answer or that there is
 * none; KP_EBUSY: Kafka was not asked, because too many names wait for it. With why
 * (borrowed). done() may be called before topics_ask() returns.
 */
struct topics_ask {
	struct topics_ask *next;
	void (*done)(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why);
	bool only_look;		/* brokers must not make the topic: then an unknown one is not
				 * waited for, either */
};
void topics_ask(struct topics *t, struct kp_slice name, struct topics_ask *ask);

/* Kafka said that it does not know the topic: ask again next time. */
void topics_forget(struct topics *t, struct kp_slice name);

/* True when Kafka has answered a moment ago: who waits, waits for us. */
bool topics_answered(const struct topics *t);

#endif
