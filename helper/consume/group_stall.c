/*
 * Partitions that give nothing, although they have messages: who waits is told so, and
 * they are read anew. A broker may answer every question and still give no message, and
 * librdkafka may lose track of a partition when brokers come and go.
 *
 * Such a one was short of the end twice, at the same position, while somebody waited, who
 * takes what there is at once.
 */
#include <stdlib.h>

#include "common/log.h"
#include "helper/consume/group_state.h"

#define STALL_MS 10000

static bool
wants_messages(const struct part *p)
{
	return p->state == PART_ACTIVE && !offers_full(&p->offers);
}

struct partition_offsets *
stall_begin(struct gtopic *t, int64_t now_ms, size_t *n)
{
	struct partition_offsets *v;

	*n = 0;
	if (t->first == NULL || now_ms - t->ends_ms < STALL_MS)
		return NULL;
	for (const struct part *p = t->parts; p; p = p->next)
		*n += wants_messages(p);
	v = *n ? calloc(*n, sizeof(*v)) : NULL;
	if (v == NULL)
		return NULL;
	t->ends_ms = now_ms;
	*n = 0;
	for (const struct part *p = t->parts; p; p = p->next)
		if (wants_messages(p))
			v[(*n)++].partition = p->partition;
	return v;
}

static void
see_end(struct part *p, int64_t end)
{
	int64_t at = consumer_position(p->reader);

	if (at >= end || at != p->behind_at) {
		p->behind_at = at < end ? at : -1;
		p->stalled = false;
		return;
	}
	if (!p->stalled)
		log_warn("partition stalls group=%s topic=%s partition=%d offset=%lld end=%lld: it "
		    "has messages and gives none; reading it anew", p->t->g->name, p->t->name,
		    p->partition, (long long)at, (long long)end);
	p->stalled = true;
	/* What is out or not committed would come twice. */
	if (p->offers.n == 0 && !part_changed(p))
		part_restart(p);
}

void
stall_end(struct gtopic *t, const struct partition_offsets *v, size_t n)
{
	for (size_t i = 0; i < n && t->first; i++) {
		struct part *p = part_find(t, v[i].partition);

		if (p && wants_messages(p))
			see_end(p, v[i].end);
	}
}
