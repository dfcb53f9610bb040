/*
 * Replies as JSON text, and the one request body that is JSON.
 *
 * The text is laid out as Kafka-Pixy's: keys in a fixed order, indented by two
 * spaces, no newline at the end, and escaped as Go's encoding/json does. A
 * writer that runs out of room or memory marks the buffer.
 */
#ifndef KP_FCGI_JSON_H
#define KP_FCGI_JSON_H

#include "common/msg_store.h"

void json_empty(struct kp_buf *out);
void json_error(struct kp_buf *out, struct kp_slice text);
/* A sync produce. */
void json_produced(struct kp_buf *out, const struct msg_produced *m);
void json_message(struct kp_buf *out, const struct msg_message *m);
void json_offsets(struct kp_buf *out, const struct msg_offsets *m);
void json_receipt(struct kp_buf *out, const struct msg_receipt *m);
/* Sorts the rows of *m, and the partitions in each. */
void json_consumers(struct kp_buf *out, struct msg_consumers *m);

/*
 * The body of POST offsets. On KP_OK `m` has its list, whose slices and memory
 * are *doc's; it is ended with json_doc_free(), whatever is returned. KP_EBADREQ:
 * `why` says what is wrong, and where.
 */
struct json_doc {
	void *root;
	struct msg_offset *v;
};
enum kp_err json_parse_offsets(struct kp_slice body, struct json_doc *doc,
    struct msg_offsets *m, char *why, size_t why_cap);
void json_doc_free(struct json_doc *doc);

#endif
