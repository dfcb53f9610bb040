/*
 * One topic: how many of its messages librdkafka has, and, when it takes less than
 * comes in, the backlog on the disk that is read back in order.
 */
#include "helper/produce/lane.h"

#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/produce/sender_state.h"

#define WINDOW_MESSAGES 10000
#define WINDOW_BYTES (16u * 1024 * 1024)
#define TOPICS_MAX 4096
/* What a lane knows of its topic is not believed for longer anyway. */
#define IDLE_MS (2 * 60 * 1000)
#define STALLED_MS 5000
#define STALLED_MESSAGES 500
#define LOAD_ROWS 1000
#define LOAD_BYTES (2u * 1024 * 1024)

/* Kafka has taken nothing of it for a while. */
static bool
is_stalled(const struct lane *lane)
{
	return store_keeps(lane->sender->store) && lane->in_window &&
	    loop_now_ms(lane->sender->loop) - lane->moved_ms > STALLED_MS;
}

bool
lane_has_room(const struct lane *lane)
{
	const struct sender *s = lane->sender;

	/* One topic that Kafka does not take must leave room for the others. */
	return s->lanes.in_window < WINDOW_MESSAGES && s->lanes.in_window_bytes < WINDOW_BYTES &&
	    lane->in_window < WINDOW_MESSAGES / 2 && lane->in_window_bytes < WINDOW_BYTES / 2 &&
	    !(lane->in_window >= STALLED_MESSAGES && is_stalled(lane));
}

void
lane_count_window(struct lane *lane, bool in, size_t bytes)
{
	struct lanes *all = &lane->sender->lanes;
	size_t n = in ? 1 : (size_t)-1;

	if (lane->in_window == 0)
		lane->moved_ms = loop_now_ms(lane->sender->loop);
	bytes = in ? bytes : -bytes;
	lane->in_window += n;
	lane->in_window_bytes += bytes;
	all->in_window += n;
	all->in_window_bytes += bytes;
}

void
lane_count_appending(struct lane *lane, bool in)
{
	lane->appending += in ? 1 : (size_t)-1;
}

void
lane_to_disk(struct lane *lane, const char *why)
{
	if (!lane->backlog && why)
		log_info("sender backlog topic=%s: %s", lane->by_name.name, why);
	lane->backlog = true;
	lane->load_covers = false;
}

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
	const struct division *d = &lane->division;
	int64_t *ids = calloc(lane->in_window, sizeof(*ids)), last = 0;
	const struct entry *e;
	size_t n = 0;

	if (ids == NULL)
		return 0;
	for (int32_t i = 0; i < d->n_queues; i++) {
		int64_t wave = partition_queue_wave_id(d->queues[i]);

		last = wave > last ? wave : last;
		for (e = partition_queue_last(d->queues[i]); e; e = TAILQ_PREV(e, entries, link))
			ids[n++] = e->row.id;
	}
	qsort(ids, n, sizeof(*ids), by_id);
	if (n && ids[n > keep ? keep - 1 : n - 1] > last)
		last = ids[n > keep ? keep - 1 : n - 1];
	free(ids);
	return last;
}

/* What waits goes back to the disk, but the oldest `keep`. Returns the id up to which it
 * did not. */
static int64_t
put_back(struct lane *lane, size_t keep)
{
	const struct division *d = &lane->division;
	int64_t last = last_to_stay(lane, keep);
	struct entry *e, *before;

	if (last == 0)
		return lane->loaded_id;
	for (int32_t i = 0; i < d->n_queues; i++)
		for (e = partition_queue_last(d->queues[i]); e; e = before) {
			before = TAILQ_PREV(e, entries, link);
			/* One that the disk did not take waits for Kafka alone. */
			if (e->row.id <= last || e->appended == APPEND_NONE)
				continue;
			partition_queue_take_out(e);
			entry_put_back(e);
		}
	return last;
}

