/*
 * A topic of a group: whether it exists, and when the group no longer asks for it.
 *
 *	ASKING (does it exist?) -> ACTIVE -> LEAVING -> gone
 */
#include "helper/consume/group_topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_set.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_state.h"
#include "helper/consume/group_wait.h"

#define IDLE_MS 20000
#define OFFER_MS 60000
#define GROW_MS 60000
#define GROUP_TOPICS_MAX 256

int64_t
topic_now_ms(const struct gtopic *t)
{
	return loop_now_ms(t->env->loop);
}

struct gtopic *
topic_find(struct group *g, const char *name)
{
	struct gtopic *t = g->topics;

	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	return t;
}

struct gtopic *
topic_new(struct group *g, struct kp_slice name)
{
	struct gtopic *t = g->n_topics < GROUP_TOPICS_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (t == NULL)
		return NULL;
	t->g = g;
	t->group = g->name;
	t->env = &g->gs->env;
	t->budget = &g->gs->budget;
	TAILQ_INIT(&t->waiting.all);
	TAILQ_INIT(&t->acks.all);
	t->first_new = INT32_MAX;
	budget_link_init(&t->ready);
	memcpy(t->name, name.p, name.n);
	t->known = known_find(&g->gs->known, t->group, t->name, topic_now_ms(t));
	t->next = g->topics;
	g->topics = t;
	g->n_topics++;
	topic_adopt_sets(t);
	return t;
}

struct partition_offsets *
topic_pick(const struct gtopic *t, bool (*wanted)(const struct gpart *p), size_t *n)
{
	struct partition_offsets *v;
	size_t all = 0;

	for (const struct gpart *p = t->parts; p; p = p->next)
		all += wanted(p);
	*n = 0;
	v = all ? calloc(all, sizeof(*v)) : NULL;
	for (const struct gpart *p = t->parts; v && p; p = p->next)
		if (wanted(p))
			v[(*n)++].partition = p->partition;
	return v;
}

/* Nothing of it is subscribed, claimed or waiting any more. */
static void
topic_free(struct gtopic *t)
{
	struct group *g = t->g;
	struct gtopic **at = &g->topics;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	g->n_topics--;
	if (t->known >= 0)
		known_note(&g->gs->known, t->group, t->name, t->known, topic_now_ms(t));
	topic_forget_jobs(t);
	if (t->n_index)
		g->left_names++;
	free(t->index);
	free(t);
	group_step(g);
}

void
topic_step(struct gtopic *t)
{
	if (t->state != TOPIC_LEAVING || t->parts || t->ask_out || t->start || t->holds)
		return;
	if (t->waiting.n == 0 && t->acks.n == 0) {
		topic_free(t);
		return;
	}
	/* Somebody asked for it again while it was leaving. */
	t->state = TOPIC_ASKING;
	topic_ask(t);
}

void
topic_leave(struct gtopic *t)
{
	bool subscribed = t->state == TOPIC_ACTIVE;

	log_info("topic left group=%s topic=%s", t->group, t->name);
	t->state = TOPIC_LEAVING;
	if (subscribed)
		t->env->ops->unsubscribe(t->g->coord, t->name);
	topic_step(t);
}

void
topic_join(struct gtopic *t, int32_t partitions)
{
	log_info("topic joined group=%s topic=%s partitions=%d", t->group, t->name, partitions);
	if (t->state == TOPIC_ACTIVE && t->n_partitions < t->first_new)
		t->first_new = t->n_partitions;
	t->state = TOPIC_ACTIVE;
	t->n_partitions = partitions;
	t->why[0] = '\0';
	t->err = t->env->ops->subscribe(t->g->coord, t->name, partitions);
	if (t->err)
		snprintf(t->why, sizeof(t->why), "%s", kp_err_text(t->err));
}

/* Kafka's answer to whether the topic exists, and how large it is. */
static void
topic_asked(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct gtopic *t = loop_owner(ask, struct gtopic, ask);

	t->ask_out = false;
	t->grown_ms = topic_now_ms(t);
	if (t->state == TOPIC_LEAVING) {
		topic_step(t);
		return;
	}
	if (err == KP_OK && t->state == TOPIC_ASKING && t->g->renewing) {
		/* The group waits for its topics to have left, and asks again then. */
	} else if (err == KP_OK && (t->state == TOPIC_ASKING || partitions > t->n_partitions)) {
		topic_join(t, partitions);
	} else if (t->state == TOPIC_ASKING && (err == KP_ENOTFOUND || err == KP_EDENIED)) {
		topic_fail_waiters(t, err, why);
		topic_leave(t);
	} else if (t->state == TOPIC_ASKING) {
		t->err = err;
		snprintf(t->why, sizeof(t->why), "%s", why);
		t->retry_ms = topic_now_ms(t) + RETRY_MS;
	}
}

void
topic_ask(struct gtopic *t)
{
	if (t->ask_out || t->g->coord == NULL || t->g->closing || t->g->renewing)
		return;
	t->ask_out = true;
	t->ask.done = topic_asked;
	topics_ask(t->env->topics, kp_slice_str(t->name), &t->ask);
}

static void
expire(struct gpart *p, int64_t now)
{
	struct offering *o;
	size_t n;

	/* One that is stopping has a shorter limit, and may end by this. */
	while (p->state == GPART_ACTIVE && (o = TAILQ_FIRST(&p->out)) != NULL &&
	    now - o->made_ms > OFFER_MS) {
		log_warn("offer not confirmed in time group=%s topic=%s partition=%d",
		    p->t->group, p->t->name, p->partition);
		offering_end(o, false);
	}
	n = offers_expire(&p->offers, now);
	if (n)
		log_info("not acknowledged in time group=%s topic=%s partition=%d messages=%zu: "
		    "offered again", p->t->group, p->t->name, p->partition, n);
}

static void
tick_parts(struct gtopic *t, int64_t now)
{
	for (struct gpart *p = t->parts, *next; p; p = next) {
		next = p->next;
		expire(p, now);
		if (p->reader)
			consumer_look_again(p->reader, now);
		/* Whatever kept it from giving what it has may have gone. */
		if (p->reader && (p->offers.returned || consumer_has(p->reader)))
			gpart_ready(p);
	}
}

void
topic_tick(struct gtopic *t, int64_t now)
{
	uint32_t retry_s;

	tick_parts(t, now);
	topic_start_parts(t);
	topic_ask_range(t);
	topic_retry_acks(t);
	topic_serve(t);
	if (t->state != TOPIC_LEAVING && t->waiting.n == 0 && t->acks.n == 0 &&
	    now - t->asked_ms > fault_number("KP_GROUP_IDLE_MS", IDLE_MS)) {
		topic_leave(t);
		return;
	}
	if (t->state != TOPIC_LEAVING)
		topic_trouble(t, &retry_s);	/* notes since when */
	if (t->state == TOPIC_ASKING) {
		if (now >= t->retry_ms)
			topic_ask(t);
		return;
	}
	if (t->state == TOPIC_ACTIVE && now - t->grown_ms > GROW_MS)
		topic_ask(t);
	/* The last part of a leaving topic may take the topic with it. */
	for (struct gpart *p = t->parts, *next; p; p = next) {
		next = p->next;
		if (p->state == GPART_STOPPING)
			gpart_step(p);
	}
}
