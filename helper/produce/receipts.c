/* Ids are given one after the other, so an id has its place by its last bits, and
 * overwrites the one of RECEIPTS_MAX messages ago. What the last bits say nothing of
 * counts starts of the helper: those of an earlier one lie elsewhere. */
#include "helper/produce/receipts.h"

#include <stdlib.h>

#include "helper/store/ids.h"

struct receipt {
	int64_t id;			/* 0: none */
	int64_t offset;
	int64_t delivered_ms;		/* 0: pending */
	int32_t partition;
};

struct receipts {
	struct receipt v[RECEIPTS_MAX];
};

struct receipts *
receipts_new(void)
{
	/* Large and zeroed: the kernel gives pages as they are used. */
	return calloc(1, sizeof(struct receipts));
}

void
receipts_free(struct receipts *r)
{
	free(r);
}

static size_t
place_of(int64_t id)
{
	return ((uint64_t)id + (uint64_t)id / IDS_RESERVE * 40503) % RECEIPTS_MAX;
}

static struct receipt *
place(struct receipts *r, int64_t id)
{
	return &r->v[place_of(id)];
}

void
receipts_pending(struct receipts *r, int64_t id)
{
	*place(r, id) = (struct receipt){ .id = id };
}

void
receipts_delivered(struct receipts *r, int64_t id, int32_t partition, int64_t offset,
    int64_t now_ms)
{
	struct receipt *at = place(r, id);

	/* One of long ago, from the backlog, gives way to those of today. */
	if (at->id <= id)
		*at = (struct receipt){ .id = id, .offset = offset, .partition = partition,
		    .delivered_ms = now_ms > 0 ? now_ms : 1 };
}

void
receipts_forget(struct receipts *r, int64_t id)
{
	struct receipt *at = place(r, id);

	if (at->id == id)
		at->id = 0;
}

bool
receipts_find(const struct receipts *r, int64_t id, int64_t now_ms, struct msg_receipt *out)
{
	const struct receipt *at = &r->v[place_of(id)];

	if (at->id != id || id <= 0 ||
	    (at->delivered_ms && now_ms - at->delivered_ms > RECEIPTS_MS))
		return false;
	*out = (struct msg_receipt){ .id = id, .state = RECEIPT_PENDING, .partition = -1,
	    .offset = -1 };
	if (at->delivered_ms) {
		out->state = RECEIPT_DELIVERED;
		out->partition = at->partition;
		out->offset = at->offset;
	}
	return true;
}
