/* Requests that wait for a message of a topic, or to acknowledge one: see group_wait.c. Loop
 * thread only. */
#ifndef KP_GROUP_WAIT_H
#define KP_GROUP_WAIT_H

#include "common/err.h"

struct gtopic;
struct request;

/* It waits for a message of the topic. */
void topic_wait(struct gtopic *t, struct request *r);
/* Gives what there is to who waits. */
void topic_serve(struct gtopic *t);
/* An ACK, or a CONSUME with one: it is answered, or waits for its message, or for the
 * partition to start. */
void topic_ack(struct gtopic *t, struct request *r);
/* Decides what can be decided now. */
void topic_retry_acks(struct gtopic *t);
/* All that wait. */
void topic_fail_waiters(struct gtopic *t, enum kp_err err, const char *why);

#endif
