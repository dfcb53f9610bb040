/* One place a second, used again after RATE_SECONDS. */
#include "helper/produce/rate.h"

void
rate_add(struct rate *r, int64_t now_ms, uint64_t bytes)
{
	int64_t second = now_ms / 1000;
	unsigned i = (unsigned)(second % RATE_SECONDS);

	if (r->second[i] != second) {
		r->second[i] = second;
		r->messages[i] = r->bytes[i] = 0;
	}
	r->messages[i]++;
	r->bytes[i] += bytes;
}

void
rate_get(const struct rate *r, int64_t now_ms, uint64_t *messages, uint64_t *bytes)
{
	int64_t second = now_ms / 1000;

	*messages = *bytes = 0;
	for (unsigned i = 0; i < RATE_SECONDS; i++) {
		if (r->second[i] >= second || r->second[i] <= second - RATE_SECONDS)
			continue;
		*messages += r->messages[i];
		*bytes += r->bytes[i];
	}
	*messages /= RATE_SECONDS - 1;
	*bytes /= RATE_SECONDS - 1;
}
