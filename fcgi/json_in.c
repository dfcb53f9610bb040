/*
 * A tree of jansson takes up to a hundred times its text, so there is none of the
 * whole list. Each element is cut out, measured and then given to jansson alone:
 *
 *	[ {"partition": 0, …} , {"partition": 1, …} , … ]
 *	  ^--- cut_element ---^  then the next
 *
 * What is no JSON is cut somewhere, and is none for jansson either.
 */
#include "fcgi/json_in.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/utf8.h"
#include "fcgi/rfc3339.h"

/* jansson recurses; the threads that call it have small stacks. The list is a level. */
#define DEPTH_MAX 32
/* The shortest that is taken: {"partition":0,"time":0} and a comma. */
#define ELEMENT_MIN 25

struct cursor {
	struct kp_slice body;
	size_t at;
	size_t element;			/* its number */
	struct json_doc *doc;
	size_t metadata_bytes;
	char *why;
	size_t why_cap;
};

/* ---- where we are ---- */

/* Line and column as jansson counts them, but in the whole body. */
static enum kp_err
fail_at(const struct cursor *c, size_t at, const char *text)
{
	size_t line = 1, column = 0;

	for (size_t i = 0; i < at && i < c->body.n; i++) {
		uint8_t byte = c->body.p[i];

		column += (byte & 0xc0) != 0x80;	/* a byte that goes on is no column */
		if (byte == '\n') {
			line++;
			column = 0;
		}
	}
	snprintf(c->why, c->why_cap, "line %zu column %zu: %s", line, column, text);
	return KP_EBADREQ;
}

static enum kp_err
fail_element(const struct cursor *c, const char *name, const char *wrong)
{
	if (name)
		snprintf(c->why, c->why_cap, "element %zu: \"%s\" %s", c->element, name, wrong);
	else
		snprintf(c->why, c->why_cap, "element %zu %s", c->element, wrong);
	return KP_EBADREQ;
}

/* The next byte that is no space, and is passed; 0 at the end. */
static char
next_byte(struct cursor *c)
{
	while (c->at < c->body.n && strchr(" \t\r\n", c->body.p[c->at]))
		c->at++;
	return c->at < c->body.n ? (char)c->body.p[c->at++] : '\0';
}

/* ---- one element ---- */

/* The bytes from `begin` on, up to the bracket that closes the first, or to the end. */
static size_t
scan_element(struct kp_slice body, size_t begin, size_t *values, size_t *levels)
{
	size_t at = begin, depth = 0;
	bool in_string = false;

	*values = *levels = 0;
	do {
		uint8_t byte = body.p[at++];

		if (in_string && byte == '\\') {
			at++;
		} else if (byte == '"') {
			in_string = !in_string;
		} else if (!in_string && (byte == '[' || byte == '{')) {
			(*values)++;
			if (++depth > *levels)
				*levels = depth;
		} else if (!in_string && (byte == ']' || byte == '}')) {
			depth--;
		} else if (!in_string && byte == ',') {
			(*values)++;
		}
	} while (depth > 0 && at < body.n);
	return (at < body.n ? at : body.n) - begin;
}

