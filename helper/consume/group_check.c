/*
 * Topics that were deleted and made again. The next offset to be read may lie in range of the
 * new one, and is then read as if nothing had happened. But brokers delete the offsets of all
 * groups together with a topic, and those of a cluster that was wiped are gone too: so before
 * a group commits, it asks whether it still has what it committed before. When it has not,
 * what it holds is of another topic of that name; it starts again, at the beginning.
 *
 * One partition tells for the whole topic.
 */
#include "helper/consume/group_check.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "helper/consume/group_state.h"

#define CHECK_TIMEOUT_MS 1500

struct group_check {
	struct loop_job job;		/* first */
	struct groups *gs;
	struct group *g;		/* NULL: has gone, or has another consumer */
	char group[GROUP_MAX + 1];
	size_t n;
	enum kp_err err;
	struct offset_look v[];
};

struct group_check *
group_check_new(struct group *g)
{
	struct group_check *k = calloc(1, sizeof(*k) + g->n_topics * sizeof(k->v[0]));

	if (k == NULL)
		return NULL;
	k->gs = g->gs;
	k->g = g;
	memcpy(k->group, g->name, sizeof(k->group));
	return k;
}

void
group_check_add(struct group_check *k, const struct gpart *p)
{
	struct offset_look *v = &k->v[k->n++];

	memcpy(v->topic, p->t->name, sizeof(v->topic));
	v->partition = p->partition;
}

static void
check_work(struct loop_job *job)
{
	struct group_check *k = (struct group_check *)job;
	char why[WHY_MAX];

	k->err = kafka_admin_gone(k->gs->env.admin, k->group, k->v, k->n, CHECK_TIMEOUT_MS, why);
}

static void
check_done(struct loop_job *job)
{
	struct group_check *k = (struct group_check *)job;
	struct group *g = k->g;

	for (size_t i = 0; g && i < k->n && k->err == KP_OK; i++) {
		struct gtopic *t = k->v[i].gone ? topic_find(g, k->v[i].topic) : NULL;

		if (t)
			topic_made_again(t);
	}
	if (g)
		group_commit_checked(g, k->err);
	free(k);
}

bool
group_check_begin(struct group_check *k)
{
	struct group *g = k->g;

	k->job.work = check_work;
	k->job.done = check_done;
	k->job.lane = LOOP_GROUPS;
	k->job.keys[0] = loop_key('g', g->name);
	if (!loop_work(g->gs->env.loop, &k->job)) {
		free(k);
		return false;
	}
	return true;
}

void
group_check_forget(struct group_check *k)
{
	k->g = NULL;
}

void
topic_begins_again(struct gtopic *t)
{
	log_warn("topic made again group=%s topic=%s: the offsets of the group are gone, and it "
	    "is read from its beginning", t->g->name, t->name);
	topics_forget(t->g->gs->env.topics, kp_slice_str(t->name));
	t->first_new = 0;
}

void
topic_made_again(struct gtopic *t)
{
	topic_begins_again(t);
	t->holds++;			/* all of them are asked for together */
	for (struct gpart *p = t->parts; p; p = p->next)
		if (p->state == GPART_ACTIVE)
			gpart_restart(p);
		else if (p->reader)
			gpart_withdraw(p);	/* it stops, without a commit */
	t->holds--;
	topic_start_parts(t);
}
