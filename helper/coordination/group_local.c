/*
 * --coordination local: this host takes all partitions, because it is the only one.
 * What the group is told is posted, never called from inside the interface.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/coordination/coordination.h"

enum local_state {
	LOCAL_FREE,
	LOCAL_CLAIM,			/* to be told */
	LOCAL_HELD,
	LOCAL_REVOKE,			/* to be told */
	LOCAL_REVOKED,
};

struct local_topic {
	struct local_topic *next;
	char name[TOPIC_MAX + 1];
	int32_t wanted;			/* partitions, while it is subscribed; else 0 */
	int32_t n;			/* it has, or had */
	unsigned char *states;		/* enum local_state, a partition each */
};

struct coordination {
	const struct coordination_env *env;
	const struct coordination_events *events;
	void *arg;
	struct local_topic *topics;
	struct loop_task task;
	bool posted;
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
};

static struct local_topic *
topic_find(struct coordination *c, const char *name)
{
	struct local_topic *t = c->topics;

	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	return t;
}

/* Tells what is due. The group may call back in: topics are added in front, the states
 * may move, and nothing goes. */
static void
tell(struct coordination *c, struct local_topic *t)
{
	for (int32_t i = 0; i < t->n; i++) {
		if (t->states[i] == LOCAL_CLAIM) {
			t->states[i] = LOCAL_HELD;
			c->events->claimed(c->arg, t->name, i);
		} else if (t->states[i] == LOCAL_REVOKE) {
			t->states[i] = LOCAL_REVOKED;
			c->events->revoke(c->arg, t->name, i);
		}
	}
}

static void
coordination_free(struct coordination *c)
{
	while (c->topics) {
		struct local_topic *t = c->topics;

		c->topics = t->next;
		free(t->states);
		free(t);
	}
	free(c);
}

static void
task_run(struct loop_task *task)
{
	struct coordination *c = loop_owner(task, struct coordination, task);
	void (*done)(void *) = c->done;
	void *done_arg = c->done_arg;

	c->posted = false;
	if (c->closing) {
		coordination_free(c);
		done(done_arg);
		return;
	}
	for (struct local_topic *t = c->topics; t; t = t->next)
		tell(c, t);
}

static void
post(struct coordination *c)
{
	if (c->posted)
		return;
	c->posted = true;
	c->task.run = task_run;
	loop_post(c->env->loop, &c->task);
}

static enum kp_err
local_open(const struct coordination_env *env, const char *group,
    const struct coordination_events *events, void *arg, struct coordination **out)
{
	struct coordination *c = calloc(1, sizeof(*c));

	(void)group;
	*out = c;
	if (c == NULL)
		return KP_ENOMEM;
	c->env = env;
	c->events = events;
	c->arg = arg;
	return KP_OK;
}

static enum kp_err
topic_grow(struct local_topic *t, int32_t n)
{
	unsigned char *states;

	if (n <= t->n)
		return KP_OK;
	states = realloc(t->states, (size_t)n);
	if (states == NULL)
		return KP_ENOMEM;
	memset(states + t->n, LOCAL_FREE, (size_t)(n - t->n));
	t->states = states;
	t->n = n;
	return KP_OK;
}

static enum kp_err
local_subscribe(struct coordination *c, const char *topic, int32_t n)
{
	struct local_topic *t = topic_find(c, topic);

	if (t == NULL) {
		t = calloc(1, sizeof(*t));
		if (t == NULL)
			return KP_ENOMEM;
		snprintf(t->name, sizeof(t->name), "%s", topic);
		t->next = c->topics;
		c->topics = t;
	}
	if (topic_grow(t, n) != KP_OK)
		return KP_ENOMEM;
	t->wanted = n;
	for (int32_t i = 0; i < n; i++)
		if (t->states[i] == LOCAL_FREE)
			t->states[i] = LOCAL_CLAIM;
		else if (t->states[i] == LOCAL_REVOKE)
			t->states[i] = LOCAL_HELD;
	post(c);
	return KP_OK;
}

static void
local_unsubscribe(struct coordination *c, const char *topic)
{
	struct local_topic *t = topic_find(c, topic);

	if (t == NULL)
		return;
	t->wanted = 0;
	for (int32_t i = 0; i < t->n; i++)
		if (t->states[i] == LOCAL_CLAIM)
			t->states[i] = LOCAL_FREE;
		else if (t->states[i] == LOCAL_HELD)
			t->states[i] = LOCAL_REVOKE;
	post(c);
}

static void
local_released(struct coordination *c, const char *topic, int32_t partition)
{
	struct local_topic *t = topic_find(c, topic);

	if (t == NULL || partition < 0 || partition >= t->n ||
	    t->states[partition] != LOCAL_REVOKED)
		return;
	t->states[partition] = partition < t->wanted ? LOCAL_CLAIM : LOCAL_FREE;
	post(c);
}

static const char *
local_trouble(struct coordination *c, const char *topic)
{
	const struct local_topic *t = topic_find(c, topic);

	if (t == NULL)
		return NULL;
	for (int32_t i = 0; i < t->wanted; i++)
		if (t->states[i] != LOCAL_HELD)
			return "partitions are being taken";
	return NULL;
}

static void
local_close(struct coordination *c, void (*done)(void *arg), void *arg)
{
	c->closing = true;
	c->done = done;
	c->done_arg = arg;
	post(c);
}

const struct coordination_ops coordination_local = {
	.name = "local",
	.open = local_open,
	.subscribe = local_subscribe,
	.unsubscribe = local_unsubscribe,
	.released = local_released,
	.trouble = local_trouble,
	.close = local_close,
	.consumers = NULL,
};
