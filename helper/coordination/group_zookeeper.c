/*
 * --coordination zookeeper: hosts share a group by registrations and owner nodes below
 * /consumers/<group>, in the layout of Kafka-Pixy and of the 0.8 high-level consumer.
 *
 * Here are the interface and what the session tells. What the group is told (claimed,
 * revoke, lost) comes from answers, from the session and from the pump, which runs what
 * is due in the next turn of the loop: never from inside a call of the interface.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_out.h"
#include "helper/coordination/group_zookeeper_state.h"

#define LIMIT_MS 5000			/* for close() */
#define RETRY_OTHERS_S 5		/* ZooKeeper, or another member, must do something first */

void
group_path(const struct coordination *c, char path[PATH_CAP], const char *format, ...)
{
	int n = snprintf(path, PATH_CAP, "%s", c->base);
	va_list ap;

	va_start(ap, format);
	vsnprintf(path + n, PATH_CAP - (size_t)n, format, ap);
	va_end(ap);
}

static struct ztopic *
topic_find(struct coordination *c, const char *name)
{
	struct ztopic *t = c->topics;

	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	return t;
}

static void
topic_free(struct ztopic *t)
{
	claims_free(t);
	free(t);
}

/* Topics that are given up, once nothing of them is held. */
static void
drop_topics(struct coordination *c)
{
	struct ztopic **at = &c->topics, *t;
	char path[PATH_CAP];

	while ((t = *at) != NULL) {
		if (t->subscribed || !claims_none(t)) {
			at = &t->next;
			continue;
		}
		/* Fails, as it should, when others have claims there. */
		group_path(c, path, "/owners/%s", t->name);
		zk_delete(c->u, path, -1, NULL, NULL);
		*at = t->next;
		topic_free(t);
	}
}

static void
coordination_free(struct coordination *c)
{
	loop_timer_end(&c->timer);
	loop_timer_end(&c->retry);
	loop_timer_end(&c->limit);
	if (c->u)
		zk_detach(c->u);
	c->u = NULL;
	members_forget(c);
	while (c->topics) {
		struct ztopic *t = c->topics;

		c->topics = t->next;
		topic_free(t);
	}
	if (c->pumping)
		c->freed = true;	/* by the pump */
	else
		free(c);
}

/* What could not be undone is left to the session, which may connect again. */
static void
finish(void *arg)
{
	struct coordination *c = arg;
	void (*done)(void *) = c->done;
	void *done_arg = c->done_arg;
	char path[PATH_CAP];

	if (c->maybe_registered) {
		members_path(c, path);
		zk_abandon(c->env->zk, path);
	}
	for (struct ztopic *t = c->topics; t; t = t->next)
		claims_abandon(t);
	coordination_free(c);
	done(done_arg);
}

static void
pump_run(struct loop_task *task)
{
	struct coordination *c = loop_owner(task, struct coordination, pump);

	c->pumping = false;
	if (c->freed) {
		free(c);
		return;
	}
	if (c->step != STEP_AWAY) {
		claims_step(c);
		drop_topics(c);
		if (c->step == STEP_IDLE && c->topics == NULL && c->tidy)
			members_enter(c, STEP_LEAVE);
	}
	if (c->closing && (c->step == STEP_AWAY || (c->step == STEP_IDLE && c->topics == NULL)))
		finish(c);
}

void
group_pump(struct coordination *c)
{
	if (c->pumping)
		return;
	c->pumping = true;
	c->pump.run = pump_run;
	loop_post(c->env->loop, &c->pump);
}

/*
 * The session.
 */

/* The old session's nodes are gone with it. */
static void
session_ended(struct coordination *c)
{
	c->registered = 0;
	c->maybe_registered = false;
	claims_lost(c, true);
}

static void
session_down(struct coordination *c)
{
	zk_forget(c->u);
	loop_timer_end(&c->retry);
	c->retrying = false;
	c->fresh = false;
	members_enter(c, STEP_AWAY);
	members_forget(c);
	claims_down(c);
}

static void
session_up(struct coordination *c)
{
	if (c->session_count != zk_session_count(c->env->zk)) {
		session_ended(c);
		members_name(c);
	}
	members_enter(c, STEP_REGISTER);
	group_pump(c);
}

static void
on_event(void *arg, enum zk_event e)
{
	struct coordination *c = arg;

	switch (e) {
	case ZK_UP:
		session_up(c);
		break;
	case ZK_DOWN:
		session_down(c);
		group_pump(c);
		break;
	case ZK_SUSPECT:
		claims_lost(c, false);
		break;
	case ZK_EXPIRED:
		session_ended(c);
		break;
	}
}

