/*
 * Which topics groups have read here of late, each by one partition of which they have, or
 * had, an offset. Kafka deletes the offsets of a topic together with it: a group that has that
 * one no more is not a new one, and begins with the first message of the topic that was made
 * since.
 *
 * It outlives the group and its topics, and not the process. Bounded: what was not used for
 * longest is forgotten, and all after a day, the shortest time that brokers keep offsets by
 * themselves. Loop thread only.
 */
#ifndef KP_KNOWN_H
#define KP_KNOWN_H

#include <stdint.h>

#define KNOWN_SLOTS 4096
struct known {
	struct known_slot {
		uint64_t key;
		int64_t until_ms;	/* 0: free */
		int32_t partition;
	} slots[KNOWN_SLOTS];
};

/* Times are the loop's. */
void known_note(struct known *k, const char *group, const char *topic, int32_t partition,
    int64_t now_ms);
/* The partition, -1: it is not known. */
int32_t known_find(const struct known *k, const char *group, const char *topic, int64_t now_ms);

#endif
