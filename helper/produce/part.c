/*
 * The partitions of a topic: what waits for each, and the one wave that is on its way.
 *
 * librdkafka repeats a request that failed, but has the next one ready, which then goes
 * first. So a partition gets no second request's worth before all reports of the first
 * are in; what comes meanwhile is the next wave. Whatever brokers do, messages then
 * arrive in order, and a leader that fails has nothing that its successor overtakes.
 * Waves are handed over between flushes, while their partitions are held, so that each
 * goes in one request, even if the thread that hands it over has to stand still.
 *
 * A broker refuses a request as a whole for one message in it, and does not say which.
 * The wave after it is half as long, down to a single message, which it is then about;
 * waves double again while they are taken. One that is refused for its time goes as it is,
 * but with another time: see stamp.c.
 */
#include <stdlib.h>

#include "common/fault.h"
#include "helper/produce/sender_state.h"

/* Two partitions that share a part only wait for each other. */
#define PARTS_MAX 256
#define AGAIN_MS 500
/* librdkafka forgets topics. While it does not know one, it divides the messages by
 * itself, in several requests: then one has to go first. */
#define FORGOTTEN_MS (60 * 1000)
/* One that waits for its turn is overtaken once by each of the others, not more often. */
#define OVERTAKEN 4

static bool
alloc_parts(struct lane *lane, int32_t n)
{
	struct part *v = calloc((size_t)n, sizeof(*v));

	if (v == NULL)
		return false;
	for (int32_t i = 0; i < n; i++) {
		TAILQ_INIT(&v[i].wave);
		TAILQ_INIT(&v[i].queue);
		v[i].limit = lane->sender->request_messages;
	}
	lane->parts = v;
	lane->n_parts = n;
	return true;
}

bool
parts_init(struct lane *lane)
{
	return alloc_parts(lane, 1);
}

/* ---- which partition ---- */

/* Of two, the one that has less: so one that stands still is soon avoided. */
static int32_t
any_partition(const struct lane *lane)
{
	int32_t a = (int32_t)(random() % lane->partitions);
	int32_t b = (int32_t)(random() % lane->partitions);

	return lane->parts[b % PARTS_MAX].load < lane->parts[a % PARTS_MAX].load ? b : a;
}

/* One that librdkafka has keeps the place that it was given. */
static struct part *
part_of(struct lane *lane, struct entry *e)
{
	int32_t p = 0;

	if (lane->partitions == 0)
		return lane->parts;
	p = producer_partition(lane->sender->producer, e->row.key, lane->partitions);
	if (p < 0 && e->sent == SEND_SENT)
		p = 0;
	else if (p < 0)
		p = any_partition(lane);
	if (e->sent != SEND_SENT) {
		e->partition = p;
		e->partitions = lane->partitions;
	}
	return &lane->parts[p % PARTS_MAX];
}

int32_t
parts_place(void *opaque, int32_t partitions, int32_t proposed)
{
	struct entry *e = opaque;

	atomic_store(&e->lane->partitions_seen, partitions);
	return e->partitions == partitions ? e->partition : proposed;
}

static void
put(struct part *part, struct entry *e, bool on_its_way)
{
	if (on_its_way) {
		part->sent_ms = e->part->sent_ms;
		part->overtaken_at = e->part->overtaken_at;
		part->generation = e->part->generation;
	}
	e->part = part;
	part->load++;
	part->wave_size += on_its_way;
	part->unreported += e->sent == SEND_SENT;
	if (on_its_way)
		TAILQ_INSERT_TAIL(&part->wave, e, link);
	else
		TAILQ_INSERT_TAIL(&part->queue, e, link);
}

/* What has failed comes before what waits. */
static void
join(struct part *part)
{
	TAILQ_CONCAT(&part->wave, &part->queue, link);
	TAILQ_CONCAT(&part->queue, &part->wave, link);
	part->wave_size = 0;
	part->refused = false;
}

/* The oldest of all, taken out. NULL: there is none. */
static struct entry *
take_oldest(struct part *parts, int32_t n, bool *on_its_way)
{
	struct entry *oldest = NULL;
	struct part *from = NULL;

	for (int32_t i = 0; i < n; i++) {
		struct entry *e = TAILQ_FIRST(&parts[i].wave);
		bool wave = e != NULL;

		if (e == NULL)
			e = TAILQ_FIRST(&parts[i].queue);
		if (e == NULL || (oldest && oldest->row.id < e->row.id))
			continue;
		oldest = e;
		from = &parts[i];
		*on_its_way = wave;
	}
	if (oldest && *on_its_way)
		TAILQ_REMOVE(&from->wave, oldest, link);
	else if (oldest)
		TAILQ_REMOVE(&from->queue, oldest, link);
	return oldest;
}

