/* Offsets that a user sets, also of a group that this host is in. */
#include <stdio.h>
#include <string.h>

#include "helper/consume/group_job.h"

static void
set_work(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;

	j->err = kafka_admin_commit(j->gs->env.admin, j->group, j->topic, j->v, j->n,
	    j->timeout_ms, j->why);
}

static void
set_done(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;
	struct gtopic *t = j->t;
	struct group_job **at = &j->gs->sets;

	while (*at && *at != j)
		at = &(*at)->next;
	if (*at)
		*at = j->next;
	if (t)
		t->holds--;
	j->done(j->arg, j->err, j->why);
	job_free(j);
	if (t) {
		topic_start_parts(t);	/* from what is committed now */
		topic_step(t);
	}
}

static void
set_committed(void *arg, enum kp_err err, const struct consumer_commit *x)
{
	struct group_job *j = arg;
	struct group *g = j->g;

	(void)x;
	if (err)
		job_fail_own(j, err);
	g->own_sets--;
	set_done(&j->job);
	group_step(g);
}

static void
set_start(struct group_job *j)
{
	if (j->g && j->g->consumer && !j->g->closing) {
		j->g->own_sets++;
		if (job_commit_own(j->g, j, set_committed))
			return;
		j->g->own_sets--;
		job_fail_own(j, KP_ENOMEM);
	} else if (loop_work(j->gs->env.loop, &j->job)) {
		return;
	} else {
		j->err = KP_EUNAVAIL;
		snprintf(j->why, sizeof(j->why), "too many requests wait for Kafka");
	}
	set_done(&j->job);
}

/* A commit or a start that is on its way would overwrite what is set now. */
static bool
set_must_wait(const struct group_job *j)
{
	return j->t && (group_commit_busy(j->t->g) || j->t->start);
}

void
group_run_sets(struct group *g)
{
	struct group_job **at = &g->sets;

	while (*at) {
		struct group_job *j = *at;

		if (set_must_wait(j)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		set_start(j);
	}
}

/* From now on nothing of these partitions is offered or committed. */
static void
hold_parts(struct gtopic *t, const struct partition_offsets *v, size_t n)
{
	t->holds++;
	for (size_t i = 0; i < n; i++) {
		struct gpart *p = gpart_find(t, v[i].partition);

		if (p == NULL || p->reader == NULL)
			continue;
		if (p->state == GPART_ACTIVE)
			gpart_restart(p);
		else
			gpart_withdraw(p);
	}
}

void
groups_set_offsets(struct groups *gs, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms,
    void (*done)(void *arg, enum kp_err err, const char *why), void *arg)
{
	struct group_job *j = NULL;
	struct group *g = gs->list;

	if (!gs->closing)
		j = job_new(gs, group, topic, set_work, set_done);
	if (j == NULL) {
		partition_offsets_free(v, n);
		done(arg, gs->closing ? KP_EUNAVAIL : KP_ENOMEM,
		    gs->closing ? GROUPS_CLOSING : kp_err_text(KP_ENOMEM));
		return;
	}
	j->v = v;
	j->n = n;
	j->timeout_ms = timeout_ms;
	j->done = done;
	j->arg = arg;
	while (g && strcmp(g->name, group) != 0)
		g = g->next;
	j->t = g ? topic_find(g, topic) : NULL;
	j->g = g && group_is_member(g) ? g : NULL;
	if (j->t) {
		hold_parts(j->t, v, n);
		j->next = g->sets;
		g->sets = j;
		group_run_sets(g);
	} else {
		j->next = gs->sets;
		gs->sets = j;
		set_start(j);
	}
}

void
topic_adopt_sets(struct gtopic *t)
{
	for (struct group_job *j = t->g->gs->sets; j; j = j->next)
		if (j->t == NULL && strcmp(j->group, t->g->name) == 0 &&
		    strcmp(j->topic, t->name) == 0) {
			j->t = t;
			t->holds++;
		}
}
