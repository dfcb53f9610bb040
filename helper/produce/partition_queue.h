/*
 * What waits for one partition, and the one wave of it that librdkafka has.
 *
 *	put -> a b c d  ->  sent -> a b  ->  reported: a is taken, b failed
 *	       waiting              wave                                  |
 *	       b c d  <- end: what failed comes before what waits --------+
 *
 * A wave is no more than goes into one request, and nothing follows before all its reports
 * are in. So nothing can overtake what has to be sent again.
 *
 * Entries are their owner's, and in one queue at most, by their `link`. Nothing here knows
 * of topics, Kafka or the disk. Loop thread only.
 */
#ifndef KP_PARTITION_QUEUE_H
#define KP_PARTITION_QUEUE_H

#include "helper/produce/entry.h"

struct partition_queue;

/* The first wave has at most `limit` messages. NULL without memory. */
struct partition_queue *partition_queue_new(size_t limit);
void partition_queue_free(struct partition_queue *q);	/* NULL is allowed */

/* ---- what waits ---- */

void partition_queue_put(struct partition_queue *q, struct entry *e);
/* The first and the last that wait: TAILQ_PREV() gives those before that. NULL: none does. */
struct entry *partition_queue_waiting(const struct partition_queue *q);
struct entry *partition_queue_last(const struct partition_queue *q);
/* One that waits leaves; one of the wave does. */
void partition_queue_take_out(struct entry *e);
void partition_queue_leave(struct entry *e);
/* Entries in it, with those of the wave. */
size_t partition_queue_load(const struct partition_queue *q);
/* Nothing begins before then. */
void partition_queue_pause(struct partition_queue *q, int64_t until_ms);

/* ---- a wave ---- */

/* Whether one can begin. */
bool partition_queue_may_begin(const struct partition_queue *q, int64_t now_ms);
/* True: it will have more than one message, and is to be held for that; until it is let go.
 * Else, and unless it `may`, it has one. */
bool partition_queue_hold(struct partition_queue *q, int64_t now_ms, bool may);
/* Through the producer of this generation. Others must not be ahead of it once so many waves
 * are done. */
void partition_queue_begin(struct partition_queue *q, int64_t now_ms, unsigned generation,
    uint64_t overtaken_at);
/* The next to be sent, NULL when that is all; and it has been. */
struct entry *partition_queue_next(const struct partition_queue *q);
void partition_queue_sent(struct partition_queue *q);
void partition_queue_let_go(struct partition_queue *q);
/* Messages in it when it was sent. */
size_t partition_queue_wave(const struct partition_queue *q);
/* The largest id of those that are still in it; 0: none is. */
int64_t partition_queue_wave_id(const struct partition_queue *q);
unsigned partition_queue_generation(const struct partition_queue *q);

/* ---- its reports ---- */

bool partition_queue_is_out(const struct partition_queue *q);
void partition_queue_reported(struct partition_queue *q);
/* The wave was refused, maybe for one message in it. True: that is new. */
bool partition_queue_refused(struct partition_queue *q);
/* All reports are in. The next wave is half as large if it was refused, else twice, and no
 * larger than `most`. */
void partition_queue_end(struct partition_queue *q, size_t most);

/* ---- a wave that is not reported ---- */

/* It began so long ago. */
bool partition_queue_is_late(const struct partition_queue *q, int64_t now_ms, int64_t ms);
/* When it began, by that generation; 0: none is out. */
int64_t partition_queue_since(const struct partition_queue *q, unsigned generation);
/* So many are. */
bool partition_queue_is_overtaken(const struct partition_queue *q, uint64_t waves_done);
/* It has a leader, or none that is known. How long it has had one since the wave began. */
int64_t partition_queue_led(struct partition_queue *q, bool led, int64_t now_ms);

/* ---- another division of the topic ---- */

/* Of all that is here, also on its way: the first. NULL: it is empty. */
struct entry *partition_queue_first(const struct partition_queue *q);
/* The first of its queue goes to the end of that one, or of its wave if it is on its way. */
void partition_queue_move(struct entry *e, struct partition_queue *to);
/* All are moved: what is not on its way waits. */
void partition_queue_moved(struct partition_queue *q);

#endif
