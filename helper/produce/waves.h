/*
 * What goes to librdkafka of a topic, in waves, and what becomes of them.
 *
 * Loop thread only.
 */
#ifndef KP_WAVES_H
#define KP_WAVES_H

#include <stdbool.h>
#include <stdint.h>

struct delivery;
struct entry;
struct kafka_list;
struct lane;

/* Takes the entry behind those of its partition. waves_send() sends what can be sent, as
 * soon as the waves before are. */
void waves_take(struct lane *lane, struct entry *e);
void waves_send(struct lane *lane);
/* Gives up what was not sent. */
void waves_end(struct lane *lane);
/* Callbacks of the producer, as in struct producer_conf. */
int32_t waves_place(void *opaque, int32_t partitions, int32_t proposed);
void waves_delivered(void *arg, void *opaque, const struct delivery *d);
void waves_flushed(void *arg);

/* ---- waves that are not reported ---- */

/* A wave of the topic is on its way for so long that its leader is to be asked for. */
bool waves_late(const struct lane *lane);
/* When the first of those was sent that are on their way by the present handle; 0: none is. */
int64_t waves_unreported_ms(const struct lane *lane);
/* True when one is that had a leader all the time: librdkafka will not send it. */
bool waves_stuck(struct lane *lane, const struct kafka_list *list);

#endif
