/*
 * How much went through in the last RATE_SECONDS.
 */
#ifndef KP_RATE_H
#define KP_RATE_H

#include <stdint.h>

#define RATE_SECONDS 10

struct rate {
	int64_t second[RATE_SECONDS];
	uint64_t messages[RATE_SECONDS];
	uint64_t bytes[RATE_SECONDS];
};

void rate_add(struct rate *r, int64_t now_ms, uint64_t bytes);
/* In a second, on average; the second that has not passed does not count. */
void rate_get(const struct rate *r, int64_t now_ms, uint64_t *messages, uint64_t *bytes);

#endif
