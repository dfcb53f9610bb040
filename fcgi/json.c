/* Replies, key by key, as the form of each is prescribed. */
#include "fcgi/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"

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
