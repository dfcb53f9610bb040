/*
 * Offsets that a user sets, also of a group that this host is in: how POST offsets goes on once
 * admin/op_offsets.c has found nothing against it. From top to bottom:
 *
 *	groups_set_offsets()
 *	   |         |
 *	   |   hold_parts()		the topic is in the group here: nothing of these partitions
 *	   |         |			is offered or committed from now on
 *	   |   group_run_sets()		once no commit and no start is on its way
 *	   |         |
 *	   commit_begin()
 *	   |         |
 *	   |   commit_by_own()		brokers manage the group: only its own consumer can
 *	   |         |
 *	   |   committed_by_own()
 *	commit_by_admin()		else: a worker
 *	   |         |
 *	   commit_end()			answers; what is held starts again, from there
 */
#include <stdio.h>
#include <string.h>

#include "helper/consume/group_job.h"

static void commit_begin(struct group_job *j);
static void commit_by_admin(struct loop_job *job);
static void committed_by_own(void *arg, enum kp_err err, const struct consumer_commit *x);
static void commit_end(struct loop_job *job);

/* ---- hold ---- */

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
		j = job_new(gs, group, topic, commit_by_admin, commit_end);
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
		commit_begin(j);
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

/* ---- wait ---- */

/* A commit or a start that is on its way would overwrite what is set now. */
static bool
must_wait(const struct group_job *j)
{
	return j->t && (group_commit_busy(j->t->g) || j->t->start);
}

void
group_run_sets(struct group *g)
{
	struct group_job **at = &g->sets;

	while (*at) {
		struct group_job *j = *at;

		if (must_wait(j)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		commit_begin(j);
	}
}

/* ---- commit ---- */

static bool
commit_by_own(struct group_job *j)
{
	j->g->own_sets++;
	if (job_commit_own(j->g, j, committed_by_own))
		return true;
	j->g->own_sets--;
	job_fail_own(j, KP_ENOMEM);
	return false;
}

static void
commit_begin(struct group_job *j)
{
	if (j->g && j->g->consumer && !j->g->closing) {
		if (commit_by_own(j))
			return;
	} else if (loop_work(j->gs->env.loop, &j->job)) {
		return;
	} else {
		j->err = KP_EUNAVAIL;
		snprintf(j->why, sizeof(j->why), "too many requests wait for Kafka");
	}
	commit_end(&j->job);
}

static void
commit_by_admin(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;

	j->err = kafka_admin_commit(j->gs->env.admin, j->group, j->topic, j->v, j->n,
	    j->timeout_ms, j->why);
}

static void
committed_by_own(void *arg, enum kp_err err, const struct consumer_commit *x)
{
	struct group_job *j = arg;
	struct group *g = j->g;

	(void)x;
	if (err)
		job_fail_own(j, err);
	g->own_sets--;
	commit_end(&j->job);
	group_step(g);
}

static void
commit_end(struct loop_job *job)
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