/* So must several of them together: what they have too much of waits on the disk. */
void
lane_make_room(struct lane *lane)
{
	if (lane->in_window <= 2 * STALLED_MESSAGES || lane->loading || !is_stalled(lane))
		return;
	lane_to_disk(lane, "Kafka takes nothing of it");
	lane->loaded_id = put_back(lane, STALLED_MESSAGES);
}

struct lane *
lanes_next(const struct sender *s, const struct lane *lane)
{
	return (struct lane *)names_next(&s->lanes.by_name, lane ? &lane->by_name : NULL);
}

/* Those that nobody needs, and has not for a while; or all of them. */
static void
free_lanes(struct sender *s, bool all, int64_t idle_ms)
{
	int64_t now = loop_now_ms(s->loop);

	for (struct lane *lane = lanes_next(s, NULL), *next; lane; lane = next) {
		next = lanes_next(s, lane);
		if (!all && (lane->entries || lane->backlog || lane->loading ||
		    lane->appending || lane->ready || now - lane->used_ms < idle_ms))
			continue;
		names_remove(&s->lanes.by_name, &lane->by_name);
		division_end(&lane->division);
		free(lane);
	}
}

void
lanes_end(struct sender *s)
{
	free_lanes(s, true, 0);
	names_clear(&s->lanes.by_name);
}

void
lanes_forget(struct sender *s)
{
	free_lanes(s, false, IDLE_MS);
}

struct lane *
lane_find(struct sender *s, struct kp_slice topic)
{
	struct lane *lane = (struct lane *)names_find(&s->lanes.by_name, topic);

	if (lane) {
		lane->used_ms = loop_now_ms(s->loop);
		return lane;
	}
	if (s->lanes.by_name.n == TOPICS_MAX)
		free_lanes(s, false, 0);
	if (s->lanes.by_name.n == TOPICS_MAX || topic.n > TOPIC_MAX)
		return NULL;
	lane = names_new(&s->lanes.by_name, sizeof(*lane), topic);
	if (lane == NULL)
		return NULL;
	lane->sender = s;
	lane->stamp.fixed = s->old_times_die;
	lane->used_ms = loop_now_ms(s->loop);
	if (!division_init(&lane->division, s->waves.request_messages, producer_partition,
	    s->producer)) {
		names_remove(&s->lanes.by_name, &lane->by_name);
		free(lane);
		return NULL;
	}
	return lane;
}

/* False: not now, for want of memory. */
static bool
take_loaded(struct lane *lane, struct store_loaded *row)
{
	struct entry *e = entry_from_disk(lane, row);

	if (e == NULL) {
		free(row);
		return false;
	}
	fault_point("P12");
	if (row->damaged) {
		/* It can never be sent, and does not hold up what is behind it. */
		lane->loaded_id = e->row.id;
		entry_damaged(e);
	} else {
		waves_take(lane, e);
	}
	return true;
}

static void
loaded(void *arg, enum kp_err err, struct store_loaded *rows)
{
	struct lane *lane = arg;
	bool any = rows != NULL, taking = !lane->sender->closing;

	lane->loading = false;
	while (rows) {
		struct store_loaded *next = rows->next;

		if (taking)
			taking = take_loaded(lane, rows);
		else
			free(rows);
		rows = next;
	}
	waves_send(lane);
	if (err == KP_EIO && !lane->unreadable) {
		lane->unreadable = true;
		log_error("sender backlog topic=%s: it cannot be read on; restart the helper to "
		    "salvage what can be read", lane->by_name.name);
	}
	if (err == KP_OK && !any && lane->load_covers) {
		lane->backlog = false;
		log_info("sender caught up topic=%s", lane->by_name.name);
	} else if (err == KP_OK && taking && (any || lane->appending == 0)) {
		lane_load(lane);
	}	/* else the next commit, report or retry comes back to it */
}

void
lane_load(struct lane *lane)
{
	if (lane->loading || lane->unreadable || lane->sender->closing || !lane_has_room(lane))
		return;
	lane->loading = true;
	lane->load_covers = lane->appending == 0;
	store_load(lane->sender->store, lane->by_name.name, lane->loaded_id, LOAD_ROWS, LOAD_BYTES,
	    loaded, lane);
}
