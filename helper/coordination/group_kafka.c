/*
 * --coordination kafka: the brokers divide the partitions, and the group's own consumer
 * is the member.
 *
 *	OUT -subscribe-> JOINING -assigned-> HOLDING -revoked-> REVOKING -all released-> JOINING
 *
 * A rebalance takes everything back, and gives it, or something else, again: that is
 * the eager protocol. A change of topics is told to Kafka only between rebalances, so
 * that the next assignment is sure to be about them.
 *
 * Metadata of a new topic that comes between two answers of ours makes librdkafka join
 * again without them (rd_kafka_cgrp_revoke_all_rejoin(), 2.0.2 to 2.16). So an assignment
 * may come while REVOKING: it waits until all is released. And in HOLDING a second one
 * replaces the first.
 *
 * Who stood still for half a session (SIGSTOP, a virtual machine that was suspended)
 * may have been thrown out without knowing it yet. So nothing is offered or committed
 * any more, and all that is held starts again: that needs a commit, which brokers only
 * take from a member.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "helper/coordination/group_kafka_consumers.h"
#include "helper/coordination/group_kafka_topics.h"

#define RETRY_MS 500
#define CLOSE_MS 2000

enum kafka_state { KAFKA_OUT, KAFKA_JOINING, KAFKA_HOLDING, KAFKA_REVOKING };

struct claim {
	struct consumer_slot slot;
	bool revoked;			/* the group owes released() */
};

struct claims {
	struct claim *v;		/* NULL: none were given */
	size_t n;
};

struct coordination {
	const struct coordination_env *env;
	const struct coordination_events *events;
	void *arg;
	char *group;
	struct consumer *consumer;
	enum kafka_state state;
	struct ktopics topics;
	struct claims held;
	struct claims next;		/* given while those are still revoked */
	size_t owed;			/* revoked and not released */
	bool telling;			/* inside a loop over claims */
	int64_t session_ms;
	bool again;			/* tell what is held once more */
	bool doubt;			/* we stood still: what is held has to be proved */
	struct loop_pause pause;
	struct loop_timer pump;		/* what must not be done inside the interface */
	bool closing;
	struct loop_timer limit;
	void (*done)(void *arg);
	void *done_arg;
	char error[256];		/* Kafka's words since the last assignment */
	char text[512];			/* trouble() */
};

static void pump(void *arg);

static void
pump_after(struct coordination *c, int64_t ms)
{
	loop_timer_set(c->env->loop, &c->pump, ms, 0, pump, c);
}

static void
enter(struct coordination *c, enum kafka_state next)
{
	static const char *const names[] = { "out", "joining", "holding", "revoking" };

	log_debug("membership group=%s state=%s next=%s", c->group, names[c->state],
	    names[next]);
	c->state = next;
}

/* Only between rebalances. What is held is revoked before the next assignment. */
static void
tell_topics(struct coordination *c)
{
	size_t n;
	const char **names = ktopics_wanted(&c->topics, &n);

	if (names == NULL || consumer_subscribe(c->consumer, names, n) != KP_OK) {
		pump_after(c, RETRY_MS);
	} else {
		ktopics_set_told(&c->topics);
		enter(c, n > 0 || c->held.n > 0 ? KAFKA_JOINING : KAFKA_OUT);
	}
	free(names);
}

/* ---- claims ---- */

static void
claims_clear(struct claims *s)
{
	free(s->v);
	*s = (struct claims){ 0 };
}

static void
tell_claimed(struct coordination *c)
{
	for (size_t i = 0; i < c->held.n; i++)
		c->events->claimed(c->arg, c->held.v[i].slot.topic,
		    c->held.v[i].slot.partition);
}

static void
tell_lost(struct coordination *c)
{
	for (size_t i = 0; i < c->held.n; i++)
		c->events->lost(c->arg, c->held.v[i].slot.topic,
		    c->held.v[i].slot.partition);
}