/* Cuts the object at the cursor off. */
static enum kp_err
cut_element(struct cursor *c, struct kp_slice *text)
{
	size_t values, levels;

	*text = (struct kp_slice){ c->body.p + c->at,
	    scan_element(c->body, c->at, &values, &levels) };
	c->at += text->n;
	if (levels >= DEPTH_MAX) {
		snprintf(c->why, c->why_cap, "nested deeper than %d levels", DEPTH_MAX);
		return KP_EBADREQ;
	}
	if (values > JSON_VALUES_MAX)
		return fail_element(c, NULL, "has too many values in it");
	if (text->n > JSON_ELEMENT_MAX)
		return fail_element(c, NULL, "is too long");
	return KP_OK;
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

/* Borrowed from the tree. */
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

/* The tree goes with its element. Texts are never shorter than what they stand for, so
 * that those from here on have room for all metadata. */
static enum kp_err
keep_metadata(struct cursor *c, size_t begin, struct kp_slice *metadata)
{
	uint8_t *p;

	if (metadata->n == 0)
		return KP_OK;
	if (c->doc->metadata == NULL)
		c->doc->metadata = malloc(c->body.n - begin);
	if (c->doc->metadata == NULL)
		return KP_ENOMEM;
	p = memcpy(c->doc->metadata + c->metadata_bytes, metadata->p, metadata->n);
	metadata->p = p;
	c->metadata_bytes += metadata->n;
	return KP_OK;
}

static enum kp_err
read_element(struct cursor *c, const json_t *object, size_t begin, struct msg_offset *o)
{
	const char *name = "partition", *wrong;
	int64_t partition = 0;

	wrong = get_integer(object, name, 0, INT32_MAX, &partition);
	if (wrong == NULL)
		wrong = get_place(object, o, &name);
	if (wrong == NULL) {
		name = "metadata";
		wrong = get_metadata(object, &o->metadata);
	}
	o->partition = (int32_t)partition;
	return wrong ? fail_element(c, name, wrong) : keep_metadata(c, begin, &o->metadata);
}

/* The object at the cursor. */
static enum kp_err
parse_element(struct cursor *c, struct msg_offset *o)
{
	size_t begin = c->at;
	struct kp_slice text;
	json_error_t e;
	json_t *object;
	enum kp_err err;

	err = cut_element(c, &text);
	if (err)
		return err;
	object = json_loadb((const char *)text.p, text.n,
	    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (object == NULL)
		return json_error_code(&e) == json_error_out_of_memory ? KP_ENOMEM :
		    fail_at(c, begin + (size_t)e.position, e.text);
	err = read_element(c, object, begin, o);
	json_decref(object);
	return err;
}

/* ---- the list ---- */

static enum kp_err
parse_list(struct cursor *c)
{
	char byte = next_byte(c);

	if (byte == ']')
		return KP_OK;
	for (;;) {
		enum kp_err err;

		if (byte == '\0' || strchr(",]}:", byte))
			return fail_at(c, c->at, "an object is expected");
		if (byte != '{')
			return fail_element(c, NULL, "is not an object");
		if (c->element == PARTITIONS_MAX) {
			snprintf(c->why, c->why_cap, "more than %d elements", PARTITIONS_MAX);
			return KP_EBADREQ;
		}
		c->at--;
		err = parse_element(c, &c->doc->v[c->element]);
		if (err)
			return err;
		c->element++;
		byte = next_byte(c);
		if (byte == ']')
			return KP_OK;
		if (byte != ',')
			return fail_at(c, c->at, "',' or ']' is expected");
		byte = next_byte(c);
	}
}

static int
compare_offsets(const void *x, const void *y)
{
	const struct msg_offset *a = x, *b = y;

	return (a->partition > b->partition) - (a->partition < b->partition);
}

/* Sorted, so that the helper need not be, and twins are neighbours. */
static enum kp_err
sort_list(struct cursor *c)
{
	struct msg_offset *v = c->doc->v;

	qsort(v, c->element, sizeof(*v), compare_offsets);
	for (size_t i = 1; i < c->element; i++) {
		if (v[i].partition == v[i - 1].partition) {
			snprintf(c->why, c->why_cap, "partition %" PRId32 " is given twice",
			    v[i].partition);
			return KP_EBADREQ;
		}
	}
	return KP_OK;
}

enum kp_err
json_parse_offsets(struct kp_slice body, struct json_doc *doc, struct msg_offsets *m, char *why,
    size_t why_cap)
{
	struct cursor c = { .body = body, .doc = doc, .why = why, .why_cap = why_cap };
	size_t cap = body.n / ELEMENT_MIN + 1;
	enum kp_err err;

	*doc = (struct json_doc){ 0 };
	c.at = utf8_bom(body.p, body.n);
	/* Behind a number jansson passes over it. */
	if (body.n && memchr(body.p, '\0', body.n)) {
		snprintf(why, why_cap, "a NUL byte is no JSON");
		return KP_EBADREQ;
	}
	if (next_byte(&c) != '[')
		return fail_at(&c, c.at, "a list of objects is expected");
	doc->v = calloc(cap < PARTITIONS_MAX ? cap : PARTITIONS_MAX, sizeof(*doc->v));
	if (doc->v == NULL)
		return KP_ENOMEM;
	err = parse_list(&c);
	if (err == KP_OK && next_byte(&c) != '\0')
		err = fail_at(&c, c.at, "nothing is expected after the list");
	if (err == KP_OK)
		err = sort_list(&c);
	m->v = doc->v;
	m->n = err ? 0 : c.element;
	return err;
}

void
json_doc_free(struct json_doc *doc)
{
	free(doc->v);
	free(doc->metadata);
	*doc = (struct json_doc){ 0 };
}
