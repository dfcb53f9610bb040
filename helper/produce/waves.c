/*
 * What goes to librdkafka, in waves: of each partition no more than one at a time.
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
#include "helper/produce/waves.h"

#include "common/clock.h"
#include "common/fault.h"
#include "helper/produce/sender_state.h"

#define AGAIN_MS 500
/* librdkafka forgets topics. While it does not know one, it divides the messages by
 * itself, in several requests: then one has to go first. */
#define FORGOTTEN_MS (60 * 1000)
/* One that waits for its turn is overtaken once by each of the others, not more often. */
#define OVERTAKEN 4

void
waves_take(struct lane *lane, struct entry *e)
{
	entry_wait(e);
	if (e->row.id > lane->loaded_id)
		lane->loaded_id = e->row.id;
	partition_queue_put(division_find(&lane->division, e), e);
}

/* It is in nobody's hands, and goes again in a moment. */
static void
pause_queue(struct entry *e, const struct delivery *d)
{
	e->lane->taken_ms = 0;
	partition_queue_pause(e->queue, loop_now_ms(e->sender->loop) + AGAIN_MS);
	entry_again(e, d->text);
}

/* Hands over the first that waits. False: not now. */
static bool
send_first(struct partition_queue *q, struct entry *e)
{
	struct delivery failed;
	enum kp_err err = entry_send(e, &failed);

	if (err == KP_EBUSY)
		return false;
	if (err && !doubt_failed(&e->lane->doubt, &failed, loop_now_ms(e->sender->loop))) {
		pause_queue(e, &failed);
		return false;
	}
	if (err) {
		partition_queue_take_out(e);
		entry_hopeless(e, err, failed.text);
		return true;
	}
	partition_queue_sent(q);
	return true;
}

static void
send_wave(struct sender *s, struct partition_queue *q)
{
	size_t room = s->waves.request_bytes;
	struct entry *e;

	partition_queue_begin(q, loop_now_ms(s->loop), producer_generation(s->producer),
	    s->waves.done + OVERTAKEN * (s->waves.out + 2));
	while ((e = partition_queue_next(q)) != NULL) {
		size_t bytes = e->row.key.n + e->row.value.n + PRODUCER_OVERHEAD;

		if (partition_queue_wave(q) && bytes > room)
			break;
		if (partition_queue_wave(q) == 1)
			fault_pause("KP_WAVE_PAUSE_US");
		if (!send_first(q, e))
			break;
		room -= bytes < room ? bytes : room;
	}
}

/* Those that will get more than one message now. */
static void
announce_waves(struct lane *lane)
{
	struct division *d = &lane->division;
	struct sender *s = lane->sender;
	int64_t now = loop_now_ms(s->loop);
	bool known = lane->taken_ms && now - lane->taken_ms < FORGOTTEN_MS &&
	    lane->taken_generation == producer_generation(s->producer);

	s->waves.out += (size_t)division_renew(d);
	for (int32_t i = 0; i < d->n_queues; i++)
		if (partition_queue_hold(d->queues[i], now, known && !s->closing))
			for (int32_t p = i; p < d->partitions; p += d->n_queues)
				producer_announce(s->producer, lane->by_name.name, p);
}

/* True when something was sent. */
static bool
send_waves(struct lane *lane)
{
	struct sender *s = lane->sender;
	bool any = false;

	for (int32_t i = 0; i < lane->division.n_queues; i++) {
		struct partition_queue *q = lane->division.queues[i];

		if (!s->closing && partition_queue_may_begin(q, loop_now_ms(s->loop))) {
			send_wave(s, q);
			any = any || partition_queue_is_out(q);
			s->waves.out += partition_queue_is_out(q);
		}
		partition_queue_let_go(q);
	}
	return any;
}

