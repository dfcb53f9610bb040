/* The clocks: to count with, for people to read, and one that a suspended machine does not stop. */
#ifndef KP_CLOCK_H
#define KP_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds on CLOCK_MONOTONIC: what deadlines and ages are counted with. */
int64_t clock_mono_ms(void);
/* The same, so much later than now, for calls that wait until then. */
struct timespec clock_mono_after(int64_t ms);
/* Unix time in milliseconds: it may be set at any time. */
int64_t clock_wall_ms(void);
/* Milliseconds since the machine started, also those during which it was suspended. */
int64_t clock_boot_ms(void);

#endif
