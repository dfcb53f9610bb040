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

#include <string.h>

#include "common/log.h"
#include "helper/consume/group.h"
#include "helper/consume/group_commit.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_topic.h"

#define CHECK_TIMEOUT_MS 1500

struct group_check {
	struct group_job j;		/* first */
	struct group *g;		/* NULL: has gone, or has another consumer */
	size_t n;
	struct offset_look v[];
};

static void
check_work(struct loop_job *job)
{
	struct group_check *k = (struct group_check *)job;

	k->j.err = kafka_admin_gone(k->j.env->admin, k->j.group, k->v, k->n, CHECK_TIMEOUT_MS,
	    k->j.why);
}

static void
check_done(struct loop_job *job)
{
	struct group_check *k = (struct group_check *)job;
	struct group *g = k->g;

	for (size_t i = 0; g && i < k->n && k->j.err == KP_OK; i++) {
		struct gtopic *t = k->v[i].gone ? topic_find(g, k->v[i].topic) : NULL;

		if (t)
			topic_made_again(t);
	}
	if (g)
		group_commit_checked(g, k->j.err);
	job_free(&k->j);
}

struct group_check *
group_check_new(struct group *g, const char *name, const struct groups_env *env, size_t n)
{
	struct group_check *k = job_new(sizeof(*k) + n * sizeof(k->v[0]), env, name, NULL,
	    check_work, check_done);

	if (k)
		k->g = g;
	return k;
}

void
group_check_add(struct group_check *k, const struct gpart *p)
{
	struct offset_look *v = &k->v[k->n++];

	memcpy(v->topic, p->t->name, sizeof(v->topic));
	v->partition = p->partition;
}

bool
group_check_begin(struct group_check *k)
{
	if (loop_work(k->j.env->loop, &k->j.job))
		return true;
	job_free(&k->j);
	return false;
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
	    "is read from its beginning", t->group, t->name);
	topics_forget(t->env->topics, kp_slice_str(t->name));
	t->first_new = 0;
}

void
topic_made_again(struct gtopic *t)
{
	topic_begins_again(t);
	t->holds++;			/* all of them are asked for together */
	for (struct gpart *p = t->parts; p; p = p->next)
		gpart_disown(p);
	t->holds--;
	topic_start_parts(t);
}
