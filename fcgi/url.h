/*
 * Percent-encoded text: paths, queries, form bodies.
 *
 * The rules are those of Go's net/url, which clients of Kafka-Pixy grew up
 * with: '+' is a space in a query and itself in a path; a pair with a broken
 * escape is dropped, and the others stay.
 */
#ifndef KP_FCGI_URL_H
#define KP_FCGI_URL_H

#include "common/buf.h"
#include "common/err.h"

/* Decodes `in` into out, which has room for in.n bytes; may be in place. False
 * when an escape is broken. */
bool url_decode(struct kp_slice in, bool plus_is_space, uint8_t *out, size_t *n);

struct url_pair {
	struct kp_slice name;
	struct kp_slice value;		/* never absent */
};

/* Pairs in the order given. */
struct url_pairs {
	struct url_pair *v;
	size_t n;
	uint8_t *bytes;			/* theirs, unless they were decoded in place */
};

/* A pair takes more memory than its text may have: that many are a mistake. */
#define URL_PAIRS_MAX 1000

/* Whatever it returns, *out is ended with url_pairs_free(). KP_EBADREQ: more than
 * URL_PAIRS_MAX. KP_ENOMEM. */
enum kp_err url_pairs_parse(struct url_pairs *out, struct kp_slice text);
/* The same, over the text, which must stay. */
enum kp_err url_pairs_parse_in_place(struct url_pairs *out, uint8_t *text, size_t n);
void url_pairs_free(struct url_pairs *p);
/* The first value, or an absent slice. */
struct kp_slice url_pairs_first(const struct url_pairs *p, const char *name);
size_t url_pairs_count(const struct url_pairs *p, const char *name);

/* The path of a request target: without scheme and host, without query. */
struct kp_slice url_path(struct kp_slice target);
/* The query of a request target, absent without '?'. */
struct kp_slice url_query(struct kp_slice target);
/* The path after `prefix`, when it is in it as whole segments; else the path as
 * it is. */
struct kp_slice url_less_prefix(struct kp_slice path, struct kp_slice prefix);
/* Takes the next segment off *path, which starts with '/' or is empty. False
 * when none is left. */
bool url_segment(struct kp_slice *path, struct kp_slice *segment);

#endif
