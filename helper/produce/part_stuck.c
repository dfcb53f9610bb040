/*
 * Waves that are never reported: librdkafka may lose sight of a leader that changes at the
 * wrong moment. They are told from those that only wait, for a leader or for their turn.
 */
#include "helper/produce/sender_state.h"

/* A wave that is older is asked about. */
#define LATE_MS (PRODUCER_STUCK_MS / 4)

static bool
is_late(const struct lane *lane, const struct part *part, int64_t ms)
{
	return part->unreported && loop_now_ms(lane->sender->loop) - part->sent_ms > ms;
}

bool
parts_late(const struct lane *lane)
{
	for (int32_t i = 0; i < lane->n_parts; i++)
		if (is_late(lane, &lane->parts[i], LATE_MS))
			return true;
	return false;
}

int64_t
parts_unreported_ms(const struct lane *lane)
{
	unsigned generation = producer_generation(lane->sender->producer);
	int64_t since = 0;

	for (int32_t i = 0; i < lane->n_parts; i++) {
		const struct part *part = &lane->parts[i];

		if (part->unreported && part->generation == generation &&
		    (since == 0 || part->sent_ms < since))
			since = part->sent_ms;
	}
	return since;
}

/* A broker that is slow with all partitions is no reason. */
static bool
is_passed_over(const struct sender *s, const struct part *part)
{
	return s->waves_done >= part->overtaken_at ||
	    loop_now_ms(s->loop) - s->delivered_ms >= PRODUCER_STUCK_MS;
}

bool
parts_stuck(struct lane *lane, const struct kafka_list *list)
{
	int64_t now = loop_now_ms(lane->sender->loop);
	bool stuck = false;

	for (int32_t i = 0; i < lane->n_parts; i++) {
		struct part *part = &lane->parts[i];
		bool led = is_late(lane, part, LATE_MS) &&
		    kafka_list_led(list, lane->name, lane->partitions ? i : -1);

		part->led_ms = !led ? 0 : part->led_ms ? part->led_ms : now;
		stuck |= led && is_late(lane, part, PRODUCER_STUCK_MS) &&
		    is_passed_over(lane->sender, part) &&
		    now - part->led_ms >= PRODUCER_STUCK_MS - 2 * LATE_MS;
	}
	return stuck;
}
