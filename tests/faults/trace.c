/* See trace.h. */
#include "tests/faults/trace.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static uint8_t *
read_file(const char *file, size_t *n)
{
	FILE *f = fopen(file, "re");
	uint8_t *bytes;
	long size;

	if (f == NULL)
		fail_msg("%s: no trace", file);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	bytes = malloc((size_t)size + 1);
	assert_non_null(bytes);
	*n = fread(bytes, 1, (size_t)size, f);
	fclose(f);
	assert_int_equal(*n, size);
	return bytes;
}

static void
add_mark(struct trace *t, char mark, int64_t value)
{
	uint64_t now = t->n_ops;
	struct fate *f;

	if (mark == 'M') {		/* memory ran out here */
		t->faults++;
		return;
	}
	if (mark == 'X') {
		t->stuck++;
		return;
	}
	if (mark == 'S') {
		assert_true(t->n_fates < MESSAGES_MAX);
		t->fates[t->n_fates++] = (struct fate){ value, now, NEVER, NEVER, NEVER, NEVER,
		    NEVER, NEVER };
		return;
	}
	assert_true(value >= 0 && (size_t)value < t->n_fates);
	f = &t->fates[value];
	switch (mark) {
	case 'A': f->answered = now; break;
	case 'F': f->refused = now; break;
	case 'D': f->remove = f->remove < now ? f->remove : now; break;
	case 'd': f->removed = now; break;
	case 'B': f->bury = now; break;
	case 'b': f->buried = now; break;
	default: fail_msg("mark %c", mark);
	}
}

static void
add_op(struct trace *t, const struct shim_record *r, const uint8_t *rest)
{
	struct trace_op *op = &t->ops[t->n_ops++];

	*op = (struct trace_op){ .kind = r->kind, .object = r->object, .offset = r->offset,
	    .data = rest + r->path_bytes, .data_bytes = r->data_bytes };
	snprintf(op->path, sizeof(op->path), "%.*s", (int)r->path_bytes, (const char *)rest);
	if (r->kind == SHIM_RENAME || r->kind == SHIM_LINK)
		snprintf(op->to, sizeof(op->to), "%.*s", (int)r->data_bytes,
		    (const char *)op->data);
}

void
trace_read(struct trace *t, const char *file, unsigned seed)
{
	struct shim_record r;

	*t = (struct trace){ .seed = seed };
	t->bytes = read_file(file, &t->n_bytes);
	t->ops = calloc(t->n_bytes / sizeof(r) + 1, sizeof(*t->ops));
	t->fates = calloc(MESSAGES_MAX, sizeof(*t->fates));
	assert_true(t->ops && t->fates);
	for (size_t at = 0; at < t->n_bytes; at += sizeof(r) + r.path_bytes + r.data_bytes) {
		memcpy(&r, t->bytes + at, sizeof(r));
		assert_true(at + sizeof(r) + r.path_bytes + r.data_bytes <= t->n_bytes);
		if (r.kind == SHIM_MARK)
			add_mark(t, r.mark, r.offset);
		else if (r.kind == SHIM_FAULT)
			t->faults++;
		else
			add_op(t, &r, t->bytes + at + sizeof(r));
	}
}

void
trace_free(struct trace *t)
{
	free(t->bytes);
	free(t->ops);
	free(t->fates);
	*t = (struct trace){ 0 };
}

size_t
trace_owed(const struct trace *t, uint64_t at)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_fates; i++)
		n += t->fates[i].answered <= at && t->fates[i].remove > at;
	return n;
}

size_t
trace_count(const struct trace *t, enum shim_kind kind, const char *suffix)
{
	size_t n = 0, m = strlen(suffix);

	for (size_t i = 0; i < t->n_ops; i++) {
		const char *path = t->ops[i].path;

		if (t->ops[i].kind == kind && (strcmp(suffix, "*") == 0 || (strlen(path) >= m &&
		    strcmp(path + strlen(path) - m, suffix) == 0)))
			n++;
	}
	return n;
}