static void
on_watch(void *arg, const char *path)
{
	struct coordination *c = arg;
	size_t n = strlen(c->base);

	if (strncmp(path, c->base, n) != 0 || path[n] != '/')
		return;			/* of another group */
	if (strncmp(path + n, "/ids", 4) == 0)
		members_changed(c);
	else
		claims_changed(c, path + n);
}

/*
 * The interface.
 */

static enum kp_err
zookeeper_open(const struct coordination_env *env, const char *group,
    const struct coordination_events *events, void *arg, struct coordination **out)
{
	struct coordination *c = calloc(1, sizeof(*c));

	*out = c;
	if (c == NULL)
		return KP_ENOMEM;
	c->env = env;
	c->events = events;
	c->arg = arg;
	c->revision = 1;
	snprintf(c->base, sizeof(c->base), "/consumers/%s", group);
	c->u = zk_attach(env->zk, on_event, on_watch, c);
	members_name(c);
	c->step = zk_up(env->zk) ? STEP_IDLE : STEP_AWAY;
	return KP_OK;
}

static enum kp_err
zookeeper_subscribe(struct coordination *c, const char *topic, int32_t n)
{
	struct ztopic *t = topic_find(c, topic);
	bool is_new = t == NULL;
	enum kp_err err;

	if (is_new)
		t = calloc(1, sizeof(*t));
	if (t == NULL)
		return KP_ENOMEM;
	if (t->subscribed && t->n == n)
		return KP_OK;
	t->c = c;
	snprintf(t->name, sizeof(t->name), "%s", topic);
	err = claims_grow(t, n);
	if (err) {
		if (is_new)
			topic_free(t);
		return err;
	}
	if (is_new) {
		t->next = c->topics;
		c->topics = t;
	}
	if (!t->subscribed) {
		t->subscribed = true;
		c->revision++;
	}
	members_topics_changed(c);
	return KP_OK;
}

static void
zookeeper_unsubscribe(struct coordination *c, const char *topic)
{
	struct ztopic *t = topic_find(c, topic);

	if (t == NULL || !t->subscribed)
		return;
	t->subscribed = false;
	c->revision++;
	claims_want(t, 0, 0);
	members_topics_changed(c);
	group_pump(c);
}

static void
zookeeper_released(struct coordination *c, const char *topic, int32_t partition)
{
	struct ztopic *t = topic_find(c, topic);

	if (t)
		claims_released(t, partition);
}

/* Since when this host's share is not settled, kept while nothing is wrong with the
 * session: a rebalance that a lost session goes on with began there. */
static const char *
zookeeper_trouble(struct coordination *c, const char *topic)
{
	struct ztopic *t = topic_find(c, topic);
	const char *why = members_trouble(c);
	char since[JSON_TIME_MAX];

	if (why == NULL && t)
		why = claims_trouble(t);
	if (t && why == NULL)
		t->wall_unsettled_ms = 0;
	else if (t && t->wall_unsettled_ms == 0)
		t->wall_unsettled_ms = clock_wall_ms();
	if (zk_trouble(c->env->zk))
		return zk_trouble(c->env->zk);
	if (why == NULL || t == NULL)
		return why;
	json_time_text(t->wall_unsettled_ms, since);
	snprintf(c->text, sizeof(c->text), "rebalancing since %s: %s", since, why);
	return c->text;
}

static uint32_t
zookeeper_retry_s(struct coordination *c, const char *topic)
{
	const struct ztopic *t = topic_find(c, topic);

	return !zk_up(c->env->zk) || (t && claims_waiting(t)) ? RETRY_OTHERS_S : 1;
}

static void
zookeeper_close(struct coordination *c, void (*done)(void *arg), void *arg)
{
	c->closing = true;
	c->done = done;
	c->done_arg = arg;
	loop_timer_set(c->env->loop, &c->limit, LIMIT_MS, 0, finish, c);
	group_pump(c);
}

const struct coordination_ops coordination_zookeeper = {
	.name = "zookeeper",
	.open = zookeeper_open,
	.subscribe = zookeeper_subscribe,
	.unsubscribe = zookeeper_unsubscribe,
	.released = zookeeper_released,
	.trouble = zookeeper_trouble,
	.dates_trouble = true,
	.retry_s = zookeeper_retry_s,
	.close = zookeeper_close,
	.consumers = group_zookeeper_consumers,
};