/* What was given last. Of what is held by then nothing is known any more. */
static void
hold_next(struct coordination *c)
{
	tell_lost(c);
	claims_clear(&c->held);
	c->held = c->next;
	c->next = (struct claims){ 0 };
	enter(c, KAFKA_HOLDING);
	tell_claimed(c);
	pump_after(c, 0);
}

/* All that was revoked is released, or lost. What was given meanwhile is held soon. */
static void
give_up(struct coordination *c)
{
	claims_clear(&c->held);
	c->owed = 0;
	pump_after(c, 0);
	if (c->next.v)
		return;
	enter(c, ktopics_told(&c->topics, NULL) ? KAFKA_JOINING : KAFKA_OUT);
	consumer_give_up(c->consumer);
}

static void
assigned(void *arg, const struct consumer_slot *v, size_t n)
{
	struct coordination *c = arg;

	claims_clear(&c->next);
	c->next.v = calloc(n + 1, sizeof(*c->next.v));
	if (c->next.v == NULL) {
		log_error("membership group=%s partitions=%zu: out of memory", c->group, n);
		n = 0;
	}
	for (size_t i = 0; i < n; i++)
		c->next.v[i].slot = v[i];
	c->next.n = n;
	c->error[0] = '\0';
	log_info("membership assigned group=%s partitions=%zu owed=%zu", c->group, n, c->owed);
	if (c->owed == 0)
		hold_next(c);
}

static void
revoked(void *arg, bool lost)
{
	struct coordination *c = arg;

	log_info("membership revoked group=%s partitions=%zu lost=%d", c->group, c->held.n,
	    lost);
	claims_clear(&c->next);
	enter(c, KAFKA_REVOKING);
	if (lost) {
		tell_lost(c);
		give_up(c);
		return;
	}
	if (c->owed)
		return;
	for (size_t i = 0; i < c->held.n; i++)
		c->held.v[i].revoked = true;
	c->owed = c->held.n;
	c->telling = true;
	for (size_t i = 0; i < c->held.n; i++)
		c->events->revoke(c->arg, c->held.v[i].slot.topic, c->held.v[i].slot.partition);
	c->telling = false;
	if (c->owed == 0)
		give_up(c);
}

static void
kafka_released(struct coordination *c, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < c->held.n; i++) {
		struct claim *k = &c->held.v[i];

		if (!k->revoked || k->slot.partition != partition ||
		    strcmp(k->slot.topic, topic) != 0)
			continue;
		k->revoked = false;
		c->owed--;
		if (c->owed == 0 && !c->telling)
			give_up(c);
		return;
	}
}

/* ---- do we still run? ---- */

static void
paused(void *arg, int64_t ms)
{
	struct coordination *c = arg;

	log_warn("membership doubtful group=%s: nothing ran here for %lld ms", c->group,
	    (long long)ms);
	c->doubt = true;
	pump_after(c, 0);
}

static bool
kafka_usable(struct coordination *c)
{
	return !c->doubt && !consumer_lost(c->consumer);
}

static bool
kafka_joined(struct coordination *c)
{
	return c->state != KAFKA_JOINING;
}

/* What was offered before does not count any more, and comes again. */
static void
prove(struct coordination *c)
{
	enum kafka_state state = c->state;

	tell_lost(c);
	c->doubt = false;
	if (state == KAFKA_HOLDING)
		tell_claimed(c);
	else if (state == KAFKA_REVOKING)
		give_up(c);
}

static void
pump(void *arg)
{
	struct coordination *c = arg;

	if (c->doubt)
		prove(c);
	if (c->next.v && c->owed == 0)
		hold_next(c);
	if (c->again && c->state == KAFKA_HOLDING)
		tell_claimed(c);
	c->again = false;
	if (!c->closing && (c->state == KAFKA_OUT || c->state == KAFKA_HOLDING) &&
	    ktopics_changed(&c->topics))
		tell_topics(c);
}

