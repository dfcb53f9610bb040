/* Two readings of the offers' count of changes: when Kafka took a commit, and when one was sent. */
#include "helper/consume/committed.h"

#include <stdlib.h>
#include <string.h>

void
committed_init(struct committed *c)
{
	*c = (struct committed){ .sent = -1 };
}

void
committed_free(struct committed *c)
{
	free(c->metadata);
	c->metadata = NULL;
}

bool
committed_start(struct committed *c, struct offers *o, int64_t offset, const char *metadata,
    int64_t now_ms)
{
	struct sparse_range v[SPARSE_MAX];
	bool ours = true;
	size_t n;

	committed_free(c);
	if (metadata)
		ours = sparse_decode(kp_slice_str(metadata), offset, v, &n) == KP_OK &&
		    offers_restore(o, v, n);
	if (!ours)
		c->metadata = strdup(metadata);
	c->offset = offset;
	c->changes = o->changes;
	c->since_ms = now_ms;
	return ours;
}

bool
committed_is_old(const struct committed *c, const struct offers *o)
{
	return o->changes != c->changes || offers_commit(o) != c->offset;
}

int64_t
committed_send(struct committed *c, const struct offers *o)
{
	c->sent = offers_commit(o);
	c->sent_changes = o->changes;
	return c->sent;
}

struct kp_slice
committed_metadata(const struct committed *c, const struct offers *o, bool plain,
    struct sparse_text *room)
{
	if (c->metadata && !committed_is_old(c, o))
		return kp_slice_str(c->metadata);
	room->n = 0;
	if (!plain)
		offers_ranges(o, room);
	return (struct kp_slice){ (const uint8_t *)room->p, room->n };
}

bool
committed_is_sent(const struct committed *c)
{
	return c->sent >= 0;
}

void
committed_done(struct committed *c, const struct offers *o, bool taken, int64_t now_ms)
{
	if (c->sent >= 0 && taken) {
		if (committed_is_old(c, o))
			committed_free(c);
		c->offset = c->sent;
		c->changes = c->sent_changes;
		c->since_ms = now_ms;
	}
	c->sent = -1;
}

void
committed_unsend(struct committed *c)
{
	c->sent = -1;
}
