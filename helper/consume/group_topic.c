/*
 * A topic of a group: who waits for its messages, whether it exists, and when the
 * group no longer asks for it.
 *
 *	ASKING (does it exist?) -> ACTIVE -> LEAVING -> gone
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group_state.h"

static int64_t
now_ms(const struct groups *gs)
{
	return loop_now_ms(gs->env.loop);
}

/* ---- waiting requests ---- */

/* Its message will wait to be acknowledged. */
static bool
will_pend(const struct request *r)
{
	return r->m.no_ack || r->m.ack;
}

/* The first who waits and may have a message now: those that wait to be acknowledged must
 * not use up the memory of all others. */
static struct request *
next_waiter(struct gtopic *t)
{
	struct request *r = TAILQ_FIRST(&t->waiting.all);

	if (budget_may_pend(&t->g->gs->budget))
		return r;
	while (r && will_pend(r))
		r = TAILQ_NEXT(r, link);
	return r;
}

/* A partition that gives nothing before something is acknowledged; NULL: there is none. */
static const struct gpart *
held_up(const struct gtopic *t)
{
	const struct gpart *p = t->parts;

	while (p && !(p->state == GPART_ACTIVE && p->offers.pending && offers_full(&p->offers)))
		p = p->next;
	return p;
}

/* The long poll is over. Empty and broken must not look alike. */
static void
waiter_late(struct op *op, enum kp_err err)
{
	struct request *r = op->request;
	struct gtopic *t = r->t;
	uint32_t retry_s = 0;
	const char *why = topic_trouble(t, &retry_s);
	const struct gpart *p = held_up(t);
	bool full = will_pend(r) && !budget_may_pend(&t->g->gs->budget);

	request_leave(r);
	if (err == KP_EGONE)
		op_end(op);
	else if (why == NULL && p)
		op_fail(op, KP_EUNAVAIL, 1, "partition %d waits for %zu acknowledgements",
		    p->partition, p->offers.pending);
	else if (why == NULL && full)
		op_fail(op, KP_EUNAVAIL, 1, "messages that wait to be acknowledged have used "
		    "up their half of --consumeMaxBytes");
	else if (why)
		op_fail(op, KP_EUNAVAIL, retry_s, "%s", why);
	else
		op_fail(op, KP_ENOMSG, 0, "%s", kp_err_text(KP_ENOMSG));
}

/* A group that is still joining gets a little more time: the first request for it
 * shall not be answered before its offsets are stored. */
static void
waiter_interrupted(struct op *op, enum kp_err err)
{
	const struct request *r = op->request;
	uint32_t retry_s;

	if (err == KP_ETIMEDOUT && topic_trouble(r->t, &retry_s)) {
		op->interrupted = waiter_late;
		op_extend(op, LATE_MS);
		return;
	}
	waiter_late(op, err);
}

void
topic_fail_waiters(struct gtopic *t, enum kp_err err, const char *why)
{
	requests_fail(&t->acks, err, why);
	requests_fail(&t->waiting, err, why);
}

/* ---- offering ---- */

void
gpart_ready(struct gpart *p)
{
	if (p->state == GPART_ACTIVE && budget_link_alone(&p->ready))
		budget_link_last(&p->t->ready, &p->ready);
}

/* Who waits for something that was read ahead and given up. */
static void
want_parts(struct gtopic *t)
{
	t->slept = false;
	for (struct gpart *p = t->parts; p; p = p->next)
		if (p->reader)
			consumer_want(p->reader);
}

/* The next message of the topic; partitions that have any take turns. */
static struct gpart *
next_in_turn(struct gtopic *t, struct offer **f)
{
	while (!budget_link_alone(&t->ready)) {
		struct budget_link *l = t->ready.next;
		struct gpart *p = (struct gpart *)((char *)l - offsetof(struct gpart, ready));

		budget_link_leave(l);
		*f = gpart_next(p);
		if (*f) {
			gpart_ready(p);
			return p;
		}
	}
	if (t->slept)
		want_parts(t);
	return NULL;
}

