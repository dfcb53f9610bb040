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

#include "common/clock.h"
#include "helper/produce/sender_state.h"

/* The limit may be another one by now. */
#define KNOWN_MS (10 * 60 * 1000)
#define TELL_MS (60 * 1000)
/* What was sent with the present time and refused at once is refused whatever its time is. */
#define LATE_MS 1000

static bool
is_too_old(const struct lane *lane, int64_t age_ms)
{
	return lane->old_seen_ms && age_ms >= lane->old_ms &&
	    loop_now_ms(lane->sender->loop) - lane->old_seen_ms < KNOWN_MS;
}

int64_t
stamp_of(const struct entry *e)
{
	int64_t now = clock_wall_ms(), own = e->row.accepted_ms;

	return own <= 0 || is_too_old(e->lane, llabs(now - own)) ? now : own;
}

static void
tell(struct lane *lane, int64_t age_ms, int64_t now)
{
	if (lane->old_told_ms && now - lane->old_told_ms < TELL_MS)
		return;
	lane->old_told_ms = now;
	log_warn("sender messages are older than the broker takes topic=%s age_ms=%lld: they are "
	    "sent with the present time; see --onOldTimestamp", lane->name, (long long)age_ms);
}

bool
stamp_refused(struct entry *e)
{
	struct lane *lane = e->lane;
	int64_t age = llabs(clock_wall_ms() - e->stamp_ms), now = loop_now_ms(e->sender->loop);

	if (e->sender->old_times_die)
		return false;
	if (e->stamp_ms != e->row.accepted_ms)
		return age >= LATE_MS;
	if (!is_too_old(lane, age))
		lane->old_ms = age - age / 8;
	lane->old_seen_ms = now;
	tell(lane, age, now);
	return true;
}
