/*
 * Points in time as people write them: 2026-01-31T12:00:00Z, with any number of
 * digits after the second, and with +01:00 in place of the Z (RFC 3339).
 *
 * Pure, any thread.
 */
#ifndef KP_RFC3339_H
#define KP_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

/* The last millisecond of the year 9999. */
#define RFC3339_MAX_MS INT64_C(253402300799999)

/* Unix time in milliseconds; what is finer is rounded up, so that nothing before the
 * time is at or after *ms. False for any other text, and before 1970. */
bool rfc3339_parse(struct kp_slice text, int64_t *ms);

#endif
