/*
 * The time that a message is sent with: that of its acceptance, unless brokers refuse that of
 * its topic. They may have a limit for the age of a message, which we do not know, and say
 * that there is one in the batch that is past it.
 *
 * Each refusal shows an age that is too much. What is seven eighths as old goes with the
 * present time from then on, so that few refusals come near to the limit, and not one for
 * each message that waited. A time that lies ahead is as far away as one in the past.
 */
#include "helper/produce/stamp.h"

#include <stdlib.h>

#include "common/log.h"

/* The limit may be another one by now. */
#define KNOWN_MS (10 * 60 * 1000)
#define TELL_MS (60 * 1000)
/* What was sent with the present time and refused at once is refused whatever its time is. */
#define LATE_MS 1000

static bool
is_too_old(const struct stamp *s, int64_t age_ms, int64_t now_ms)
{
	return s->seen_ms && age_ms >= s->old_ms && now_ms - s->seen_ms < KNOWN_MS;
}

int64_t
stamp_of(const struct stamp *s, int64_t accepted_ms, int64_t wall_ms, int64_t now_ms)
{
	bool own = accepted_ms > 0 && !is_too_old(s, llabs(wall_ms - accepted_ms), now_ms);

	return own ? accepted_ms : wall_ms;
}

static void
tell(struct stamp *s, const char *topic, int64_t age_ms, int64_t now_ms)
{
	if (s->told_ms && now_ms - s->told_ms < TELL_MS)
		return;
	s->told_ms = now_ms;
	log_warn("sender messages are older than the broker takes topic=%s age_ms=%lld: they are "
	    "sent with the present time; see --onOldTimestamp", topic, (long long)age_ms);
}

bool
stamp_refused(struct stamp *s, const char *topic, int64_t accepted_ms, int64_t sent_ms,
    int64_t wall_ms, int64_t now_ms)
{
	int64_t age = llabs(wall_ms - sent_ms);

	if (s->fixed)
		return false;
	if (sent_ms != accepted_ms)
		return age >= LATE_MS;
	if (!is_too_old(s, age, now_ms))
		s->old_ms = age - age / 8;
	s->seen_ms = now_ms;
	tell(s, topic, age, now_ms);
	return true;
}
