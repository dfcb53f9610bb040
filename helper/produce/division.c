/*
 * To which partition a message goes, and so in whose queue it waits. What has a key has its
 * place; all that waits, or is on its way, is divided anew when the number of partitions
 * becomes another one.
 */
#include "helper/produce/division.h"

#include <stdlib.h>

/* Two partitions that share a queue only wait for each other. */
#define QUEUES_MAX 256

static void
free_queues(struct partition_queue **v, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		partition_queue_free(v[i]);
	free(v);
}

static bool
new_queues(struct division *d, int32_t n)
{
	struct partition_queue **v = calloc((size_t)n, sizeof(struct partition_queue *));
	int32_t i = 0;

	while (v && i < n && (v[i] = partition_queue_new(d->limit)) != NULL)
		i++;
	if (i < n) {
		free_queues(v, i);
		return false;
	}
	d->queues = v;
	d->n_queues = n;
	return true;
}

bool
division_init(struct division *d, size_t limit, division_key *key, const struct producer *p)
{
	*d = (struct division){ .limit = limit, .key = key, .producer = p };
	return new_queues(d, 1);
}

void
division_end(struct division *d)
{
	free_queues(d->queues, d->n_queues);
}

/* Of two, the one that has less: so one that stands still is soon avoided. */
static int32_t
any_partition(const struct division *d)
{
	int32_t a = (int32_t)(random() % d->partitions);
	int32_t b = (int32_t)(random() % d->partitions);

	return partition_queue_load(d->queues[b % QUEUES_MAX]) <
	    partition_queue_load(d->queues[a % QUEUES_MAX]) ? b : a;
}

/* One that librdkafka has keeps the place that it was given. */
struct partition_queue *
division_find(const struct division *d, struct entry *e)
{
	int32_t p;

	if (d->partitions == 0)
		return d->queues[0];
	p = d->key(d->producer, e->row.key, d->partitions);
	if (p < 0)
		p = e->sent == SEND_SENT ? 0 : any_partition(d);
	if (e->sent != SEND_SENT) {
		e->partition = p;
		e->partitions = d->partitions;
	}
	return d->queues[p % QUEUES_MAX];
}

int32_t
division_place(struct division *d, const struct entry *e, int32_t partitions, int32_t proposed)
{
	atomic_store(&d->seen, partitions);
	return e->partitions == partitions ? e->partition : proposed;
}

/* NULL: there is none. */
static struct entry *
oldest(struct partition_queue **v, int32_t n)
{
	struct entry *oldest = NULL;

	for (int32_t i = 0; i < n; i++) {
		struct entry *e = partition_queue_first(v[i]);

		if (e && (oldest == NULL || e->row.id <= oldest->row.id))
			oldest = e;
	}
	return oldest;
}

int32_t
division_renew(struct division *d)
{
	int32_t seen = atomic_load(&d->seen), n = d->n_queues, more = 0;
	struct partition_queue **old = d->queues;
	struct entry *e;

	if (seen == d->partitions || !new_queues(d, seen < QUEUES_MAX ? seen : QUEUES_MAX))
		return 0;
	for (int32_t i = 0; i < n; i++)
		more -= partition_queue_is_out(old[i]);
	d->partitions = seen;
	while ((e = oldest(old, n)) != NULL)
		partition_queue_move(e, division_find(d, e));
	for (int32_t i = 0; i < d->n_queues; i++) {
		partition_queue_moved(d->queues[i]);
		more += partition_queue_is_out(d->queues[i]);
	}
	free_queues(old, n);
	return more;
}
