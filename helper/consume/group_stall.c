/*
 * Partitions that give nothing, although they have messages: who waits is told so, and
 * the group starts anew. A broker may answer every question and send no message. And
 * librdkafka (to 2.15 at least) may read from a broker that does not lead, for good: when
 * the leader changes and is the old one again before that one's thread has let go of the
 * partition, it goes to the other one, and counts as read from a follower by choice.
 *
 * Such a one was short of the end twice, at the same position, while somebody waited, who
 * takes what there is at once. The end is where an open transaction begins. Where it is so
 * again after the group has started anew, that is not done once more: then what is there
 * cannot be read, and nobody says so.
 */
#include "helper/consume/group_stall.h"

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_topic.h"
#include "helper/kafka/kafka_admin.h"

#define STALL_MS 10000
#define STALL_EACH_MS 5			/* a partition: thousands take turns */
/* Hosts that share the group notice it: not too often, when it is of no use. */
#define RENEW_MS (10 * 60 * 1000)

void
stall_reset(struct gpart_stall *s)
{
	s->behind_at = -1;
	s->stalled = false;
}

void
stall_gave(struct gpart_stall *s)
{
	s->stalled = false;
}

static bool
wants_messages(const struct gpart *p)
{
	return p->state == GPART_ACTIVE && !p->astray && !offers_full(&p->offers) &&
	    !consumer_waits_for_room(p->reader) && consumer_unfit(p->reader) == NULL;
}

/* A quota of the brokers: it gives nothing, and would not to a new consumer. */
static bool
is_throttled(struct gtopic *t)
{
	if (group_throttled_ms(t->g) == 0)
		return false;
	for (struct gpart *p = t->parts; p; p = p->next)
		stall_reset(&p->stall);
	return true;
}

struct partition_offsets *
stall_begin(struct gtopic *t, int64_t now_ms, size_t *n)
{
	struct partition_offsets *v;

	*n = 0;
	if (is_throttled(t) || t->waiting.n == 0 || now_ms - t->stall.asked_ms <
	    fault_number("KP_STALL_MS", STALL_MS) + (int64_t)t->n_partitions * STALL_EACH_MS)
		return NULL;
	v = topic_pick(t, wants_messages, n);
	if (v)
		t->stall.asked_ms = now_ms;
	return v;
}

/* True when it is so. */
static bool
see_end(struct gpart *p, int64_t end)
{
	int64_t at = consumer_position(p->reader);
	int64_t behind = at < end ? consumer_progress(p->reader) : -1;

	if (behind < 0 || behind != p->stall.behind_at) {
		p->stall.behind_at = behind;
		p->stall.stalled = false;
		return false;
	}
	if (!p->stall.stalled)
		log_warn("partition stalls group=%s topic=%s partition=%d offset=%lld end=%lld: it "
		    "has messages and gives none", p->t->group, p->t->name, p->partition,
		    (long long)at, (long long)end);
	p->stall.stalled = true;
	return true;
}

static uint64_t
mix(uint64_t h, const struct gpart *p)
{
	h = (h ^ (uint64_t)p->partition) * UINT64_C(1099511628211);
	return (h ^ (uint64_t)p->stall.behind_at) * UINT64_C(1099511628211);
}

void
stall_end(struct gtopic *t, const struct partition_offsets *v, size_t n)
{
	uint64_t where = 0;

	if (is_throttled(t))
		return;
	for (size_t i = 0; i < n && t->waiting.n; i++) {
		struct gpart *p = gpart_find(t, v[i].partition);

		if (p && wants_messages(p) && see_end(p, v[i].end))
			where = mix(where + 1, p);
	}
	t->stall.stuck = where && where == t->stall.at;
	if (where && !t->stall.stuck && !group_renewed_within(t->g, RENEW_MS)) {
		t->stall.at = where;
		group_renew(t->g);
	}
}
