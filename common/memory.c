#include "common/memory.h"

#include <malloc.h>
#include <stdatomic.h>

#include "common/clock.h"

#define TIDY_MS 60000

void
memory_tidy(void)
{
	static _Atomic int64_t next_ms;
	int64_t now = clock_mono_ms(), next = atomic_load(&next_ms);

	if (now >= next && atomic_compare_exchange_strong(&next_ms, &next, now + TIDY_MS))
		malloc_trim(0);
}