static size_t
count_waves(const struct lane *lane)
{
	size_t n = 0;

	for (int32_t i = 0; i < lane->n_parts; i++)
		n += lane->parts[i].unreported > 0;
	return n;
}

/* The number of partitions has become known, or has changed. */
static void
divide(struct lane *lane)
{
	int32_t seen = atomic_load(&lane->partitions_seen), n = lane->n_parts;
	size_t out = count_waves(lane);
	struct part *old = lane->parts;
	struct entry *e;
	bool on_its_way = false;

	if (seen == lane->partitions ||
	    !alloc_parts(lane, seen < PARTS_MAX ? seen : PARTS_MAX))
		return;
	lane->partitions = seen;
	while ((e = take_oldest(old, n, &on_its_way)) != NULL)
		put(part_of(lane, e), e, on_its_way);
	for (int32_t i = 0; i < lane->n_parts; i++)
		if (lane->parts[i].unreported == 0)
			join(&lane->parts[i]);
	lane->sender->waves_out += count_waves(lane) - out;
	free(old);
}

/* ---- waves ---- */

void
parts_take(struct lane *lane, struct entry *e)
{
	entry_wait(e);
	if (e->row.id > lane->loaded_id)
		lane->loaded_id = e->row.id;
	put(part_of(lane, e), e, false);
}

void
parts_leave(struct entry *e, struct entries *list)
{
	TAILQ_REMOVE(list, e, link);
	e->part->load--;
	e->part = NULL;
}

static size_t
request_bytes(const struct entry *e)
{
	return e->row.key.n + e->row.value.n + PRODUCER_OVERHEAD;
}

/* It is in nobody's hands, and goes again in a moment. */
static void
pause_part(struct entry *e, const struct delivery *d)
{
	e->lane->taken_ms = 0;
	e->part->pause_until_ms = loop_now_ms(e->sender->loop) + AGAIN_MS;
	entry_again(e, d->text);
}

/* Hands over the first that waits. False: not now. */
static bool
send_first(struct part *part)
{
	struct entry *e = TAILQ_FIRST(&part->queue);
	struct delivery failed;
	enum kp_err err = entry_send(e, &failed);

	if (err == KP_EBUSY)
		return false;
	if (err && !doubt_failed(e->lane, &failed)) {
		pause_part(e, &failed);
		return false;
	}
	if (err) {
		parts_leave(e, &part->queue);
		entry_hopeless(e, err, failed.text);
		return true;
	}
	TAILQ_REMOVE(&part->queue, e, link);
	TAILQ_INSERT_TAIL(&part->wave, e, link);
	part->wave_size++;
	part->unreported++;
	return true;
}

static void
send_wave(struct part *part, size_t limit, size_t room)
{
	struct entry *e = TAILQ_FIRST(&part->queue);

	part->sent_ms = loop_now_ms(e->sender->loop);
	part->led_ms = 0;
	part->generation = producer_generation(e->sender->producer);
	while ((e = TAILQ_FIRST(&part->queue)) != NULL && part->wave_size < limit) {
		size_t bytes = request_bytes(e);

		if (part->wave_size && bytes > room)
			break;
		if (part->wave_size == 1)
			fault_pause("KP_WAVE_PAUSE_US");
		if (!send_first(part))
			break;
		room -= bytes < room ? bytes : room;
	}
}

/* Whether a wave can begin. */
static bool
may_send(const struct part *part, const struct sender *s)
{
	return !s->closing && part->unreported == 0 && !TAILQ_EMPTY(&part->queue) &&
	    loop_now_ms(s->loop) >= part->pause_until_ms;
}

