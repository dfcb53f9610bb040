/*
 * A group from the first request for it to its end, its renewal in between, and the one tick that
 * looks after everything that waits for time to pass.
 */
#include "helper/consume/group_life.h"

#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_set.h"
#include "helper/consume/group_state.h"
#include "helper/consume/group_wait.h"

#define TICK_MS 250
/* Topics that a consumer may have left behind: in a quiet moment, and so many times as many
 * in any. */
#define NAMES_MAX 1000
#define NAMES_HARD 4

/* ---- what others may know of it ---- */

int64_t
group_now_ms(const struct group *g)
{
	return loop_now_ms(g->gs->env.loop);
}

bool
group_is_member(const struct group *g)
{
	return g->gs->env.ops->attach != NULL;
}

bool
group_usable(const struct group *g)
{
	const struct coordination_ops *ops = g->gs->env.ops;

	return g->coord && (ops->usable == NULL || ops->usable(g->coord));
}

bool
group_is_closing(const struct group *g)
{
	return g->gs->closing;
}

struct consumer *
group_consumer(const struct group *g)
{
	return g->consumer;
}

int64_t
group_throttled_ms(const struct group *g)
{
	return g->consumer ? consumer_throttled_ms(g->consumer) : 0;
}

struct coordination *
group_coord(const struct group *g)
{
	return g->coord;
}

void
group_release(struct group *g, const char *topic, int32_t partition)
{
	g->gs->env.ops->released(g->coord, topic, partition);
}

/* ---- from its beginning to its end ---- */

static void
ready(void *arg)
{
	struct group *g = arg;

	for (struct gtopic *t = g->topics; t; t = t->next)
		topic_serve(t);
}

static void
arrived(void *owner)
{
	gpart_ready(owner);
}

static void
slept(void *owner)
{
	struct gpart *p = owner;

	p->t->slept = true;
}

struct consumer *
group_new_consumer(struct group *g)
{
	static const struct consumer_events events = { arrived, slept, ready,
	    group_goes_down };
	struct groups *gs = g->gs;

	g->left_names = 0;
	group_note_peers(g);
	return consumer_new(gs->env.loop, gs->env.kafka, g->name, group_is_member(g),
	    &gs->budget, &events, g);
}

static enum kp_err
group_open(struct group *g)
{
	static const struct coordination_events coordination_events = {
		gpart_claimed, gpart_revoke, gpart_lost
	};
	struct groups *gs = g->gs;
	enum kp_err err;

	if (g->consumer == NULL)
		g->consumer = group_new_consumer(g);
	if (g->consumer == NULL)
		return KP_ENOMEM;
	err = gs->env.ops->open(&gs->env.coordination, g->name, &coordination_events, g,
	    &g->coord);
	if (err == KP_OK && group_is_member(g))
		err = gs->env.ops->attach(g->coord, g->consumer);
	if (err)
		g->coord = NULL;
	else
		log_info("group opened group=%s coordination=%s", g->name, gs->env.ops->name);
	return err;
}

static void
group_free(struct group *g)
{
	struct groups *gs = g->gs;
	struct group **at = &gs->list;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	gs->n--;
	group_commit_forget(g);
	group_forget_probe(g);
	if (g->consumer) {
		consumer_free(g->consumer);
		log_info("group closed group=%s", g->name);
	}
	free(g);
	if (gs->closing && gs->list == NULL) {
		loop_timer_end(&gs->tick);
		gs->closed(gs->closed_arg);
	}
}

/* Who waits hears of a failure at the deadline; the tick tries again. */
static void
reopen(struct group *g)
{
	g->reopen_ms = group_now_ms(g) + RETRY_MS;
	if (group_open(g) != KP_OK)
		return;
	for (struct gtopic *t = g->topics, *next; t; t = next) {
		next = t->next;
		topic_ask(t);
	}
}

/* The coordination has left. Requests may have come meanwhile. */
static void
group_left(void *arg)
{
	struct group *g = arg;

	g->closing = false;
	g->coord = NULL;
	if (g->topics == NULL) {
		group_free(g);
		return;
	}
	/* A member that has left is of no use any more. */
	if (group_is_member(g) || g->renewing) {
		consumer_free(g->consumer);
		g->consumer = NULL;
		group_commit_forget(g);
		group_forget_probe(g);
	}
	g->renewing = false;
	group_left_lost(g);
	reopen(g);
}

