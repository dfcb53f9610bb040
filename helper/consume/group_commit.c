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
#include "common/log.h"
#include "helper/consume/group_state.h"

/* What is answered and cannot be committed comes twice. */
#define HOLD_MS (KAFKA_LOST_MS * 3 / 2)

static const struct {
	const char *name;
	unsigned from;			/* states that it may come after, as bits */
} states[] = {
	[COMMIT_IDLE] = { "idle", 1u << COMMIT_CHECKING | 1u << COMMIT_SENT },
	[COMMIT_CHECKING] = { "checking", 1u << COMMIT_IDLE },
	[COMMIT_SENT] = { "sent", 1u << COMMIT_CHECKING },
};

/* The only place that changes the state. `k` is the check of CHECKING. */
static void
commit_enter(struct group *g, enum commit_state next, struct group_check *k)
{
	struct group_commit *c = &g->commit;

	if ((states[next].from & 1u << c->state) == 0 || group_is_probing(g))
		log_error("commit group=%s state=%s next=%s: no such step", g->name,
		    states[c->state].name, states[next].name);
	else
		log_debug("commit group=%s state=%s next=%s", g->name, states[c->state].name,
		    states[next].name);
	c->state = next;
	c->check = k;
}

bool
group_commit_busy(const struct group *g)
{
	return g->commit.state != COMMIT_IDLE || group_is_probing(g);
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
	return t->uncommitted_ms &&
	    loop_now_ms(t->g->gs->env.loop) - t->uncommitted_ms >= HOLD_MS;
}

static bool
gpart_wants_commit(const struct gpart *p)
{
	return p->reader && (gpart_changed(p) ||
	    gpart_now_ms(p) - p->committed_ms > fault_number("KP_RECOMMIT_MS", RECOMMIT_MS));
}

static void
gpart_committed(struct gpart *p, enum kp_err err)
{
	if (p->committing >= 0 && err == KP_OK) {
		if (gpart_changed(p))
			gpart_forget_metadata(p);
		p->committed = p->committing;
		p->changes = p->committing_changes;
		p->committed_ms = gpart_now_ms(p);
	}
	/* The group went on without us: no commit can succeed any more. */
	if (p->committing >= 0 && err == KP_ECONFLICT && p->state == GPART_STOPPING &&
	    group_is_member(p->t->g))
		p->stop_ms = gpart_now_ms(p) - STOP_CONFIRM_MS - STOP_COMMIT_MS;
	p->committing = -1;
}

/* Why the offset of a part cannot be committed, in words for the user; NULL: it can. */
static const char *
commit_trouble(struct group *g, enum kp_err err)
{
	if (err == KP_OK || (err == KP_ETOOBIG && g->plain))
		return NULL;
	if (err != KP_ECONFLICT)
		return COMMIT_FAILS;
	if (group_is_member(g))
		return "the group has gone on without this host";
	g->fenced = true;
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

		if (p->committing < 0)
			continue;
		its = consumer_commit_err(x, err, t->name, p->partition);
		trouble = commit_trouble(t->g, its);
		gpart_committed(p, its);
		any = true;
		why = trouble ? trouble : why;
	}
	if (any)
		t->commit_why = why;
	if (why == NULL)
		t->uncommitted_ms = 0;
}

static void
commit_done(void *arg, enum kp_err err, const struct consumer_commit *x)
{
	struct group *g = arg;

	commit_enter(g, COMMIT_IDLE, NULL);
	if (err != KP_EUNAVAIL)
		g->uncommitted_ms = 0;
	if (err == KP_ETOOBIG && !g->plain) {
		log_warn("commit group=%s: the brokers' offset.metadata.max.bytes is below %d; "
		    "what is acknowledged out of order may come twice after a restart",
		    g->name, METADATA_MAX);
		g->plain = true;
	} else if (err) {
		log_warn("commit failed group=%s err=%s", g->name, kp_err_name(err));
	}
	for (struct gtopic *t = g->topics; t; t = t->next)
		topic_committed(t, err, x);
	group_run_sets(g);
	/* Parts that are stopping go on from there: here the list must not change. */
	groups_tick_soon(g->gs);
}