/* ---- in and out ---- */

static void
coordination_free(struct coordination *c)
{
	loop_pause_end(&c->pause);
	loop_timer_end(&c->pump);
	loop_timer_end(&c->limit);
	ktopics_free(&c->topics);
	claims_clear(&c->held);
	claims_clear(&c->next);
	free(c->group);
	free(c);
}

static void
end(void *arg)
{
	struct coordination *c = arg;
	void (*done)(void *) = c->done;
	void *done_arg = c->done_arg;

	coordination_free(c);
	done(done_arg);
}

static void
late(void *arg)
{
	struct coordination *c = arg;

	log_warn("membership group=%s: the brokers were not told that we leave; they notice "
	    "within %lld ms", c->group, (long long)c->session_ms);
	end(c);
}

/* Not from here: the consumer that calls must not go meanwhile. */
static void
left(void *arg)
{
	struct coordination *c = arg;

	loop_timer_set(c->env->loop, &c->limit, 0, 0, end, c);
}

static void
failed(void *arg, const char *text)
{
	struct coordination *c = arg;

	if (c->error[0] == '\0' && !c->closing && c->state != KAFKA_HOLDING)
		log_warn("membership group=%s: %s", c->group, text);
	snprintf(c->error, sizeof(c->error), "%s", text);
}

static enum kp_err
kafka_open_group(const struct coordination_env *env, const char *group,
    const struct coordination_events *events, void *arg, struct coordination **out)
{
	struct coordination *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (c == NULL || (c->group = strdup(group)) == NULL) {
		free(c);
		return KP_ENOMEM;
	}
	c->env = env;
	c->events = events;
	c->arg = arg;
	*out = c;
	return KP_OK;
}

static enum kp_err
kafka_attach(struct coordination *c, struct consumer *consumer)
{
	static const struct consumer_member_events member_events = {
		assigned, revoked, failed, left
	};
	enum kp_err err = consumer_join(consumer, &member_events, c);

	if (err) {
		coordination_free(c);
		return err;
	}
	c->consumer = consumer;
	c->session_ms = consumer_session_ms(consumer);
	loop_pause_set(c->env->loop, &c->pause, c->session_ms / 2, paused, c);
	return KP_OK;
}

/* How many partitions there are the brokers know themselves. */
static enum kp_err
kafka_subscribe(struct coordination *c, const char *topic, int32_t n)
{
	(void)n;
	/* It may have been given while nobody wanted it. */
	c->again |= ktopics_given_up(&c->topics, topic);
	pump_after(c, 0);
	return ktopics_want(&c->topics, topic);
}

static void
kafka_unsubscribe(struct coordination *c, const char *topic)
{
	ktopics_unwant(&c->topics, topic);
	pump_after(c, 0);
}

static const char *
kafka_trouble(struct coordination *c, const char *topic)
{
	if (c->state == KAFKA_HOLDING && !c->doubt && ktopics_told(&c->topics, topic))
		return NULL;
	if (c->error[0])
		snprintf(c->text, sizeof(c->text), "the group is not joined: %s", c->error);
	else
		snprintf(c->text, sizeof(c->text), "rebalancing");
	return c->text;
}

static void
kafka_close_group(struct coordination *c, void (*done)(void *arg), void *arg)
{
	c->closing = true;
	c->done = done;
	c->done_arg = arg;
	loop_timer_set(c->env->loop, &c->limit, CLOSE_MS, 0, late, c);
	consumer_leave(c->consumer);
}

const struct coordination_ops coordination_kafka = {
	.name = "kafka",
	.open = kafka_open_group,
	.attach = kafka_attach,
	.subscribe = kafka_subscribe,
	.unsubscribe = kafka_unsubscribe,
	.released = kafka_released,
	.trouble = kafka_trouble,
	.usable = kafka_usable,
	.joined = kafka_joined,
	.close = kafka_close_group,
	.consumers = group_kafka_consumers,
};
