/* What each topic has of the store: a table by name, as the loop sees it. */
#include "helper/produce/store_shares.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

struct share {
	struct share *next;		/* of its bucket */
	int64_t rows, bytes;
	char name[];
};

struct shares {
	struct share *buckets[BUCKETS];
	size_t n;
};

struct shares *
shares_new(void)
{
	return calloc(1, sizeof(struct shares));
}

void
shares_free(struct shares *s)
{
	for (size_t i = 0; s && i < BUCKETS; i++)
		while (s->buckets[i]) {
			struct share *gone = s->buckets[i];

			s->buckets[i] = gone->next;
			free(gone);
		}
	free(s);
}

/* Where the topic is, or would be. */
static struct share **
place_of(struct shares *s, struct kp_slice topic)
{
	uint32_t h = 2166136261u;
	struct share **at;

	for (size_t i = 0; i < topic.n; i++)
		h = (h ^ topic.p[i]) * 16777619u;
	at = &s->buckets[h % BUCKETS];
	while (*at && !kp_slice_eq(topic, kp_slice_str((*at)->name)))
		at = &(*at)->next;
	return at;
}

static struct share *
add(struct shares *s, struct share **at, struct kp_slice topic)
{
	struct share *new = calloc(1, sizeof(*new) + topic.n + 1);

	if (new == NULL)
		return NULL;
	memcpy(new->name, topic.p, topic.n);
	*at = new;
	s->n++;
	return new;
}

void
shares_change(struct shares *s, struct kp_slice topic, int64_t rows, int64_t bytes)
{
	struct share **at = place_of(s, topic), *share = *at;

	if (share == NULL && rows > 0)
		share = add(s, at, topic);
	if (share == NULL)
		return;
	share->rows += rows;
	share->bytes += bytes;
	if (share->rows > 0)
		return;
	*at = share->next;
	free(share);
	s->n--;
}

bool
shares_find(const struct shares *s, struct kp_slice topic, int64_t *bytes)
{
	const struct share *share = *place_of((struct shares *)s, topic);

	*bytes = share ? share->bytes : 0;
	return share != NULL;
}

size_t
shares_topics(const struct shares *s)
{
	return s->n;
}