/* Those that will get more than one message now. */
static void
announce_waves(struct lane *lane)
{
	const struct sender *s = lane->sender;
	bool known = lane->taken_ms && loop_now_ms(s->loop) - lane->taken_ms < FORGOTTEN_MS &&
	    lane->taken_generation == producer_generation(s->producer);

	divide(lane);
	for (int32_t i = 0; i < lane->n_parts && known; i++) {
		struct part *part = &lane->parts[i];

		part->held = may_send(part, s) &&
		    TAILQ_FIRST(&part->queue) != TAILQ_LAST(&part->queue, entries);
		for (int32_t p = i; part->held && p < lane->partitions; p += lane->n_parts)
			producer_announce(s->producer, lane->name, p);
	}
}

/* True when something was sent. */
static bool
send_waves(struct lane *lane)
{
	struct sender *s = lane->sender;
	bool any = false;

	for (int32_t i = 0; i < lane->n_parts; i++) {
		struct part *part = &lane->parts[i];

		if (may_send(part, s)) {
			send_wave(part, part->held ? part->limit : 1, s->request_bytes);
			any = any || part->unreported;
			s->waves_out += part->unreported > 0;
			part->overtaken_at = s->waves_done + OVERTAKEN * (s->waves_out + 1);
		}
		part->held = false;
	}
	return any;
}

static void
send_ready(struct sender *s)
{
	struct lane *lane;
	bool any = false;

	s->flushing = true;	/* who is answered meanwhile may have more to send */
	STAILQ_FOREACH(lane, &s->ready, ready_link)
		announce_waves(lane);
	producer_hold(s->producer);
	while ((lane = STAILQ_FIRST(&s->ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->ready, ready_link);
		lane->ready = false;
		any |= send_waves(lane);
	}
	producer_let_go(s->producer);
	s->flushing = any;
	if (any)
		producer_flush(s->producer);
}

void
parts_send(struct lane *lane)
{
	struct sender *s = lane->sender;

	if (!lane->ready)
		STAILQ_INSERT_TAIL(&s->ready, lane, ready_link);
	lane->ready = true;
	if (!s->flushing)
		send_ready(s);
}

void
parts_flushed(void *arg)
{
	struct sender *s = arg;

	s->flushing = false;
	send_ready(s);
}

static void
end_wave(struct lane *lane, struct part *part)
{
	size_t most = lane->sender->request_messages;

	part->limit = part->refused ? part->wave_size / 2 : part->limit * 2;
	if (part->limit > most)
		part->limit = most;
	join(part);
}

static void
refused(struct entry *e, const struct delivery *d)
{
	unsigned dropped;

	if (!e->part->refused && log_rate_ok(&e->sender->refused_rate, &dropped))
		log_info("sender request refused topic=%s messages=%zu dropped_lines=%u: %s; half "
		    "of them go next", e->lane->name, e->part->wave_size, dropped, d->text);
	e->part->refused = true;
	entry_wait(e);
}

/* It may be gone after it. */
static void
settle(struct entry *e, const struct delivery *d)
{
	struct part *part = e->part;
	bool one_of_many = d->shared && part->wave_size > 1;

	if (d->err && e->sender->closing) {
		parts_leave(e, &part->wave);
		entry_given_up(e);
	} else if (d->err == KP_OK) {
		e->lane->taken_ms = e->lane->moved_ms = loop_now_ms(e->sender->loop);
		e->lane->taken_generation = part->generation;
		doubt_end(e->lane);
		parts_leave(e, &part->wave);
		entry_done(e, d);
	} else if (d->of_time && stamp_refused(e)) {
		entry_wait(e);
	} else if (one_of_many) {
		refused(e, d);
	} else if (doubt_failed(e->lane, d)) {
		parts_leave(e, &part->wave);
		entry_hopeless(e, d->err, d->text);
	} else {
		pause_part(e, d);
	}
}

void
parts_delivered(void *arg, void *opaque, const struct delivery *d)
{
	struct entry *e = opaque;
	struct lane *lane = e->lane;
	struct part *part = e->part;

	(void)arg;
	part->unreported--;
	settle(e, d);
	if (part->unreported == 0) {
		lane->sender->waves_out--;
		lane->sender->waves_done++;
		end_wave(lane, part);
		parts_send(lane);
	}
	if (lane->backlog)
		lane_load(lane);
}

void
parts_end(struct lane *lane)
{
	for (int32_t i = 0; i < lane->n_parts; i++) {
		struct entries *queue = &lane->parts[i].queue;
		struct entry *e;

		while ((e = TAILQ_FIRST(queue)) != NULL) {
			parts_leave(e, queue);
			entry_given_up(e);
		}
	}
}