/* What stands beside the offset: what is acknowledged above it, or what a user has put
 * there, as long as the offset does not move. */
static struct kp_slice
gpart_metadata(const struct gpart *p, struct sparse_text *ranges)
{
	if (p->metadata && !gpart_changed(p))
		return kp_slice_str(p->metadata);
	ranges->n = 0;
	if (!p->t->g->plain)
		offers_ranges(&p->offers, ranges);
	return (struct kp_slice){ (const uint8_t *)ranges->p, ranges->n };
}

/* What could not be committed is no longer ours. */
static void
has_nothing(struct gtopic *t)
{
	t->commit_why = NULL;
	t->uncommitted_ms = 0;
}

/* Adds what there is of the topic to the commit, which is begun when there is any. */
static void
topic_commit(struct gtopic *t, struct consumer_commit **x)
{
	struct group *g = t->g;
	struct sparse_text ranges;
	bool any = false;

	for (struct gpart *p = t->parts; p; p = p->next) {
		if (!gpart_wants_commit(p))
			continue;
		any = true;
		if (*x == NULL)
			*x = consumer_commit_begin(g->consumer, commit_done, g);
		if (*x == NULL)
			return;
		p->committing = offers_commit(&p->offers);
		p->committing_changes = p->offers.changes;
		consumer_commit_add(*x, t->name, p->partition, p->committing,
		    gpart_metadata(p, &ranges));
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
		while (p && !gpart_wants_commit(p))
			p = p->next;
		if (p == NULL) {
			has_nothing(t);
			continue;
		}
		if (t->uncommitted_ms == 0)
			t->uncommitted_ms = loop_now_ms(g->gs->env.loop);
		if (k == NULL && (k = group_check_new(g)) == NULL)
			break;
		group_check_add(k, p);
	}
	return k;
}

void
group_commit(struct group *g)
{
	struct group_check *k;

	if (group_commit_busy(g) || g->lost || !group_usable(g))
		return;
	g->commit_ms = loop_now_ms(g->gs->env.loop);
	k = what_to_check(g);
	if (k == NULL)
		g->uncommitted_ms = 0;
	else if (g->uncommitted_ms == 0)
		g->uncommitted_ms = g->commit_ms;
	if (k && group_check_begin(k))	/* else the tick tries again */
		commit_enter(g, COMMIT_CHECKING, k);
}

/* The coordinator did not say what it has: it would not take a commit either. */
static void
check_failed(struct group *g, enum kp_err err)
{
	bool said = false;

	commit_enter(g, COMMIT_IDLE, NULL);
	if (err != KP_EUNAVAIL)
		g->uncommitted_ms = 0;
	for (struct gtopic *t = g->topics; t; t = t->next)
		for (const struct gpart *p = t->parts; p; p = p->next)
			if (gpart_wants_commit(p)) {
				said |= t->commit_why != NULL;
				t->commit_why = commit_trouble(g, err);
			}
	if (!said)
		log_warn("commit failed group=%s err=%s", g->name, kp_err_name(err));
	group_run_sets(g);
	groups_tick_soon(g->gs);
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
	g->commit_ms = loop_now_ms(g->gs->env.loop);
	if (x == NULL) {
		commit_enter(g, COMMIT_IDLE, NULL);
		g->uncommitted_ms = 0;
		group_run_sets(g);
		groups_tick_soon(g->gs);
		return;
	}
	commit_enter(g, COMMIT_SENT, NULL);
	if (g->uncommitted_ms == 0)
		g->uncommitted_ms = g->commit_ms;
	consumer_commit_send(x);
	fault_point("C4");
}
