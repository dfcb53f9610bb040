/*
 * Groups: from the first request for one to its end, and the one tick that looks
 * after everything that waits for time to pass.
 */
#include "helper/consume/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_state.h"

/* Topics that a consumer may have left behind: in a quiet moment, and so many times as many
 * in any. */
#define NAMES_MAX 1000
#define NAMES_HARD 4
/* Threads for another group come free when one has not been asked for 20 s. */
#define FULL_RETRY_S 5

static int64_t
now_ms(const struct groups *gs)
{
	return loop_now_ms(gs->env.loop);
}

/* ---- groups ---- */

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

struct consumer *
group_consumer(struct group *g)
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
		g->consumer = group_consumer(g);
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
	g->reopen_ms = now_ms(g->gs) + RETRY_MS;
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

void
group_renew(struct group *g)
{
	if (g->renewing || g->closing || g->coord == NULL)
		return;
	log_warn("group starts anew group=%s", g->name);
	g->renewing = true;
	g->renewed_ms = now_ms(g->gs);
	for (struct gtopic *t = g->topics, *next; t; t = next) {
		next = t->next;
		if (t->state == TOPIC_ACTIVE)
			topic_leave(t);
	}
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

static struct group *
group_find(struct groups *gs, struct kp_slice name)
{
	struct group *g = gs->list;

	while (g && !kp_slice_eq(name, kp_slice_str(g->name)))
		g = g->next;
	return g;
}

static struct group *
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

/* ---- requests ---- */

/* The topic of the group that is asked for. NULL: the op was answered. */
static struct gtopic *
topic_for(struct groups *gs, const struct request *r)
{
	struct kp_slice topic = r->m.topic;
	struct group *g = group_find(gs, r->m.group);
	struct gtopic *t = NULL;
	char name[TOPIC_MAX + 1], why[TEXT_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", (int)topic.n, (const char *)topic.p);
	if (g == NULL && !gs->closing)
		g = group_new(gs, r->m.group);
	if (g) {
		t = topic_find(g, name);
		if (t == NULL && !gs->closing)
			t = topic_new(g, topic);
	}
	if (t)
		return t;
	if (gs->closing)
		op_fail(r->op, KP_EUNAVAIL, 2, "%s", GROUPS_CLOSING);
	else if (g == NULL && gs->n < GROUPS_MAX &&
	    kafka_is_full(gs->env.kafka, why, sizeof(why)))
		op_fail(r->op, KP_EUNAVAIL, FULL_RETRY_S, "%s", why);
	else
		op_fail(r->op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
	return NULL;
}

void
groups_request(struct groups *gs, struct request *r)
{
	struct gtopic *t;

	/* It may have been asked for before the end began. */
	if (gs->closing && r->op->type == MSG_CONSUME) {
		op_fail(r->op, KP_EUNAVAIL, 2, "%s", GROUPS_CLOSING);
		return;
	}
	t = topic_for(gs, r);
	if (t == NULL)
		return;
	r->t = t;
	if (r->m.ack)
		topic_ack(t, r);
	else
		topic_wait(t, r);
}

void
groups_confirm(struct groups *gs, struct op *op, const struct msg_confirm *m)
{
	struct conn_hook *hook = conn_hook_find(op->conn, m->offer);

	(void)gs;
	/* None: it was withdrawn meanwhile, and will be offered again. */
	if (hook)
		offering_end((struct offering *)hook, m->delivered);
	op_end(op);
}

/* Our own share: all there is with a coordination that knows no other host. */
static enum kp_err
own_members(struct groups *gs, const char *topic, const char *group, struct msg_consumers *out)
{
	*out = (struct msg_consumers){ .v = calloc(gs->n + 1, sizeof(*out->v)) };
	if (out->v == NULL)
		return KP_ENOMEM;
	for (struct group *g = gs->list; g; g = g->next) {
		struct gtopic *t = topic_find(g, topic);
		struct msg_consumer *c = &out->v[out->n];
		size_t n = 0;

		if (t == NULL || t->parts == NULL || (group && strcmp(g->name, group) != 0))
			continue;
		for (const struct gpart *p = t->parts; p; p = p->next)
			n++;
		c->partitions = calloc(n, sizeof(*c->partitions));
		if (c->partitions == NULL)
			return KP_ENOMEM;
		for (const struct gpart *p = t->parts; p; p = p->next)
			c->partitions[c->n++] = p->partition;
		c->group = kp_slice_str(g->name);
		c->member = kp_slice_str(gs->env.coordination.member);
		out->n++;
	}
	return KP_OK;
}

void
groups_consumers(struct groups *gs, const char *topic, const char *group, int64_t deadline_ms,
    coordination_consumers_fn *answer, void *arg)
{
	struct msg_consumers own;
	enum kp_err err;

	if (gs->closing) {
		answer(arg, KP_EUNAVAIL, GROUPS_CLOSING, NULL);
		return;
	}
	if (gs->env.ops->consumers) {
		gs->env.ops->consumers(&gs->env.coordination, topic, group, deadline_ms, answer,
		    arg);
		return;
	}
	err = own_members(gs, topic, group, &own);
	answer(arg, err, kp_err_text(err), &own);
	msg_consumers_free(&own);
}

const char *
groups_member(const struct groups *gs)
{
	return gs->env.coordination.member;
}

/* ---- the tick ---- */

static void
tick(void *arg)
{
	struct groups *gs = arg;
	int64_t now = now_ms(gs);

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

/* ---- life ---- */

struct groups *
groups_new(const struct groups_env *env)
{
	struct groups *gs = calloc(1, sizeof(*gs));

	if (gs) {
		gs->env = *env;
		budget_init(&gs->budget, env->conf->consume_max_bytes);
		loop_timer_set(env->loop, &gs->tick, TICK_MS, TICK_MS, tick, gs);
	}
	return gs;
}

void
groups_close(struct groups *gs, void (*done)(void *arg), void *arg)
{
	gs->closing = true;
	gs->closed = done;
	gs->closed_arg = arg;
	if (gs->list == NULL) {
		loop_timer_end(&gs->tick);
		done(arg);
		return;
	}
	for (struct group *g = gs->list; g; g = g->next)
		for (struct gtopic *t = g->topics, *next; t; t = next) {
			next = t->next;
			topic_fail_waiters(t, KP_EUNAVAIL, GROUPS_CLOSING);
			if (t->state != TOPIC_LEAVING)
				topic_leave(t);
		}
}

void
groups_free(struct groups *gs)
{
	if (gs) {
		loop_timer_end(&gs->tick);
		free(gs);
	}
}
