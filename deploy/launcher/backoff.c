/* Doubling: a short slip costs a tenth of a second, a child that cannot run at
 * all costs the host next to nothing. */
#include "deploy/launcher/backoff.h"

int64_t
backoff_next_ms(int64_t last_ms, int64_t lived_ms)
{
	if (last_ms == 0 || lived_ms >= BACKOFF_RESET_MS)
		return BACKOFF_MIN_MS;
	return last_ms * 2 < BACKOFF_MAX_MS ? last_ms * 2 : BACKOFF_MAX_MS;
}
