/*
 * A list ordered by offset of what is not done; what lies between two of them is, or
 * does not exist. So the list says what may be committed, and with which ranges.
 */
#include "helper/consume/offers.h"

#include <stdlib.h>
#include <string.h>

void
offers_init(struct offers *o, int64_t offset, int64_t end)
{
	*o = (struct offers){ .commit = offset, .read = offset, .end = end };
	TAILQ_INIT(&o->all);
	TAILQ_INIT(&o->due);
}

bool
offers_full(const struct offers *o)
{
	return o->n >= OFFERS_MAX || o->bytes >= OFFERS_BYTES_MAX;
}

/* ---- what is done before it is read ---- */

/* The first range that does not lie wholly below `offset`. */
static size_t
ahead_at(const struct offers *o, int64_t offset)
{
	size_t low = 0, high = o->n_ahead;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->ahead[mid].to <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
ahead_has(const struct offers *o, int64_t offset)
{
	size_t i = ahead_at(o, offset);

	return i < o->n_ahead && o->ahead[i].from <= offset;
}

static void
ahead_remove(struct offers *o, size_t i, size_t n)
{
	memmove(o->ahead + i, o->ahead + i + n, (o->n_ahead - i - n) * sizeof(*o->ahead));
	o->n_ahead -= n;
	if (o->n_ahead == 0) {
		free(o->ahead);
		o->ahead = NULL;
	}
}

/* The array has room for SPARSE_MAX from its first range to its last. */
static bool
ahead_room(struct offers *o)
{
	if (o->ahead == NULL)
		o->ahead = calloc(SPARSE_MAX, sizeof(*o->ahead));
	return o->ahead && o->n_ahead < SPARSE_MAX;
}

/* Adds one that is not in there, to the range before or behind it, or both. */
static bool
ahead_add(struct offers *o, int64_t offset)
{
	size_t i = ahead_at(o, offset);
	bool before = i > 0 && o->ahead[i - 1].to == offset;
	bool behind = i < o->n_ahead && o->ahead[i].from == offset + 1;

	if (before && behind) {
		o->ahead[i - 1].to = o->ahead[i].to;
		ahead_remove(o, i, 1);
	} else if (before) {
		o->ahead[i - 1].to++;
	} else if (behind) {
		o->ahead[i].from--;
	} else {
		if (!ahead_room(o))
			return false;
		memmove(o->ahead + i + 1, o->ahead + i, (o->n_ahead - i) * sizeof(*o->ahead));
		o->ahead[i] = (struct sparse_range){ offset, offset + 1 };
		o->n_ahead++;
	}
	return true;
}

/* After something was done, or passed over. */
static void
move_commit(struct offers *o)
{
	const struct offer *first = TAILQ_FIRST(&o->all);
	int64_t done = first ? first->offset : o->read;

	if (first == NULL && o->n_ahead && o->ahead[0].from <= done && o->ahead[0].to > done)
		done = o->ahead[0].to;
	if (done > o->commit)
		o->commit = done;
	o->changes++;
}

bool
offers_restore(struct offers *o, const struct sparse_range *v, size_t n)
{
	if (n == 0)
		return true;
	if (n > SPARSE_MAX || v[n - 1].to > o->end || !ahead_room(o))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct sparse_range r = v[i];

		if (r.from < o->commit)
			r.from = o->commit;
		if (r.from < r.to)
			o->ahead[o->n_ahead++] = r;
	}
	if (o->n_ahead == 0)
		ahead_remove(o, 0, 0);
	else if (o->ahead[0].from == o->commit)
		move_commit(o);
	return true;
}

/* ---- in and out ---- */

static void
passed(struct offers *o, int64_t offset)
{
	size_t behind;

	o->read = offset + 1;
	behind = ahead_at(o, o->read);
	if (behind)
		ahead_remove(o, 0, behind);
}

bool
offers_skip(struct offers *o, int64_t offset)
{
	if (!ahead_has(o, offset))
		return false;
	passed(o, offset);
	move_commit(o);
	return true;
}

void
offers_pass(struct offers *o, int64_t offset)
{
	if (offset <= o->read)
		return;
	passed(o, offset - 1);
	move_commit(o);
}

struct offer *
offers_add(struct offers *o, int64_t offset, void *message, size_t bytes)
{
	struct offer *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	passed(o, offset);
	f->offset = offset;
	f->state = OFFER_OUT;
	f->message = message;
	f->bytes = bytes;
	TAILQ_INSERT_TAIL(&o->all, f, link);
	o->n++;
	o->out++;
	o->bytes += bytes;
	return f;
}

