/* JSON out is written here key by key, because its form is prescribed; JSON in
 * is jansson's work, and this file is jansson's only home. */
#include "fcgi/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/json_out.h"
#include "fcgi/rfc3339.h"

/* jansson recurses; the threads that call it have small stacks. */
#define DEPTH_MAX 32

void
json_empty(struct kp_buf *out)
{
	kp_buf_puts(out, "{}");
}

void
json_error(struct kp_buf *out, struct kp_slice text)
{
	kp_buf_puts(out, "{\n  \"error\": ");
	json_put_string(out, text);
	kp_buf_puts(out, "\n}");
}

void
json_produced(struct kp_buf *out, const struct msg_produced *m)
{
	kp_buf_printf(out, "{\n  \"partition\": %" PRId32 ",\n  \"offset\": %" PRId64 "\n}",
	    m->partition, m->offset);
}

void
json_message(struct kp_buf *out, const struct msg_message *m)
{
	kp_buf_puts(out, "{\n  \"key\": ");
	json_put_base64(out, m->key);
	kp_buf_puts(out, ",\n  \"value\": ");
	json_put_base64(out, m->value);
	kp_buf_printf(out, ",\n  \"partition\": %" PRId32 ",\n  \"offset\": %" PRId64 "\n}",
	    m->partition, m->offset);
}

/* The id is a string: JavaScript knows no integers of 64 bits. */
void
json_receipt(struct kp_buf *out, const struct msg_receipt *m)
{
	static const char *const states[] = {
		[RECEIPT_PENDING] = "pending", [RECEIPT_DELIVERED] = "delivered",
		[RECEIPT_DEAD] = "dead",
	};

	kp_buf_printf(out, "{\n  \"id\": \"%" PRId64 "\",\n  \"state\": \"%s\"", m->id,
	    states[m->state]);
	if (m->state == RECEIPT_DELIVERED)
		kp_buf_printf(out, ",\n  \"partition\": %" PRId32 ",\n  \"offset\": %" PRId64,
		    m->partition, m->offset);
	if (m->state == RECEIPT_DEAD) {
		kp_buf_puts(out, ",\n  \"reason\": ");
		json_put_string(out, m->reason);
	}
	kp_buf_puts(out, "\n}");
}

/* end - offset, without overflow whatever the helper says. */
static int64_t
difference(int64_t a, int64_t b)
{
	int64_t d;

	return __builtin_sub_overflow(a, b, &d) ? 0 : d;
}

void
json_offsets(struct kp_buf *out, const struct msg_offsets *m)
{
	if (m->n == 0) {
		kp_buf_puts(out, "[]");
		return;
	}
	kp_buf_puts(out, "[\n");
	for (size_t i = 0; i < m->n; i++) {
		const struct msg_offset *o = &m->v[i];

		kp_buf_printf(out, "  {\n    \"partition\": %" PRId32
		    ",\n    \"begin\": %" PRId64 ",\n    \"end\": %" PRId64
		    ",\n    \"count\": %" PRId64 ",\n    \"offset\": %" PRId64
		    ",\n    \"lag\": %" PRId64, o->partition, o->begin, o->end,
		    difference(o->end, o->begin), o->offset,
		    o->offset < 0 ? 0 : difference(o->end, o->offset));
		if (o->metadata.n) {
			kp_buf_puts(out, ",\n    \"metadata\": ");
			json_put_string(out, o->metadata);
		}
		kp_buf_puts(out, i + 1 < m->n ? "\n  },\n" : "\n  }\n");
	}
	kp_buf_putc(out, ']');
}

static int
compare_slices(struct kp_slice a, struct kp_slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	return d ? d : (a.n > b.n) - (a.n < b.n);
}

static int
compare_consumers(const void *x, const void *y)
{
	const struct msg_consumer *a = x, *b = y;
	int d = compare_slices(a->group, b->group);

	return d ? d : compare_slices(a->member, b->member);
}

static int
compare_partitions(const void *x, const void *y)
{
	int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;

	return (a > b) - (a < b);
}

/* "member": [0,1,2] */
static void
put_member(struct kp_buf *out, struct msg_consumer *c)
{
	qsort(c->partitions, c->n, sizeof(*c->partitions), compare_partitions);
	kp_buf_puts(out, "    ");
	json_put_string(out, c->member);
	for (size_t i = 0; i < c->n; i++)
		kp_buf_printf(out, "%s%" PRId32, i ? "," : ": [", c->partitions[i]);
	kp_buf_putc(out, ']');
}

void
json_consumers(struct kp_buf *out, struct msg_consumers *m)
{
	const struct msg_consumer *last = NULL;

	qsort(m->v, m->n, sizeof(*m->v), compare_consumers);
	for (size_t i = 0; i < m->n; i++) {
		struct msg_consumer *c = &m->v[i];

		if (c->n == 0)
			continue;
		if (last && kp_slice_eq(last->group, c->group)) {
			kp_buf_puts(out, ",\n");
		} else {
			kp_buf_puts(out, last ? "\n  },\n  " : "{\n  ");
			json_put_string(out, c->group);
			kp_buf_puts(out, ": {\n");
		}
		put_member(out, c);
		last = c;
	}
	kp_buf_puts(out, last ? "\n  }\n}" : "{}");
}

