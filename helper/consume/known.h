/*
 * Which topics groups have read here of late. Kafka deletes the offsets of a topic together
 * with it: a group that has none, and had some, is not a new one, and begins with the first
 * message of the topic that was made since.
 *
 * It outlives the group and its topics, and not the process. Bounded: what was not used for
 * longest is forgotten, and all after a day, the shortest time that brokers keep offsets by
 * themselves. Loop thread only.
 */
#ifndef KP_KNOWN_H
#define KP_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#define KNOWN_SLOTS 4096
struct known {
	struct known_slot {
		uint64_t key;
		int64_t until_ms;	/* 0: free */
	} slots[KNOWN_SLOTS];
};

/* It has offsets there. Times are the loop's. */
void known_note(struct known *k, const char *group, const char *topic, int64_t now_ms);
bool known_has(const struct known *k, const char *group, const char *topic, int64_t now_ms);

#endif