struct offer *
offers_again(struct offers *o)
{
	struct offer *f = o->returned ? TAILQ_FIRST(&o->all) : NULL;

	while (f && f->state != OFFER_RETURNED)
		f = TAILQ_NEXT(f, link);
	if (f) {
		f->state = OFFER_OUT;
		o->returned--;
		o->out++;
	}
	return f;
}

void
offers_return(struct offers *o, struct offer *f)
{
	f->state = OFFER_RETURNED;
	o->out--;
	o->returned++;
}

void
offers_pend(struct offers *o, struct offer *f, int64_t due_ms)
{
	f->state = OFFER_PENDING;
	o->out--;
	o->pending++;
	f->due_ms = due_ms;
	TAILQ_INSERT_TAIL(&o->due, f, due);
}

static void
unpend(struct offers *o, struct offer *f)
{
	TAILQ_REMOVE(&o->due, f, due);
	o->pending--;
}

size_t
offers_expire(struct offers *o, int64_t now_ms)
{
	struct offer *f;
	size_t n = 0;

	while ((f = TAILQ_FIRST(&o->due)) != NULL && f->due_ms <= now_ms) {
		unpend(o, f);
		f->state = OFFER_RETURNED;
		o->returned++;
		n++;
	}
	return n;
}

/* ---- done ---- */

void *
offers_confirm(struct offers *o, struct offer *f)
{
	void *message = f->message;

	if (f->state == OFFER_PENDING)
		unpend(o, f);
	else if (f->state == OFFER_OUT)
		o->out--;
	else
		o->returned--;
	TAILQ_REMOVE(&o->all, f, link);
	o->n--;
	o->bytes -= f->bytes;
	free(f);
	move_commit(o);
	return message;
}

struct offer *
offers_find(const struct offers *o, int64_t offset)
{
	struct offer *f = TAILQ_FIRST(&o->all);

	while (f && f->offset < offset)
		f = TAILQ_NEXT(f, link);
	return f && f->offset == offset ? f : NULL;
}

enum offers_ack
offers_ack(struct offers *o, int64_t offset, void **message)
{
	struct offer *f = offers_find(o, offset);

	*message = NULL;
	if (f) {
		*message = offers_confirm(o, f);
		return OFFERS_DONE;
	}
	if (offset < o->read || offset < o->commit || ahead_has(o, offset))
		return OFFERS_AGAIN;
	if (offset >= o->end)
		return OFFERS_NEVER;
	if (!ahead_add(o, offset))
		return OFFERS_FULL;
	move_commit(o);
	return OFFERS_DONE;
}

/* ---- to be committed ---- */

int64_t
offers_commit(const struct offers *o)
{
	return o->commit;
}

/* Joins *r to what is next, or writes it. False: the text is full. */
static bool
next_range(struct sparse_text *out, int64_t *base, struct sparse_range *r,
    struct sparse_range next)
{
	if (next.from >= next.to)
		return true;
	if (r->from < r->to && r->to == next.from) {
		r->to = next.to;
		return true;
	}
	if (r->from < r->to) {
		if (!sparse_add(out, *base, *r))
			return false;
		*base = r->to;
	}
	*r = next;
	return true;
}

void
offers_ranges(const struct offers *o, struct sparse_text *out)
{
	struct sparse_range r = { 0, 0 };
	int64_t base = o->commit;
	bool room = true;

	out->n = 0;
	out->p[0] = '\0';
	for (const struct offer *f = TAILQ_FIRST(&o->all), *next; f && room; f = next) {
		next = TAILQ_NEXT(f, link);
		room = next_range(out, &base, &r, (struct sparse_range){ f->offset + 1,
		    next ? next->offset : o->read });
	}
	for (size_t i = 0; i < o->n_ahead && room; i++) {
		struct sparse_range a = o->ahead[i];

		if (a.from < o->read)
			a.from = o->read;
		if (a.to > o->commit && a.from > o->commit)
			room = next_range(out, &base, &r, a);
	}
	if (room && r.from < r.to)
		sparse_add(out, base, r);
}

void
offers_clear(struct offers *o, void (*drop)(void *message))
{
	struct offer *f;

	while ((f = TAILQ_FIRST(&o->all)) != NULL) {
		TAILQ_REMOVE(&o->all, f, link);
		if (f->message)
			drop(f->message);
		free(f);
	}
	free(o->ahead);
	offers_init(o, o->commit, o->end);
}
