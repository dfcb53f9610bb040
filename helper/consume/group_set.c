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
 *	   |   job_commit_own()		brokers manage the group: only its own consumer can
 *	   |         |
 *	   |   committed_by_own()
 *	commit_by_admin()		else: a worker
 *	   |         |
 *	   commit_end()			answers; what is held starts again, from there
 */
#include "helper/consume/group_set.h"

#include <stdio.h>
#include <string.h>

#include "helper/consume/group_job.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_state.h"

struct group_set {
	struct group_job j;		/* first; .t is held until the end */
	struct group_set *next;
	struct groups *gs;
	struct group *g;		/* whose own consumer sets them; or NULL */
	int timeout_ms;
	void (*done)(void *arg, enum kp_err err, const char *why);
	void *arg;
};

static void commit_begin(struct group_set *s);
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

		if (p)
			gpart_disown(p);
	}
}

void
groups_set_offsets(struct groups *gs, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms,
    void (*done)(void *arg, enum kp_err err, const char *why), void *arg)
{
	struct group_set *s = NULL;
	struct group *g = group_find(gs, kp_slice_str(group));

	if (!gs->closing)
		s = job_new(sizeof(*s), &gs->env, group, topic, commit_by_admin, commit_end);
	if (s == NULL) {
		partition_offsets_free(v, n);
		done(arg, gs->closing ? KP_EUNAVAIL : KP_ENOMEM,
		    gs->closing ? GROUPS_CLOSING : kp_err_text(KP_ENOMEM));
		return;
	}
	s->j.v = v;
	s->j.n = n;
	s->gs = gs;
	s->timeout_ms = timeout_ms;
	s->done = done;
	s->arg = arg;
	s->j.t = g ? topic_find(g, topic) : NULL;
	s->g = g && group_is_member(g) ? g : NULL;
	if (s->j.t) {
		hold_parts(s->j.t, v, n);
		s->next = g->sets;
		g->sets = s;
		group_run_sets(g);
	} else {
		s->next = gs->sets;
		gs->sets = s;
		commit_begin(s);
	}
}

void
topic_adopt_sets(struct gtopic *t)
{
	for (struct group_set *s = t->g->gs->sets; s; s = s->next)
		if (s->j.t == NULL && strcmp(s->j.group, t->group) == 0 &&
		    strcmp(s->j.topic, t->name) == 0) {
			s->j.t = t;
			t->holds++;
		}
}

/* ---- wait ---- */

/* A commit or a start that is on its way would overwrite what is set now. */
static bool
must_wait(const struct group_set *s)
{
	return s->j.t && (group_commit_busy(s->j.t->g) || s->j.t->start);
}

void
group_run_sets(struct group *g)
{
	struct group_set **at = &g->sets;

	while (*at) {
		struct group_set *s = *at;

		if (must_wait(s)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		commit_begin(s);
	}
}

/* ---- commit ---- */

static void
commit_begin(struct group_set *s)
{
	if (s->g && s->g->consumer && !s->g->closing) {
		s->g->own_sets++;
		if (job_commit_own(s->g, &s->j, committed_by_own))
			return;
		s->g->own_sets--;
	} else if (loop_work(s->j.env->loop, &s->j.job)) {
		return;
	} else {
		s->j.err = KP_EUNAVAIL;
		snprintf(s->j.why, sizeof(s->j.why), "too many requests wait for Kafka");
	}
	commit_end(&s->j.job);
}

static void
commit_by_admin(struct loop_job *job)
{
	struct group_set *s = (struct group_set *)job;

	s->j.err = kafka_admin_commit(s->j.env->admin, s->j.group, s->j.topic, s->j.v, s->j.n,
	    s->timeout_ms, s->j.why);
}

static void
committed_by_own(void *arg, enum kp_err err, const struct consumer_commit *x)
{
	struct group_set *s = arg;
	struct group *g = s->g;

	(void)x;
	if (err)
		job_fail_own(&s->j, err);
	g->own_sets--;
	commit_end(&s->j.job);
	group_step(g);
}

static void
commit_end(struct loop_job *job)
{
	struct group_set *s = (struct group_set *)job;
	struct gtopic *t = s->j.t;
	struct group_set **at = &s->gs->sets;

	while (*at && *at != s)
		at = &(*at)->next;
	if (*at)
		*at = s->next;
	if (t)
		t->holds--;
	s->done(s->arg, s->j.err, s->j.why);
	job_free(&s->j);
	if (t) {
		topic_start_parts(t);	/* from what is committed now */
		topic_step(t);
	}
}
