/* What the helper of the stand holds of messages: its counts, receipts, and dead letters. */
#ifndef KP_IT_KEPT_H
#define KP_IT_KEPT_H

#include "tests/it/stand.h"

/* With one message, so that the helper knows it: an unknown one is asked for at length
 * while Kafka is away. */
void kept_topic(const char *topic, int partitions);
/* Waits for these counts; what is on its way comes to rest. */
void kept_expect(int64_t accepted, int64_t pending, int64_t dead, int64_t dropped);
/* Async; the id of the message. */
int64_t kept_accept(const char *topic, const char *key, const char *value);
/* Waits until the message is in that state, RECEIPT_... */
void kept_find(int64_t id, uint8_t state, struct msg_receipt *r);
void kept_find_nothing(int64_t id);
/* Kafka comes back and refuses the next `n` requests to produce. */
void kept_refuse(unsigned n);
void kept_refuse_no_more(void);
/* n dead letters "prefix0"... of a topic that has been made; their ids. */
void kept_bury(const char *topic, const char *prefix, unsigned n, int64_t *ids);
/* Acts on these, MSG_RETRY_DEAD or MSG_DROP_DEAD; gives how many were done, and, if asked,
 * what was missing. */
int64_t kept_act(uint8_t type, int64_t *ids, size_t n, int64_t *missing);

#endif