static void
send_ready(struct sender *s)
{
	struct waves *w = &s->waves;
	struct lane *lane;
	bool any = false;

	w->flushing = true;	/* who is answered meanwhile may have more to send */
	STAILQ_FOREACH(lane, &w->ready, ready_link)
		announce_waves(lane);
	producer_hold(s->producer);
	while ((lane = STAILQ_FIRST(&w->ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->ready, ready_link);
		lane->ready = false;
		any |= send_waves(lane);
	}
	producer_let_go(s->producer);
	w->flushing = any;
	if (any)
		producer_flush(s->producer);
}

void
waves_send(struct lane *lane)
{
	struct waves *w = &lane->sender->waves;

	if (!lane->ready)
		STAILQ_INSERT_TAIL(&w->ready, lane, ready_link);
	lane->ready = true;
	if (!w->flushing)
		send_ready(lane->sender);
}

static void
flushed(void *arg)
{
	struct sender *s = arg;

	s->waves.flushing = false;
	send_ready(s);
}

static void
refused(struct entry *e, const struct delivery *d)
{
	unsigned dropped;

	if (partition_queue_refused(e->queue) && log_rate_ok(&e->sender->waves.refused, &dropped))
		log_info("sender request refused topic=%s messages=%zu dropped_lines=%u: %s; half "
		    "of them go next", e->lane->by_name.name,
		    partition_queue_wave(e->queue), dropped, d->text);
	entry_wait(e);
}

/* It may be gone after it. */
static void
settle(struct entry *e, const struct delivery *d)
{
	struct lane *lane = e->lane;
	int64_t now = loop_now_ms(e->sender->loop);
	bool one_of_many = d->shared && partition_queue_wave(e->queue) > 1;

	if (d->err && e->sender->closing) {
		partition_queue_leave(e);
		entry_given_up(e);
	} else if (d->err == KP_OK) {
		lane->taken_ms = lane->moved_ms = now;
		lane->taken_generation = partition_queue_generation(e->queue);
		doubt_end(&lane->doubt);
		partition_queue_leave(e);
		entry_done(e, d);
	} else if (d->of_time && stamp_refused(&lane->stamp, lane->by_name.name, e->row.accepted_ms,
	    e->stamp_ms, clock_wall_ms(), now)) {
		entry_wait(e);
	} else if (one_of_many) {
		refused(e, d);
	} else if (doubt_failed(&lane->doubt, d, now)) {
		partition_queue_leave(e);
		entry_hopeless(e, d->err, d->text);
	} else {
		pause_queue(e, d);
	}
}

static void
delivered(void *arg, void *opaque, const struct delivery *d)
{
	struct entry *e = opaque;
	struct lane *lane = e->lane;
	struct waves *w = &lane->sender->waves;
	struct partition_queue *q = e->queue;

	(void)arg;
	partition_queue_reported(q);
	settle(e, d);
	if (!partition_queue_is_out(q)) {
		w->out--;
		w->done++;
		partition_queue_end(q, w->request_messages);
		waves_send(lane);
	}
	if (lane->backlog)
		lane_load(lane);
}

static int32_t
place(void *opaque, int32_t partitions, int32_t proposed)
{
	struct entry *e = opaque;

	return division_place(&e->lane->division, e, partitions, proposed);
}

bool
waves_open(struct sender *s, struct kafka *k)
{
	STAILQ_INIT(&s->waves.ready);
	s->producer = producer_new(s->loop, k, &(struct producer_conf){ .flushed = flushed,
	    .delivered = delivered, .place = place, .arg = s });
	if (s->producer)
		producer_request(s->producer, &s->waves.request_messages,
		    &s->waves.request_bytes);
	return s->producer != NULL;
}

void
waves_end(struct lane *lane)
{
	for (int32_t i = 0; i < lane->division.n_queues; i++) {
		struct entry *e;

		while ((e = partition_queue_waiting(lane->division.queues[i])) != NULL) {
			partition_queue_take_out(e);
			entry_given_up(e);
		}
	}
}
