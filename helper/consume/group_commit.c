/*
 * What is confirmed and acknowledged becomes a commit of the whole group, and what became of it.
 *
 *	IDLE -> CHECKING -> SENT -> IDLE
 *	            '--------------->^	nothing of it is left to be committed, or Kafka did not say
 *
 * A probe (group_look.c) and a commit are never on their way at the same time.
 */
#include "helper/consume/group_commit.h"

#include "common/fault.h"
#include "common/steps.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_set.h"
#include "helper/consume/group_state.h"

#define COMMIT_MS 500
#define RECOMMIT_MS (60 * 60 * 1000)	/* before brokers let an idle group expire */
/* What is answered and cannot be committed comes twice. */
#define HOLD_MS (KAFKA_LOST_MS * 3 / 2)
#define COMMIT_FAILS "offsets cannot be committed"

static const struct steps steps[] = {
	[COMMIT_IDLE] = { "idle", STEP(COMMIT_CHECKING) | STEP(COMMIT_SENT) },
	[COMMIT_CHECKING] = { "checking", STEP(COMMIT_IDLE) },
	[COMMIT_SENT] = { "sent", STEP(COMMIT_CHECKING) },
};

/* The only place that changes the state. `k` is the check of CHECKING. */
static void
commit_enter(struct group *g, enum commit_state next, struct group_check *k)
{
	struct group_commit *c = &g->commit;

	if (group_is_probed(g))
		log_error("commit group=%s next=%s: no such step while it is probed", g->name,
		    steps[next].name);
	steps_log(steps, c->state, next, "commit group=%s", g->name);
	c->state = next;
	c->check = k;
}

bool
group_commit_busy(const struct group *g)
{
	return g->commit.state != COMMIT_IDLE || group_is_probed(g);
}

void
group_commit_forget(struct group *g)
{
	if (g->commit.check)
		group_check_forget(g->commit.check);
	if (g->commit.state != COMMIT_IDLE)
		commit_enter(g, COMMIT_IDLE, NULL);
}

bool
topic_is_uncommitted(const struct gtopic *t)
{
	return t->commit.failing_ms &&
	    topic_now_ms(t) - t->commit.failing_ms >= HOLD_MS;
}

const char *
topic_commit_trouble(const struct gtopic *t)
{
	return t->commit.why ? t->commit.why : topic_is_uncommitted(t) ? COMMIT_FAILS : NULL;
}

void
topic_commit_is_well(struct gtopic *t)
{
	t->commit.why = NULL;
}

void
group_commit_wait_anew(struct group *g)
{
	g->commit.unanswered_ms = 0;
}

static bool
wants_commit(const struct gpart *p)
{
	const struct committed *c = &p->committed;

	return p->reader && (committed_is_old(c, &p->offers) ||
	    topic_now_ms(p->t) - c->since_ms > fault_number("KP_RECOMMIT_MS", RECOMMIT_MS));
}

static void
see_commit(struct gpart *p, enum kp_err err)
{
	committed_done(&p->committed, &p->offers, err == KP_OK, topic_now_ms(p->t));
	/* The group went on without us. */
	if (err == KP_ECONFLICT && p->state == GPART_STOPPING && group_is_member(p->t->g))
		gpart_give_up(p);
}

/* Why the offset of a part cannot be committed, in words for the user; NULL: it can. */
static const char *
commit_trouble(struct group *g, enum kp_err err)
{
	if (err == KP_OK || (err == KP_ETOOBIG && g->commit.plain))
		return NULL;
	if (err != KP_ECONFLICT)
		return COMMIT_FAILS;
	if (group_is_member(g))
		return "the group has gone on without this host";
	group_fence(g);
	return NULL;
}

/* A topic that takes no commits must not hold up the others. */
static void
topic_committed(struct gtopic *t, enum kp_err err, const struct consumer_commit *x)
{
	const char *why = NULL;
	bool any = false;

	for (struct gpart *p = t->parts; p; p = p->next) {
		enum kp_err its;
		const char *trouble;

		if (!committed_is_sent(&p->committed))
			continue;
		its = consumer_commit_err(x, err, t->name, p->partition);
		trouble = commit_trouble(t->g, its);
		see_commit(p, its);
		any = true;
		why = trouble ? trouble : why;
	}
	if (any)
		t->commit.why = why;
	if (why == NULL)
		t->commit.failing_ms = 0;
}

