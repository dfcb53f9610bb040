/*
 * To which partition a message goes, and so in whose queue it waits.
 *
 * Loop thread only, but for division_place().
 */
#ifndef KP_DIVISION_H
#define KP_DIVISION_H

#include <stdbool.h>
#include <stdint.h>

struct entry;
struct lane;
struct partition_queue;

/* One queue, for a topic of which nothing is known yet. False: no memory. */
bool division_init(struct lane *lane);
void division_end(struct lane *lane);
/* The number of partitions has become known, or has changed: all goes to other queues. */
void division_renew(struct lane *lane);
/* The queue of the partition that the entry is for. */
struct partition_queue *division_find(struct lane *lane, struct entry *e);
/* Callback of the producer, as in struct producer_conf. */
int32_t division_place(void *opaque, int32_t partitions, int32_t proposed);

#endif
