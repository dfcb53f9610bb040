/*
 * The one request body that is JSON: that of POST offsets.
 *
 * It is read element by element, so that all that is made of it never takes more than
 * four times its bytes and 192 KiB, whatever is in it. Pure, any thread.
 */
#ifndef KP_FCGI_JSON_IN_H
#define KP_FCGI_JSON_IN_H

#include "common/msg.h"

/* Of an element: its text, in which all metadata may be escaped; and the values in it at
 * any depth, where an empty list or object counts as two. */
#define JSON_ELEMENT_MAX (32u * 1024)
#define JSON_VALUES_MAX 100

struct json_doc {
	struct msg_offset *v;
	uint8_t *metadata;		/* of all of them */
};

/*
 * On KP_OK `m` has its list, sorted by partition, whose slices and memory are *doc's;
 * it is ended with json_doc_free(), whatever is returned. KP_EBADREQ: `why` says what
 * is wrong, and where. KP_ENOMEM.
 */
enum kp_err json_parse_offsets(struct kp_slice body, struct json_doc *doc,
    struct msg_offsets *m, char *why, size_t why_cap);
void json_doc_free(struct json_doc *doc);

#endif
