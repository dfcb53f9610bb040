/*
 * To which partition a message goes, and so in whose queue it waits. What has a key has its
 * place; all that waits, or is on its way, is divided anew when the number of partitions
 * becomes another one.
 */
#include "helper/produce/division.h"

#include <stdlib.h>

#include "helper/produce/partition_queue.h"
#include "helper/produce/sender_state.h"

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
new_queues(struct lane *lane, int32_t n)
{
	struct partition_queue **v = calloc((size_t)n, sizeof(struct partition_queue *));

	for (int32_t i = 0; v && i < n; i++) {
		v[i] = partition_queue_new(lane->sender->request_messages);
		if (v[i] == NULL) {
			free_queues(v, i);
			return false;
		}
	}
	if (v == NULL)
		return false;
	lane->queues = v;
	lane->n_queues = n;
	return true;
}

bool
division_init(struct lane *lane)
{
	return new_queues(lane, 1);
}

void
division_end(struct lane *lane)
{
	free_queues(lane->queues, lane->n_queues);
}

/* Of two, the one that has less: so one that stands still is soon avoided. */
static int32_t
any_partition(const struct lane *lane)
{
	int32_t a = (int32_t)(random() % lane->partitions);
	int32_t b = (int32_t)(random() % lane->partitions);

	return partition_queue_load(lane->queues[b % QUEUES_MAX]) <
	    partition_queue_load(lane->queues[a % QUEUES_MAX]) ? b : a;
}

/* One that librdkafka has keeps the place that it was given. */
struct partition_queue *
division_find(struct lane *lane, struct entry *e)
{
	int32_t p = 0;

	if (lane->partitions == 0)
		return lane->queues[0];
	p = producer_partition(lane->sender->producer, e->row.key, lane->partitions);
	if (p < 0 && e->sent == SEND_SENT)
		p = 0;
	else if (p < 0)
		p = any_partition(lane);
	if (e->sent != SEND_SENT) {
		e->partition = p;
		e->partitions = lane->partitions;
	}
	return lane->queues[p % QUEUES_MAX];
}

int32_t
division_place(void *opaque, int32_t partitions, int32_t proposed)
{
	struct entry *e = opaque;

	atomic_store(&e->lane->partitions_seen, partitions);
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

static size_t
count_waves(const struct lane *lane)
{
	size_t n = 0;

	for (int32_t i = 0; i < lane->n_queues; i++)
		n += partition_queue_is_out(lane->queues[i]);
	return n;
}

void
division_renew(struct lane *lane)
{
	int32_t seen = atomic_load(&lane->partitions_seen), n = lane->n_queues;
	size_t out = count_waves(lane);
	struct partition_queue **old = lane->queues;
	struct entry *e;

	if (seen == lane->partitions ||
	    !new_queues(lane, seen < QUEUES_MAX ? seen : QUEUES_MAX))
		return;
	lane->partitions = seen;
	while ((e = oldest(old, n)) != NULL)
		partition_queue_move(e, division_find(lane, e));
	for (int32_t i = 0; i < lane->n_queues; i++)
		partition_queue_moved(lane->queues[i]);
	lane->sender->waves_out += count_waves(lane) - out;
	free_queues(old, n);
}