static void
leave(struct group *g)
{
	g->closing = true;
	g->gs->env.ops->close(g->coord, group_left, g);
}

void
group_step(struct group *g)
{
	if (g->topics || g->closing || g->coord == NULL || g->own_sets > 0)
		return;
	leave(g);
}

struct group *
group_find(struct groups *gs, struct kp_slice name)
{
	struct group *g = gs->list;

	while (g && !kp_slice_eq(name, kp_slice_str(g->name)))
		g = g->next;
	return g;
}

struct group *
group_new(struct groups *gs, struct kp_slice name)
{
	struct group *g = gs->n < GROUPS_MAX ? calloc(1, sizeof(*g)) : NULL;

	if (g == NULL)
		return NULL;
	g->gs = gs;
	memcpy(g->name, name.p, name.n);
	g->next = gs->list;
	gs->list = g;
	gs->n++;
	if (group_open(g) != KP_OK) {
		group_free(g);
		return NULL;
	}
	return g;
}

/* ---- renewal ---- */

void
group_renew(struct group *g)
{
	if (g->renewing || g->closing || g->coord == NULL)
		return;
	log_warn("group starts anew group=%s", g->name);
	g->renewing = true;
	g->renewed_ms = group_now_ms(g);
	for (struct gtopic *t = g->topics, *next; t; t = next) {
		next = t->next;
		if (t->state == TOPIC_ACTIVE)
			topic_leave(t);
	}
}

bool
group_renewed_within(const struct group *g, int64_t ms)
{
	return g->renewed_ms && group_now_ms(g) - g->renewed_ms < ms;
}

static bool
is_quiet(const struct group *g)
{
	for (const struct gtopic *t = g->topics; t; t = t->next) {
		if (t->waiting.n || t->acks.n)
			return false;
		for (const struct gpart *p = t->parts; p; p = p->next)
			if (p->offers.n)
				return false;
	}
	return true;
}

/* librdkafka asks for every topic that a handle ever knew, again and again, and keeps it for
 * the life of the handle. */
static void
renew_grown(struct group *g)
{
	unsigned most = (unsigned)fault_number("KP_NAMES_MAX", NAMES_MAX);

	if (g->left_names < most || (g->left_names < NAMES_HARD * most && !is_quiet(g)))
		return;
	log_info("group has left many topics group=%s topics=%u", g->name, g->left_names);
	group_renew(g);
}

/* Once its topics wait to be joined again. */
static void
renew_step(struct group *g)
{
	if (!g->renewing || g->closing || g->coord == NULL || g->topics == NULL ||
	    group_commit_busy(g) || g->own_sets > 0)
		return;
	for (const struct gtopic *t = g->topics; t; t = t->next)
		if (t->state != TOPIC_ASKING || t->ask_out)
			return;
	leave(g);
}

/* ---- the tick ---- */

static void
tick(void *arg)
{
	struct groups *gs = arg;
	int64_t now = loop_now_ms(gs->env.loop);

	for (struct group *g = gs->list, *next_g; g; g = next_g) {
		next_g = g->next;
		if (g->coord == NULL && g->topics == NULL) {
			group_free(g);
			continue;
		}
		if (g->coord == NULL && now >= g->reopen_ms)
			reopen(g);
		group_find_kafka(g, now);
		renew_grown(g);
		renew_step(g);
		group_commit_tick(g, now);
		group_run_sets(g);
		group_tick_down(g);
		group_tick_fenced(g);
		for (struct gtopic *t = g->topics, *next; t; t = next) {
			next = t->next;
			topic_tick(t, now);
		}
	}
	consumer_squeeze(&gs->budget, now);
	groups_look(gs);
}

void
groups_tick_soon(struct groups *gs)
{
	loop_timer_set(gs->env.loop, &gs->tick, 0, TICK_MS, tick, gs);
}

void
group_tick_soon(struct group *g)
{
	groups_tick_soon(g->gs);
}
