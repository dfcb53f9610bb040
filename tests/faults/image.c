/*
 * The disk after a power loss: see image_write() in trace.h.
 *
 * A file is an object that has names. For each object, the operations since its
 * last sync are pending; a sector shows the first few of them, how many is drawn
 * for each sector; so does the size. A disk writes whole sectors of what memory
 * held at one time, so a sector never shows a later write without an earlier one.
 */
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/faults/trace.h"
#include "tests/unit/unit.h"

#define SECTOR 512
#define NAMES_MAX 64

struct name {
	char path[256];
	uint32_t object;		/* 0: a folder */
};

struct image {
	const struct trace *t;
	uint64_t at;
	enum image_kind kind;
	struct rng *r;
	struct name names[NAMES_MAX];
	size_t n_names;
};

/* How many of n pending things are there. */
static size_t
draw(struct image *im, size_t n, size_t in_order)
{
	switch (im->kind) {
	case IMAGE_NONE:
		return 0;
	case IMAGE_ALL:
	case IMAGE_KINDS:
		return n;
	case IMAGE_ANY_MOMENT:
		return rng_below(im->r, (unsigned)n + 1);
	case IMAGE_HALF:
		return rng_below(im->r, 2) ? n : 0;
	case IMAGE_MOST:
		return rng_below(im->r, 8) ? n : rng_below(im->r, (unsigned)n + 1);
	case IMAGE_FEW:
		return rng_below(im->r, 8) ? 0 : rng_below(im->r, (unsigned)n + 1);
	case IMAGE_IN_ORDER:		/* and the last one torn */
		return in_order < n ? in_order + rng_below(im->r, 2) : n;
	}
	return n;
}

/* ---- names ---- */

