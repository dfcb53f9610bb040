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
#include "helper/consume/group_lost.h"

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_state.h"

/* Of no use twice in a row: not so soon again. */
#define WAIT_MAX_MS (10 * 60 * 1000)

void
group_goes_down(void *arg)
{
	struct group *g = arg;

	if (g->lost.down)
		return;
	log_warn("group cannot reach kafka group=%s", g->name);
	g->lost.down = true;
	g->lost.down_ms = group_now_ms(g);
}

static void
goes_up(struct group *g)
{
	g->lost.down = false;
	g->lost.down_ms = 0;
}

static void
probed(void *arg, enum kp_err err)
{
	if (err != KP_EUNAVAIL)
		goes_up(arg);
}

/* By the group's own connections, because a password that was changed keeps them out while
 * older ones live on. */
void
group_tick_down(struct group *g)
{
	if (g->lost.down && g->topics && g->consumer)
		consumer_probe(g->consumer, probed);
}

bool
group_is_cut_off(const struct group *g)
{
	return g->lost.down || g->gs->look.away;
}

bool
group_leaves_lost(const struct group *g)
{
	return g->lost.leaves;
}

void
group_left_lost(struct group *g)
{
	g->lost.leaves = false;
}

void
group_note_peers(struct group *g)
{
	g->lost.peers = kafka_peers_generation(kafka_peers(g->gs->env.kafka));
}

static int64_t
older(int64_t a, int64_t b)
{
	return a == 0 || (b && b < a) ? b : a;
}

/* Since when Kafka ought to have answered it, 0: it does. */
static int64_t
lost_since(const struct group *g)
{
	return older(older(g->commit.unanswered_ms, g->lost.down_ms), g->lost.unjoined_ms);
}

/* Not joined while others divide the partitions is no reason. Who has been thrown out has had no
 * answer for a while before. */
static void
see_membership(struct group *g, int64_t now)
{
	const struct coordination_ops *ops = g->gs->env.ops;
	bool out = ops->joined && !ops->joined(g->coord) && consumer_is_refused(g->consumer);

	if (!out)
		g->lost.unjoined_ms = 0;
	else if (g->lost.unjoined_ms == 0)
		g->lost.unjoined_ms = now - KAFKA_LOST_MS / 2;
}

/* All parts are read on by a new one, from where they are; what is out stays out. Not of a
 * member, whose consumer is what holds them. */
static void
change_consumer(struct group *g)
{
	struct consumer *next = group_new_consumer(g), *before = g->consumer;

	if (next == NULL)
		return;
	consumer_give_up_commits(before);
	g->consumer = next;
	for (struct gtopic *t = g->topics; t; t = t->next)
		for (struct gpart *p = t->parts; p; p = p->next)
			if (p->reader)
				gpart_hand_over(p, next);
	consumer_free(before);
}

static void
change(struct group *g)
{
	if (group_is_member(g))
		group_renew(g);
	else
		change_consumer(g);
}

/* What was sent, and may still be on its way, counts as not committed. */
static void
renew(struct group *g, int64_t now)
{
	log_warn("group does not find kafka, and others do group=%s: it gets a new consumer",
	    g->name);
	g->lost.wait_ms = g->lost.wait_ms == 0 ? KAFKA_LOST_MS :
	    g->lost.wait_ms < WAIT_MAX_MS ? 2 * g->lost.wait_ms : WAIT_MAX_MS;
	g->lost.renewed_ms = now;
	if (group_is_member(g))
		consumer_give_up_commits(g->consumer);
	group_commit_wait_anew(g);
	g->lost.unjoined_ms = 0;
	goes_up(g);
	g->lost.leaves = group_is_member(g);
	change(g);
}

void
group_find_kafka(struct group *g, int64_t now)
{
	int64_t since;

	if (g->coord == NULL || g->consumer == NULL || g->closing || g->renewing)
		return;
	if (g->lost.peers != kafka_peers_generation(kafka_peers(g->gs->env.kafka))) {
		log_info("group gets a new consumer group=%s: the brokers to be asked have "
		    "changed", g->name);
		change(g);
		return;
	}
	see_membership(g, now);
	since = lost_since(g);
	if (since == 0) {
		if (now - g->lost.renewed_ms > KAFKA_LOST_MS)
			g->lost.wait_ms = 0;
		return;
	}
	if (kafka_reach_lost(g->gs->env.reach, since) &&
	    now - g->lost.renewed_ms >= g->lost.wait_ms)
		renew(g, now);
}
