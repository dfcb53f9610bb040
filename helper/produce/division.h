/*
 * To which partition a message of a topic goes, and so in whose queue it waits.
 *
 * Nothing here knows of topics, Kafka or the disk. Loop thread only, but for
 * division_place().
 */
#ifndef KP_DIVISION_H
#define KP_DIVISION_H

#include <stdatomic.h>

#include "helper/produce/entry.h"
#include "helper/produce/partition_queue.h"

struct producer;

/* The partition of a key among so many; -1: it is nobody's in particular. As
 * producer_partition(). */
typedef int32_t division_key(const struct producer *p, struct kp_slice key, int32_t partitions);

struct division {
	struct partition_queue **queues;
	int32_t n_queues;
	int32_t partitions;		/* by which the entries were divided; 0: not known */
	_Atomic int32_t seen;		/* so many by librdkafka, latest; 0: never */
	size_t limit;			/* of the first wave of a queue */
	division_key *key;
	const struct producer *producer;	/* for that */
};

/* One queue, for a topic of which nothing is known yet. False: no memory. */
bool division_init(struct division *d, size_t limit, division_key *key, const struct producer *p);
void division_end(struct division *d);
/* The number of partitions may have become known, or another one: then all goes to other
 * queues. By how many more of them have a wave that is out. */
int32_t division_renew(struct division *d);
/* The queue of the partition that the entry is for. */
struct partition_queue *division_find(const struct division *d, struct entry *e);
/* Which that is, of so many; any thread, while the entry is SENT. */
int32_t division_place(struct division *d, const struct entry *e, int32_t partitions,
    int32_t proposed);

#endif