static void
parent_of(const char *path, char out[256])
{
	const char *slash = strrchr(path, '/');

	snprintf(out, 256, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static struct name *
find_name(struct image *im, const char *path)
{
	for (size_t i = 0; i < im->n_names; i++)
		if (strcmp(im->names[i].path, path) == 0)
			return &im->names[i];
	return NULL;
}

static void
put_name(struct image *im, const char *path, uint32_t object)
{
	struct name *n = find_name(im, path);
	char parent[256];

	parent_of(path, parent);
	if (parent[0] && find_name(im, parent) == NULL)
		return;			/* in a folder that was lost */
	if (n == NULL) {
		assert_true(im->n_names < NAMES_MAX);
		n = &im->names[im->n_names++];
	}
	snprintf(n->path, sizeof(n->path), "%s", path);
	n->object = object;
}

static void
drop_name(struct image *im, const char *path)
{
	struct name *n = find_name(im, path);

	if (n)
		*n = im->names[--im->n_names];
}

static void
apply_name_op(struct image *im, const struct trace_op *op)
{
	struct name *n = find_name(im, op->path);
	uint32_t object = n ? n->object : 0;

	switch (op->kind) {
	case SHIM_CREATE:
	case SHIM_MKDIR:
		put_name(im, op->path, op->object);
		break;
	case SHIM_UNLINK:
		drop_name(im, op->path);
		break;
	case SHIM_RENAME:
		drop_name(im, op->path);
		if (n)
			put_name(im, op->to, object);
		break;
	case SHIM_LINK:
		if (n)
			put_name(im, op->to, object);
		break;
	default:
		break;
	}
}

static bool
is_name_op(const struct trace_op *op)
{
	return op->kind == SHIM_CREATE || op->kind == SHIM_MKDIR || op->kind == SHIM_UNLINK ||
	    op->kind == SHIM_RENAME || op->kind == SHIM_LINK;
}

/* Up to where the names of this folder are as they were: a journal keeps the order. */
static uint64_t
folder_moment(struct image *im, const char *folder)
{
	uint64_t since = 0;
	size_t pending = 0, shown;
	char parent[256];

	for (uint64_t i = 0; i < im->at; i++) {
		const struct trace_op *op = &im->t->ops[i];

		if (op->kind == SHIM_SYNC_DIR && strcmp(op->path, folder) == 0) {
			since = i;
			pending = 0;
		}
		parent_of(op->path, parent);
		pending += is_name_op(op) && strcmp(parent, folder) == 0;
	}
	shown = draw(im, pending, pending / 2);
	for (uint64_t i = since; i < im->at; i++) {
		parent_of(im->t->ops[i].path, parent);
		if (is_name_op(&im->t->ops[i]) && strcmp(parent, folder) == 0 && shown-- == 0)
			return i;
	}
	return im->at;
}

static void
make_names(struct image *im)
{
	struct { char path[256]; uint64_t until; } folders[16];
	size_t n = 0;
	char parent[256];

	for (uint64_t i = 0; i < im->at; i++) {
		size_t f = 0;

		if (!is_name_op(&im->t->ops[i]))
			continue;
		parent_of(im->t->ops[i].path, parent);
		while (f < n && strcmp(folders[f].path, parent) != 0)
			f++;
		if (f == n) {
			assert_true(n < COUNT(folders));
			snprintf(folders[n].path, sizeof(folders[n].path), "%s", parent);
			folders[n++].until = folder_moment(im, parent);
		}
		if (i < folders[f].until)
			apply_name_op(im, &im->t->ops[i]);
	}
}

/* ---- content ---- */

struct content {
	uint8_t *bytes;
	size_t cap, size;
	size_t *shown;			/* by sector: how many of the pending */
};

static bool
changes(const struct trace_op *op, uint32_t object)
{
	return op->object == object && (op->kind == SHIM_WRITE || op->kind == SHIM_TRUNCATE);
}

/* The part of the operation in one sector. */
static void
apply_to_sector(struct content *c, const struct trace_op *op, size_t sector)
{
	size_t from = sector * SECTOR, to = from + SECTOR, at = (size_t)op->offset;

	if (op->kind == SHIM_TRUNCATE) {
		if (at < to)
			memset(c->bytes + (at > from ? at : from), 0, to - (at > from ? at : from));
		return;
	}
	if (at > from)
		from = at;
	if (at + op->data_bytes < to)
		to = at + op->data_bytes;
	if (from < to)
		memcpy(c->bytes + from, op->data + (from - at), to - from);
}

static void
apply_op(struct content *c, const struct trace_op *op, size_t number)
{
	size_t first = (size_t)op->offset / SECTOR, end = c->cap / SECTOR;

	if (op->kind == SHIM_WRITE)
		end = ((size_t)op->offset + op->data_bytes + SECTOR - 1) / SECTOR;
	for (size_t s = first; s < end; s++)
		if (number < c->shown[s])
			apply_to_sector(c, op, s);
}

static void
resize(struct content *c, const struct trace_op *op)
{
	size_t end = (size_t)op->offset + op->data_bytes;

	if (op->kind == SHIM_TRUNCATE)
		c->size = (size_t)op->offset;
	else if (end > c->size)
		c->size = end;
}

static void
make_room(struct image *im, struct content *c, uint32_t object)
{
	for (uint64_t i = 0; i < im->at; i++) {
		const struct trace_op *op = &im->t->ops[i];

		if (changes(op, object) && (size_t)op->offset + op->data_bytes > c->cap)
			c->cap = (size_t)op->offset + op->data_bytes;
	}
	c->cap = (c->cap / SECTOR + 1) * SECTOR;
	c->bytes = calloc(1, c->cap);
	c->shown = calloc(c->cap / SECTOR, sizeof(*c->shown));
	assert_true(c->bytes && c->shown);
	for (size_t s = 0; s < c->cap / SECTOR; s++)
		c->shown[s] = SIZE_MAX;
}

/* Draws for size and sectors. What a cut that shows has taken away does not show. */
static void
draw_sectors(struct image *im, struct content *c, uint32_t object, uint64_t since,
    size_t pending)
{
	size_t in_order = rng_below(im->r, (unsigned)pending + 1), n = 0;
	size_t size_shown = draw(im, pending, in_order);

	for (size_t s = 0; s < c->cap / SECTOR; s++)
		c->shown[s] = draw(im, pending, in_order);
	for (uint64_t i = since; i < im->at && n < size_shown; i++) {
		const struct trace_op *op = &im->t->ops[i];

		if (!changes(op, object))
			continue;
		n++;
		resize(c, op);
		if (op->kind != SHIM_TRUNCATE)
			continue;
		for (size_t s = (size_t)op->offset / SECTOR; s < c->cap / SECTOR; s++)
			if (c->shown[s] < n)
				c->shown[s] = n;
	}
}

static void
make_content(struct image *im, struct content *c, uint32_t object)
{
	uint64_t since = 0;
	size_t pending = 0, n = 0;

	*c = (struct content){ 0 };
	make_room(im, c, object);
	for (uint64_t i = 0; i < im->at; i++)
		if (im->t->ops[i].kind == SHIM_SYNC && im->t->ops[i].object == object)
			since = i;
	for (uint64_t i = 0; i < im->at; i++) {
		if (!changes(&im->t->ops[i], object))
			continue;
		if (i >= since) {
			pending++;
			continue;
		}
		apply_op(c, &im->t->ops[i], 0);
		resize(c, &im->t->ops[i]);
	}
	draw_sectors(im, c, object, since, pending);
	for (uint64_t i = since; i < im->at; i++)
		if (changes(&im->t->ops[i], object))
			apply_op(c, &im->t->ops[i], n++);
}

static void
write_out(struct image *im, const struct name *n, const char *folder)
{
	char path[600];
	struct content c;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, n->path);
	if (n->object == 0) {
		assert_int_equal(mkdir(path, 0700), 0);
		return;
	}
	make_content(im, &c, n->object);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(c.bytes, 1, c.size, f), c.size);
	assert_int_equal(fclose(f), 0);
	free(c.bytes);
	free(c.shown);
}

void
image_write(const struct trace *t, uint64_t at, enum image_kind kind, struct rng *r,
    const char *folder)
{
	struct image im = { .t = t, .at = at, .kind = kind, .r = r };

	make_names(&im);
	for (int files = 0; files < 2; files++)
		for (size_t i = 0; i < im.n_names; i++)
			if (!!im.names[i].object == files)
				write_out(&im, &im.names[i], folder);
}
