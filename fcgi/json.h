/*
 * Replies as JSON text.
 *
 * The text is laid out as Kafka-Pixy's: keys in a fixed order, indented by two
 * spaces, no newline at the end, and escaped as Go's encoding/json does. A
 * writer that runs out of room or memory marks the buffer.
 */
#ifndef KP_FCGI_JSON_H
#define KP_FCGI_JSON_H

#include "common/msg_admin.h"

void json_empty(struct kp_buf *out);
void json_error(struct kp_buf *out, struct kp_slice text);
/* A sync produce. */
void json_produced(struct kp_buf *out, const struct msg_produced *m);
void json_message(struct kp_buf *out, const struct msg_message *m);
void json_offsets(struct kp_buf *out, const struct msg_offsets *m);
void json_receipt(struct kp_buf *out, const struct msg_receipt *m);
/* Sorts the rows of *m, and the partitions in each. */
void json_consumers(struct kp_buf *out, struct msg_consumers *m);

#endif
