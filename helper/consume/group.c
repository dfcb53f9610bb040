/* What the rest of the helper asks of all groups, and their end. */
#include "helper/consume/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/consume/group_state.h"
#include "helper/consume/group_wait.h"

/* Threads for another group come free when one has not been asked for 20 s. */
#define FULL_RETRY_S 5

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

/* ---- questions ---- */

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

		if (t == NULL || t->parts == NULL || (group && strcmp(g->name, group) != 0))
			continue;
		c->partitions = calloc((size_t)t->n_index, sizeof(*c->partitions));
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

size_t
groups_troubles(struct groups *gs, struct msg_group_trouble *v, size_t cap)
{
	struct msg_group_trouble m;
	size_t n = 0;

	for (struct group *g = gs->list; g; g = g->next)
		for (struct gtopic *t = g->topics; t; t = t->next)
			if (topic_shows_trouble(t, &m)) {
				if (n < cap)
					v[n] = m;
				n++;
			}
	return n;
}

const char *
groups_member(const struct groups *gs)
{
	return gs->env.coordination.member;
}

/* ---- life ---- */

struct groups *
groups_new(const struct groups_env *env)
{
	struct groups *gs = calloc(1, sizeof(*gs));

	if (gs) {
		gs->env = *env;
		budget_init(&gs->budget, env->conf->consume_max_bytes);
		groups_tick_soon(gs);
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
