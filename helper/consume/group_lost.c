/*
 * A group whose consumer does not find Kafka any more, although others do: it gets a new one,
 * by the names of --kafkaPeers. librdkafka learns where brokers are, and learns it anew from
 * those that it can still reach; but it keeps the address of a group's coordinator for as long
 * as that is the same broker, so that a broker that comes back elsewhere takes no commit and
 * no member any more, and neither says so in the end.
 *
 * Where brokers do not manage the group, the new consumer takes the place of the old one
 * and nothing else changes. A member leaves and joins again.
 */
#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_state.h"

/* Of no use twice in a row: not so soon again. */
#define WAIT_MAX_MS (10 * 60 * 1000)

static int64_t
older(int64_t a, int64_t b)
{
	return a == 0 || (b && b < a) ? b : a;
}

/* Since when Kafka ought to have answered it, 0: it does. */
static int64_t
lost_since(const struct group *g)
{
	return older(older(g->uncommitted_ms, g->down_ms), g->unjoined_ms);
}

/* Not joined while others divide the partitions is no reason. Who has been thrown out has had no
 * answer for a while before. */
static void
see_membership(struct group *g, int64_t now)
{
	const struct coordination_ops *ops = g->gs->env.ops;
	bool out = ops->joined && !ops->joined(g->coord) && consumer_is_refused(g->consumer);

	g->unjoined_ms = !out ? 0 : g->unjoined_ms ? g->unjoined_ms : now - KAFKA_LOST_MS / 2;
}

/* The part goes on where it is. */
static void
hand_over(struct gpart *p, struct consumer *next)
{
	struct consumer_part *reader = consumer_add(next, p->t->name, p->partition,
	    consumer_position(p->reader), p);

	if (reader == NULL && p->state == GPART_ACTIVE) {
		gpart_restart(p);
	} else if (reader == NULL) {
		gpart_withdraw(p);
	} else {
		consumer_remove(p->reader);
		p->reader = reader;
		gpart_ready(p);
	}
}

void
group_change_consumer(struct group *g)
{
	struct consumer *next = group_consumer(g), *before = g->consumer;

	if (next == NULL)
		return;
	consumer_give_up_commits(before);
	g->consumer = next;
	for (struct gtopic *t = g->topics; t; t = t->next)
		for (struct gpart *p = t->parts; p; p = p->next)
			if (p->reader)
				hand_over(p, next);
	consumer_free(before);
}

static void
change(struct group *g)
{
	if (group_is_member(g))
		group_renew(g);
	else
		group_change_consumer(g);
}

/* What was sent, and may still be on its way, counts as not committed. */
static void
renew(struct group *g, int64_t now)
{
	log_warn("group does not find kafka, and others do group=%s: it gets a new consumer",
	    g->name);
	g->lost_wait_ms = g->lost_wait_ms == 0 ? KAFKA_LOST_MS :
	    g->lost_wait_ms < WAIT_MAX_MS ? 2 * g->lost_wait_ms : WAIT_MAX_MS;
	g->lost_ms = now;
	if (group_is_member(g))
		consumer_give_up_commits(g->consumer);
	g->uncommitted_ms = g->down_ms = g->unjoined_ms = 0;
	g->down = false;
	g->lost = group_is_member(g);
	change(g);
}

void
group_find_kafka(struct group *g, int64_t now)
{
	int64_t since;

	if (g->coord == NULL || g->consumer == NULL || g->closing || g->renewing)
		return;
	if (g->peers != kafka_peers_generation(kafka_peers(g->gs->env.kafka))) {
		log_info("group gets a new consumer group=%s: the brokers to be asked have "
		    "changed", g->name);
		change(g);
		return;
	}
	see_membership(g, now);
	since = lost_since(g);
	if (since == 0) {
		if (now - g->lost_ms > KAFKA_LOST_MS)
			g->lost_wait_ms = 0;
		return;
	}
	if (kafka_reach_lost(g->gs->env.reach, since) && now - g->lost_ms >= g->lost_wait_ms)
		renew(g, now);
}
