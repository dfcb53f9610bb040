/*
 * Waves that are never reported: librdkafka may lose sight of a leader that changes at the
 * wrong moment. They are told from those that only wait, for a leader or for their turn.
 */
#include "helper/produce/waves.h"

#include "helper/kafka/kafka_list.h"
#include "helper/produce/sender_state.h"

/* A wave that is older is asked about. */
#define LATE_MS (PRODUCER_STUCK_MS / 4)

bool
waves_late(const struct lane *lane)
{
	int64_t now = loop_now_ms(lane->sender->loop);

	for (int32_t i = 0; i < lane->division.n_queues; i++)
		if (partition_queue_is_late(lane->division.queues[i], now, LATE_MS))
			return true;
	return false;
}

int64_t
waves_unreported_ms(const struct lane *lane)
{
	unsigned generation = producer_generation(lane->sender->producer);
	int64_t since = 0;

	for (int32_t i = 0; i < lane->division.n_queues; i++) {
		int64_t ms = partition_queue_since(lane->division.queues[i], generation);

		if (ms && (since == 0 || ms < since))
			since = ms;
	}
	return since;
}

/* A broker that is slow with all partitions is no reason. */
static bool
is_passed_over(const struct sender *s, const struct partition_queue *q)
{
	return partition_queue_is_overtaken(q, s->waves.done) ||
	    loop_now_ms(s->loop) - s->delivered_ms >= PRODUCER_STUCK_MS;
}

bool
waves_stuck(struct lane *lane, const struct kafka_list *list)
{
	const struct division *d = &lane->division;
	int64_t now = loop_now_ms(lane->sender->loop);
	bool stuck = false;

	for (int32_t i = 0; i < d->n_queues; i++) {
		struct partition_queue *q = d->queues[i];
		bool led = partition_queue_is_late(q, now, LATE_MS) &&
		    kafka_list_led(list, lane->by_name.name, d->partitions ? i : -1);
		int64_t led_ms = partition_queue_led(q, led, now);

		stuck |= led && partition_queue_is_late(q, now, PRODUCER_STUCK_MS) &&
		    is_passed_over(lane->sender, q) &&
		    led_ms >= PRODUCER_STUCK_MS - 2 * LATE_MS;
	}
	return stuck;
}
