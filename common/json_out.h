/*
 * What JSON text is made of, for all who write it: escaped as Go's encoding/json
 * does. A writer that runs out of room or memory marks the buffer.
 */
#ifndef KP_JSON_OUT_H
#define KP_JSON_OUT_H

#include "common/buf.h"

/* A quoted and escaped string. */
void json_put_string(struct kp_buf *out, struct kp_slice s);
/* Quoted, or null for absent bytes. */
void json_put_base64(struct kp_buf *out, struct kp_slice s);
/* A Unix time as "2026-01-31T12:00:00Z", quoted; null for 0. */
void json_put_time(struct kp_buf *out, int64_t unix_ms);

#define JSON_TIME_MAX 32
/* The same, bare; one past the year 9999 is the last second before it. */
void json_time_text(int64_t unix_ms, char text[JSON_TIME_MAX]);

#endif