static bool
too_deep(struct kp_slice s)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < s.n && depth <= DEPTH_MAX; i++) {
		uint8_t c = s.p[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{'))
			depth++;
		else if (!in_string && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return depth > DEPTH_MAX;
}

/* NULL, or what is wrong with the member. */
static const char *
get_integer(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *out)
{
	const json_t *v = json_object_get(object, name);

	if (v == NULL)
		return "is missing";
	if (!json_is_integer(v))
		return "is not an integer";
	*out = json_integer_value(v);
	return *out < min || *out > max ? "is out of range" : NULL;
}

static const char *
get_metadata(const json_t *object, struct kp_slice *out)
{
	const json_t *v = json_object_get(object, "metadata");

	if (v == NULL)
		return NULL;
	if (!json_is_string(v))
		return "is not a string";
	*out = (struct kp_slice){ (const uint8_t *)json_string_value(v), json_string_length(v) };
	return out->n > METADATA_MAX ? "is too long" : NULL;
}

/* A time as text, or in milliseconds. */
static const char *
get_time(const json_t *v, int64_t *out)
{
	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return *out < 0 || *out > RFC3339_MAX_MS ? "is out of range" : NULL;
	}
	if (json_is_string(v) && rfc3339_parse((struct kp_slice){
	    (const uint8_t *)json_string_value(v), json_string_length(v) }, out))
		return NULL;
	return "is neither a time, such as 2026-01-31T12:00:00Z, nor in milliseconds";
}

/* Where the group is to be: "offset", or "time". */
static const char *
get_place(const json_t *object, struct msg_offset *o, const char **name)
{
	const json_t *time = json_object_get(object, "time");

	*name = "offset";
	if (time == NULL)
		return get_integer(object, *name, -2, INT64_MAX, &o->offset);
	*name = "time";
	o->by_time = true;
	return json_object_get(object, "offset") ? "and \"offset\" exclude each other" :
	    get_time(time, &o->offset);
}

static bool
parse_element(const json_t *element, size_t i, struct msg_offset *o, char *why, size_t why_cap)
{
	const char *name = "partition", *wrong;
	int64_t partition = 0;

	if (!json_is_object(element)) {
		snprintf(why, why_cap, "element %zu is not an object", i);
		return false;
	}
	wrong = get_integer(element, name, 0, INT32_MAX, &partition);
	if (wrong == NULL)
		wrong = get_place(element, o, &name);
	if (wrong == NULL) {
		name = "metadata";
		wrong = get_metadata(element, &o->metadata);
	}
	o->partition = (int32_t)partition;
	if (wrong)
		snprintf(why, why_cap, "element %zu: \"%s\" %s", i, name, wrong);
	return wrong == NULL;
}

static int
compare_offsets(const void *x, const void *y)
{
	const struct msg_offset *a = x, *b = y;

	return (a->partition > b->partition) - (a->partition < b->partition);
}

static enum kp_err
parse_list(const json_t *list, struct json_doc *doc, size_t *n, char *why, size_t why_cap)
{
	*n = json_array_size(list);
	if (*n > PARTITIONS_MAX) {
		snprintf(why, why_cap, "more than %d elements", PARTITIONS_MAX);
		return KP_EBADREQ;
	}
	doc->v = calloc(*n + 1, sizeof(*doc->v));
	if (doc->v == NULL)
		return KP_ENOMEM;
	for (size_t i = 0; i < *n; i++)
		if (!parse_element(json_array_get(list, i), i, &doc->v[i], why, why_cap))
			return KP_EBADREQ;
	/* Sorted, so that the helper need not be, and twins are neighbours. */
	qsort(doc->v, *n, sizeof(*doc->v), compare_offsets);
	for (size_t i = 1; i < *n; i++) {
		if (doc->v[i].partition == doc->v[i - 1].partition) {
			snprintf(why, why_cap, "partition %" PRId32 " is given twice",
			    doc->v[i].partition);
			return KP_EBADREQ;
		}
	}
	return KP_OK;
}

enum kp_err
json_parse_offsets(struct kp_slice body, struct json_doc *doc, struct msg_offsets *m, char *why,
    size_t why_cap)
{
	enum kp_err err;
	json_error_t e;
	json_t *root;

	*doc = (struct json_doc){ 0 };
	if (too_deep(body)) {
		snprintf(why, why_cap, "nested deeper than %d levels", DEPTH_MAX);
		return KP_EBADREQ;
	}
	/* Behind a number jansson passes over it. */
	if (body.n && memchr(body.p, '\0', body.n)) {
		snprintf(why, why_cap, "a NUL byte is no JSON");
		return KP_EBADREQ;
	}
	root = json_loadb((const char *)body.p, body.n,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
	doc->root = root;
	if (root == NULL) {
		snprintf(why, why_cap, "line %d column %d: %s", e.line, e.column, e.text);
		return json_error_code(&e) == json_error_out_of_memory ? KP_ENOMEM : KP_EBADREQ;
	}
	if (!json_is_array(root)) {
		snprintf(why, why_cap, "a list of objects is expected");
		return KP_EBADREQ;
	}
	err = parse_list(root, doc, &m->n, why, why_cap);
	m->v = doc->v;
	return err;
}

void
json_doc_free(struct json_doc *doc)
{
	json_decref(doc->root);
	free(doc->v);
	*doc = (struct json_doc){ 0 };
}
