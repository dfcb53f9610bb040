#include "common/clock.h"

static struct timespec
now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t;
}

static int64_t
now_ms(clockid_t id)
{
	struct timespec t = now(id);

	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

int64_t
clock_mono_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

struct timespec
clock_mono_after(int64_t ms)
{
	struct timespec t = now(CLOCK_MONOTONIC);

	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

int64_t
clock_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

int64_t
clock_boot_ms(void)
{
	return now_ms(CLOCK_BOOTTIME);
}