static void
offer(struct gpart *p, struct offer *f, const struct request *r)
{
	struct op *op = r->op;
	struct offering *o = offering_new(p, f, op->conn);
	struct msg_message m;

	if (o == NULL) {
		offers_return(&p->offers, f);
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	o->pend = will_pend(r);
	fault_point("C1");
	m = consumer_message_view(f->message);
	m.offer = o->hook.id;
	msg_message_encode(op_reply_begin(op, MSG_MESSAGE), &m);
	op_reply_send(op);
	fault_point("C2");
	if (fault_break("early-commit"))
		offering_end(o, true);
}

void
topic_serve(struct gtopic *t)
{
	struct offer *f;
	struct gpart *p;
	struct request *r;

	if (t->waiting.n == 0 || !group_usable(t->g) || topic_is_uncommitted(t))
		return;
	while ((r = next_waiter(t)) != NULL && (p = next_in_turn(t, &f)) != NULL) {
		request_leave(r);
		offer(p, f, r);
	}
}

/* ---- topics ---- */

struct gtopic *
topic_find(struct group *g, const char *name)
{
	struct gtopic *t = g->topics;

	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	return t;
}

struct gpart *
gpart_find(struct gtopic *t, int32_t partition)
{
	return partition >= 0 && partition < t->n_index ? t->index[partition] : NULL;
}

bool
topic_has_place(struct gtopic *t, int32_t partition)
{
	struct gpart **index;
	int32_t n = partition < t->n_partitions ? t->n_partitions : partition + 1;

	if (partition < t->n_index)
		return true;
	index = realloc(t->index, (size_t)n * sizeof(struct gpart *));
	if (index == NULL)
		return false;
	memset(index + t->n_index, 0, (size_t)(n - t->n_index) * sizeof(struct gpart *));
	t->index = index;
	t->n_index = n;
	return true;
}

struct gtopic *
topic_new(struct group *g, struct kp_slice name)
{
	struct gtopic *t = g->n_topics < GROUP_TOPICS_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (t == NULL)
		return NULL;
	t->g = g;
	TAILQ_INIT(&t->waiting.all);
	TAILQ_INIT(&t->acks.all);
	t->first_new = INT32_MAX;
	budget_link_init(&t->ready);
	memcpy(t->name, name.p, name.n);
	t->known = known_find(&g->gs->known, g->name, t->name, now_ms(g->gs));
	t->next = g->topics;
	g->topics = t;
	g->n_topics++;
	topic_adopt_sets(t);
	return t;
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
		known_note(&g->gs->known, g->name, t->name, t->known, now_ms(g->gs));
	topic_forget_range(t);
	topic_forget_look(t);
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

	log_info("topic left group=%s topic=%s", t->g->name, t->name);
	t->state = TOPIC_LEAVING;
	if (subscribed)
		t->g->gs->env.ops->unsubscribe(t->g->coord, t->name);
	topic_step(t);
}

void
topic_join(struct gtopic *t, int32_t partitions)
{
	struct group *g = t->g;

	log_info("topic joined group=%s topic=%s partitions=%d", g->name, t->name, partitions);
	if (t->state == TOPIC_ACTIVE && t->n_partitions < t->first_new)
		t->first_new = t->n_partitions;
	t->state = TOPIC_ACTIVE;
	t->n_partitions = partitions;
	t->why[0] = '\0';
	t->err = g->gs->env.ops->subscribe(g->coord, t->name, partitions);
	if (t->err)
		snprintf(t->why, sizeof(t->why), "%s", kp_err_text(t->err));
}

/* Kafka's answer to whether the topic exists, and how large it is. */
static void
topic_asked(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct gtopic *t = (struct gtopic *)((char *)ask - offsetof(struct gtopic, ask));
	struct group *g = t->g;

	t->ask_out = false;
	t->grown_ms = now_ms(g->gs);
	if (t->state == TOPIC_LEAVING) {
		topic_step(t);
		return;
	}
	if (err == KP_OK && t->state == TOPIC_ASKING && g->renewing) {
		/* The group waits for its topics to have left, and asks again then. */
	} else if (err == KP_OK && (t->state == TOPIC_ASKING || partitions > t->n_partitions)) {
		topic_join(t, partitions);
	} else if (t->state == TOPIC_ASKING && (err == KP_ENOTFOUND || err == KP_EDENIED)) {
		topic_fail_waiters(t, err, why);
		topic_leave(t);
	} else if (t->state == TOPIC_ASKING) {
		t->err = err;
		snprintf(t->why, sizeof(t->why), "%s", why);
		t->retry_ms = now_ms(g->gs) + RETRY_MS;
	}
}

void
topic_ask(struct gtopic *t)
{
	if (t->ask_out || t->g->coord == NULL || t->g->closing || t->g->renewing)
		return;
	t->ask_out = true;
	t->ask.done = topic_asked;
	topics_ask(t->g->gs->env.topics, kp_slice_str(t->name), &t->ask);
}

void
topic_wait(struct gtopic *t, struct request *r)
{
	t->asked_ms = now_ms(t->g->gs);
	if (t->waiting.n >= WAITERS_MAX) {
		op_fail(r->op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
		return;
	}
	request_wait(r, &t->waiting, waiter_interrupted);
	if (t->state == TOPIC_ACTIVE)
		topic_serve(t);
	else if (t->state == TOPIC_ASKING)
		topic_ask(t);
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
		    p->t->g->name, p->t->name, p->partition);
		offering_end(o, false);
	}
	n = offers_expire(&p->offers, now);
	if (n)
		log_info("not acknowledged in time group=%s topic=%s partition=%d messages=%zu: "
		    "offered again", p->t->g->name, p->t->name, p->partition, n);
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
