#include "common/names.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 16

static struct names_entry **
bucket_of(const struct names *t, uint32_t hash)
{
	return &t->buckets[hash & (t->n_buckets - 1)];
}

static void
put(struct names *t, struct names_entry *e)
{
	struct names_entry **at = bucket_of(t, e->hash);

	e->next = *at;
	*at = e;
}

static void
grow(struct names *t)
{
	struct names old = *t;
	size_t n = old.n_buckets ? 2 * old.n_buckets : BUCKETS_MIN;
	struct names_entry **buckets = calloc(n, sizeof(struct names_entry *));

	if (buckets == NULL)
		return;
	t->buckets = buckets;
	t->n_buckets = n;
	for (size_t i = 0; i < old.n_buckets; i++)
		for (struct names_entry *e = old.buckets[i], *next; e; e = next) {
			next = e->next;
			put(t, e);
		}
	free(old.buckets);
}

struct names_entry *
names_find(const struct names *t, struct kp_slice name)
{
	uint32_t hash = kp_slice_hash(name);
	struct names_entry *e = t->n ? *bucket_of(t, hash) : NULL;

	while (e && (e->hash != hash || !kp_slice_eq(name, kp_slice_str(e->name))))
		e = e->next;
	return e;
}

bool
names_add(struct names *t, struct names_entry *e, const char *name)
{
	if (t->n >= t->n_buckets)
		grow(t);
	if (t->n_buckets == 0)
		return false;
	e->name = name;
	e->hash = kp_slice_hash(kp_slice_str(name));
	put(t, e);
	t->n++;
	return true;
}

void *
names_new(struct names *t, size_t bytes, struct kp_slice name)
{
	struct names_entry *e = calloc(1, bytes + name.n + 1);

	if (e == NULL)
		return NULL;
	if (name.n)
		memcpy((char *)e + bytes, name.p, name.n);
	if (names_add(t, e, (char *)e + bytes))
		return e;
	free(e);
	return NULL;
}

void
names_remove(struct names *t, struct names_entry *e)
{
	struct names_entry **at = bucket_of(t, e->hash);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	t->n--;
}

struct names_entry *
names_next(const struct names *t, const struct names_entry *e)
{
	size_t i = 0;

	if (e && e->next)
		return e->next;
	if (e)
		i = (e->hash & (t->n_buckets - 1)) + 1;
	while (i < t->n_buckets && t->buckets[i] == NULL)
		i++;
	return i < t->n_buckets ? t->buckets[i] : NULL;
}

struct names_entry *
names_take(struct names *t)
{
	struct names_entry **at, *e;

	while (t->n_buckets > 0 && t->buckets[t->n_buckets - 1] == NULL)
		t->n_buckets--;
	if (t->n_buckets == 0) {
		names_clear(t);
		return NULL;
	}
	at = &t->buckets[t->n_buckets - 1];
	e = *at;
	*at = e->next;
	t->n--;
	return e;
}

void
names_clear(struct names *t)
{
	free(t->buckets);
	*t = (struct names){ 0 };
}
