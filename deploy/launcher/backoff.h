/*
 * How long to wait before a child that died is started again.
 */
#ifndef KP_LAUNCHER_BACKOFF_H
#define KP_LAUNCHER_BACKOFF_H

#include <stdint.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
/* A child that lived as long is taken to have been well. */
#define BACKOFF_RESET_MS 30000

/* From the last wait (0: none yet) and how long the child lived after it. */
int64_t backoff_next_ms(int64_t last_ms, int64_t lived_ms);

#endif