static void
commit_done(void *arg, enum kp_err err, const struct consumer_commit *x)
{
	struct group *g = arg;

	commit_enter(g, COMMIT_IDLE, NULL);
	if (err != KP_EUNAVAIL)
		g->commit.unanswered_ms = 0;
	if (err == KP_ETOOBIG && !g->commit.plain) {
		log_warn("commit group=%s: the brokers' offset.metadata.max.bytes is below %d; "
		    "what is acknowledged out of order may come twice after a restart",
		    g->name, METADATA_MAX);
		g->commit.plain = true;
	} else if (err) {
		log_warn("commit failed group=%s err=%s", g->name, kp_err_name(err));
	}
	for (struct gtopic *t = g->topics; t; t = t->next)
		topic_committed(t, err, x);
	group_run_sets(g);
	/* Parts that are stopping go on from there: here the list must not change. */
	group_tick_soon(g);
}

/* What could not be committed is no longer ours. */
static void
has_nothing(struct gtopic *t)
{
	t->commit.why = NULL;
	t->commit.failing_ms = 0;
}

/* Adds what there is of the topic to the commit, which is begun when there is any. */
static void
topic_commit(struct gtopic *t, struct consumer_commit **x)
{
	struct group *g = t->g;
	struct sparse_text ranges;
	bool any = false;

	for (struct gpart *p = t->parts; p; p = p->next) {
		if (!wants_commit(p))
			continue;
		any = true;
		if (*x == NULL)
			*x = consumer_commit_begin(g->consumer, commit_done, g);
		if (*x == NULL)
			return;
		consumer_commit_add(*x, t->name, p->partition,
		    committed_send(&p->committed, &p->offers),
		    committed_metadata(&p->committed, &p->offers, g->commit.plain, &ranges));
	}
	if (!any)
		has_nothing(t);
}

/* Behind the last message there may be marks of transactions, and what was aborted: nobody is
 * given that, and it is no lag. */
static void
topic_pass(struct gtopic *t)
{
	for (struct gpart *p = t->parts; p; p = p->next)
		if (p->reader)
			offers_pass(&p->offers, consumer_position(p->reader));
}

/* One of each topic that has something to commit; NULL: none has, or no memory. */
static struct group_check *
what_to_check(struct group *g)
{
	struct group_check *k = NULL;

	for (struct gtopic *t = g->topics; t; t = t->next) {
		const struct gpart *p = t->parts;

		topic_pass(t);
		while (p && !wants_commit(p))
			p = p->next;
		if (p == NULL) {
			has_nothing(t);
			continue;
		}
		if (t->commit.failing_ms == 0)
			t->commit.failing_ms = group_now_ms(g);
		if (k == NULL && (k = group_check_new(g, g->name, &g->gs->env,
		    g->n_topics)) == NULL)
			break;
		group_check_add(k, p);
	}
	return k;
}

void
group_commit(struct group *g)
{
	struct group_check *k;

	if (group_commit_busy(g) || g->lost.leaves || !group_usable(g))
		return;
	g->commit.began_ms = group_now_ms(g);
	k = what_to_check(g);
	if (k == NULL)
		g->commit.unanswered_ms = 0;
	else if (g->commit.unanswered_ms == 0)
		g->commit.unanswered_ms = g->commit.began_ms;
	if (k && group_check_begin(k))	/* else the tick tries again */
		commit_enter(g, COMMIT_CHECKING, k);
}

void
group_commit_tick(struct group *g, int64_t now_ms)
{
	if (now_ms - g->commit.began_ms >= COMMIT_MS)
		group_commit(g);
}

/* The coordinator did not say what it has: it would not take a commit either. */
static void
check_failed(struct group *g, enum kp_err err)
{
	bool said = false;

	commit_enter(g, COMMIT_IDLE, NULL);
	if (err != KP_EUNAVAIL)
		g->commit.unanswered_ms = 0;
	for (struct gtopic *t = g->topics; t; t = t->next)
		for (const struct gpart *p = t->parts; p; p = p->next)
			if (wants_commit(p)) {
				said |= t->commit.why != NULL;
				t->commit.why = commit_trouble(g, err);
			}
	if (!said)
		log_warn("commit failed group=%s err=%s", g->name, kp_err_name(err));
	group_run_sets(g);
	group_tick_soon(g);
}

void
group_commit_checked(struct group *g, enum kp_err err)
{
	struct consumer_commit *x = NULL;

	if (err) {
		check_failed(g, err);
		return;
	}
	if (!group_usable(g)) {
		commit_enter(g, COMMIT_IDLE, NULL);
		return;
	}
	for (struct gtopic *t = g->topics; t; t = t->next)
		topic_commit(t, &x);
	g->commit.began_ms = group_now_ms(g);
	if (x == NULL) {
		commit_enter(g, COMMIT_IDLE, NULL);
		g->commit.unanswered_ms = 0;
		group_run_sets(g);
		group_tick_soon(g);
		return;
	}
	commit_enter(g, COMMIT_SENT, NULL);
	if (g->commit.unanswered_ms == 0)
		g->commit.unanswered_ms = g->commit.began_ms;
	consumer_commit_send(x);
	fault_point("C4");
}
