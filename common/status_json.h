/*
 * The state of the gateway for people and programs: the text of GET /_status and
 * of `kafka-pixy status --json`, which are one.
 */
#ifndef KP_STATUS_JSON_H
#define KP_STATUS_JSON_H

#include "common/msg_admin.h"

/* False when a part is down; *why, if not NULL, then gets a sentence that names
 * each of them: "Kafka is down since 2026-01-31T12:00:00Z: Connection refused". */
bool status_all_serve(const struct msg_status *m, struct kp_buf *why);

/* Indented by two spaces, no newline at the end. With a part down it begins with
 * an "error". `now_ms` is Unix time. */
void status_json(struct kp_buf *out, const struct msg_status *m, int64_t now_ms);

/* Seconds from `then_ms` to `now_ms`, never below 0: clocks are set. */
int64_t status_age_s(int64_t now_ms, int64_t then_ms);

/* In the order in which they are shown. */
#define STATUS_PARTS 3
struct status_part {
	const char *key;		/* "kafka" */
	const char *name;		/* "Kafka" */
	const struct msg_part *part;
};
void status_parts(const struct msg_status *m, struct status_part out[STATUS_PARTS]);
/* "up" */
const char *status_state_name(uint8_t state);

#endif
