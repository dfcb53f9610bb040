/* What waits for a partition goes back to the disk, when its topic stands in others' way. */
#include <stdlib.h>

#include "helper/produce/sender_state.h"

static int
by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The id up to which so many stay, and in any case what librdkafka has. 0: no memory. */
static int64_t
last_to_stay(const struct lane *lane, size_t keep)
{
	int64_t *ids = calloc(lane->in_window, sizeof(*ids)), last = 0;
	const struct entry *e;
	size_t n = 0;

	if (ids == NULL)
		return 0;
	for (int32_t i = 0; i < lane->n_parts; i++) {
		TAILQ_FOREACH(e, &lane->parts[i].wave, link)
			last = e->row.id > last ? e->row.id : last;
		TAILQ_FOREACH(e, &lane->parts[i].queue, link)
			ids[n++] = e->row.id;
	}
	qsort(ids, n, sizeof(*ids), by_id);
	if (n && ids[n > keep ? keep - 1 : n - 1] > last)
		last = ids[n > keep ? keep - 1 : n - 1];
	free(ids);
	return last;
}

int64_t
parts_put_back(struct lane *lane, size_t keep)
{
	int64_t last = last_to_stay(lane, keep);
	struct entry *e, *before;

	if (last == 0)
		return lane->loaded_id;
	for (int32_t i = 0; i < lane->n_parts; i++)
		for (e = TAILQ_LAST(&lane->parts[i].queue, entries); e; e = before) {
			before = TAILQ_PREV(e, entries, link);
			/* One that the disk did not take waits for Kafka alone. */
			if (e->row.id <= last || e->appended == APPEND_NONE)
				continue;
			parts_leave(e, &lane->parts[i].queue);
			entry_put_back(e);
		}
	return last;
}
