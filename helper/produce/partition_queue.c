/* One partition: the order of what waits, how large the next wave is, and how old this one. */
#include "helper/produce/partition_queue.h"

#include <stdlib.h>

struct partition_queue {
	struct entries wave;		/* as sent; those that failed wait here for the others */
	struct entries waiting;		/* what comes after it */
	size_t load;			/* in both */
	size_t wave_size;		/* when it was sent */
	size_t unreported;
	size_t limit;			/* of the next wave */
	bool held;			/* by the producer: more than one may go */
	bool refused;			/* the wave was, maybe for one message in it */
	int64_t pause_until_ms;		/* after a strange failure */
	int64_t sent_ms;		/* when the wave began */
	int64_t led_ms;			/* since when it has a leader all the same; 0: not asked */
	uint64_t overtaken_at;		/* waves done, when others must not be ahead */
	unsigned generation;		/* of the producer that got it */
};

struct partition_queue *
partition_queue_new(size_t limit)
{
	struct partition_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	TAILQ_INIT(&q->wave);
	TAILQ_INIT(&q->waiting);
	q->limit = limit;
	return q;
}

void
partition_queue_free(struct partition_queue *q)
{
	free(q);
}

/* ---- what waits ---- */

void
partition_queue_put(struct partition_queue *q, struct entry *e)
{
	e->queue = q;
	q->load++;
	TAILQ_INSERT_TAIL(&q->waiting, e, link);
}

struct entry *
partition_queue_waiting(const struct partition_queue *q)
{
	return TAILQ_FIRST(&q->waiting);
}

struct entry *
partition_queue_last(const struct partition_queue *q)
{
	return TAILQ_LAST(&q->waiting, entries);
}

static void
leave(struct entry *e, struct entries *list)
{
	TAILQ_REMOVE(list, e, link);
	e->queue->load--;
	e->queue = NULL;
}

void
partition_queue_take_out(struct entry *e)
{
	leave(e, &e->queue->waiting);
}

void
partition_queue_leave(struct entry *e)
{
	leave(e, &e->queue->wave);
}

size_t
partition_queue_load(const struct partition_queue *q)
{
	return q->load;
}

void
partition_queue_pause(struct partition_queue *q, int64_t until_ms)
{
	q->pause_until_ms = until_ms;
}

/* ---- a wave ---- */

bool
partition_queue_may_begin(const struct partition_queue *q, int64_t now_ms)
{
	return q->unreported == 0 && !TAILQ_EMPTY(&q->waiting) && now_ms >= q->pause_until_ms;
}

bool
partition_queue_hold(struct partition_queue *q, int64_t now_ms, bool may)
{
	q->held = may && partition_queue_may_begin(q, now_ms) &&
	    TAILQ_FIRST(&q->waiting) != TAILQ_LAST(&q->waiting, entries);
	return q->held;
}

void
partition_queue_begin(struct partition_queue *q, int64_t now_ms, unsigned generation,
    uint64_t overtaken_at)
{
	q->sent_ms = now_ms;
	q->led_ms = 0;
	q->generation = generation;
	q->overtaken_at = overtaken_at;
}

struct entry *
partition_queue_next(const struct partition_queue *q)
{
	return q->wave_size < (q->held ? q->limit : 1) ? TAILQ_FIRST(&q->waiting) : NULL;
}

void
partition_queue_sent(struct partition_queue *q)
{
	struct entry *e = TAILQ_FIRST(&q->waiting);

	TAILQ_REMOVE(&q->waiting, e, link);
	TAILQ_INSERT_TAIL(&q->wave, e, link);
	q->wave_size++;
	q->unreported++;
}

void
partition_queue_let_go(struct partition_queue *q)
{
	q->held = false;
}

size_t
partition_queue_wave(const struct partition_queue *q)
{
	return q->wave_size;
}

int64_t
partition_queue_wave_id(const struct partition_queue *q)
{
	const struct entry *e;
	int64_t id = 0;

	TAILQ_FOREACH(e, &q->wave, link)
		id = e->row.id > id ? e->row.id : id;
	return id;
}

unsigned
partition_queue_generation(const struct partition_queue *q)
{
	return q->generation;
}

/* ---- its reports ---- */

bool
partition_queue_is_out(const struct partition_queue *q)
{
	return q->unreported > 0;
}

void
partition_queue_reported(struct partition_queue *q)
{
	q->unreported--;
}

bool
partition_queue_refused(struct partition_queue *q)
{
	bool before = q->refused;

	q->refused = true;
	return !before;
}

/* What has failed comes before what waits. */
static void
join(struct partition_queue *q)
{
	TAILQ_CONCAT(&q->wave, &q->waiting, link);
	TAILQ_CONCAT(&q->waiting, &q->wave, link);
	q->wave_size = 0;
	q->refused = false;
}

void
partition_queue_end(struct partition_queue *q, size_t most)
{
	q->limit = q->refused ? q->wave_size / 2 : q->limit * 2;
	if (q->limit > most)
		q->limit = most;
	join(q);
}

/* ---- a wave that is not reported ---- */

bool
partition_queue_is_late(const struct partition_queue *q, int64_t now_ms, int64_t ms)
{
	return q->unreported && now_ms - q->sent_ms > ms;
}

int64_t
partition_queue_since(const struct partition_queue *q, unsigned generation)
{
	return q->unreported && q->generation == generation ? q->sent_ms : 0;
}

bool
partition_queue_is_overtaken(const struct partition_queue *q, uint64_t waves_done)
{
	return waves_done >= q->overtaken_at;
}

int64_t
partition_queue_led(struct partition_queue *q, bool led, int64_t now_ms)
{
	q->led_ms = !led ? 0 : q->led_ms ? q->led_ms : now_ms;
	return led ? now_ms - q->led_ms : 0;
}

/* ---- another division of the topic ---- */

struct entry *
partition_queue_first(const struct partition_queue *q)
{
	return !TAILQ_EMPTY(&q->wave) ? TAILQ_FIRST(&q->wave) : TAILQ_FIRST(&q->waiting);
}

void
partition_queue_move(struct entry *e, struct partition_queue *to)
{
	struct partition_queue *from = e->queue;
	bool on_its_way = TAILQ_FIRST(&from->wave) == e;

	if (!on_its_way) {
		partition_queue_take_out(e);
		partition_queue_put(to, e);
		return;
	}
	partition_queue_leave(e);
	to->sent_ms = from->sent_ms;
	to->overtaken_at = from->overtaken_at;
	to->generation = from->generation;
	to->wave_size++;
	to->unreported += e->sent == SEND_SENT;
	to->load++;
	e->queue = to;
	TAILQ_INSERT_TAIL(&to->wave, e, link);
}

void
partition_queue_moved(struct partition_queue *q)
{
	if (q->unreported == 0)
		join(q);
}
