/*
 * Partitions that do not have what is to be read next: Kafka has deleted it, and the group
 * goes on with the oldest message there is; or the partition ends before it.
 *
 * That is doubted for a while: a leader that stood still and goes on may answer for an
 * instant as if it still led, with the end that it knew. What is out and what is committed
 * stays as it is meanwhile. When the partition has what is to be read, it is read from
 * there, and nothing comes twice.
 */
#include "helper/consume/group_range.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/sock.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_state.h"

#define RANGE_TIMEOUT_MS 3000
#define DOUBT_MS 10000

static void
range_work(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;

	j->err = kafka_admin_offsets(j->env->admin, j->group, j->topic, j->v, j->n,
	    RANGE_TIMEOUT_MS, j->why);
}

static void
start_at_the_nearest(struct gpart *p)
{
	log_warn("partition out of range group=%s topic=%s partition=%d: resuming at the nearest "
	    "valid offset", p->t->g->name, p->t->name, p->partition);
	gpart_restart(p);
}

/* Where a topic that was deleted and made again would be told from a leader of old. */
static bool
is_doubtful(struct gpart *p, int64_t at, int64_t end)
{
	if (p->doubt_ms == 0) {
		log_warn("partition ends before its offset group=%s topic=%s partition=%d "
		    "offset=%lld end=%lld: asked again", p->t->g->name, p->t->name,
		    p->partition, (long long)at, (long long)end);
		gpart_doubt(p, clock_mono_ms());
	}
	return clock_mono_ms() - p->doubt_ms < fault_number("KP_DOUBT_MS", DOUBT_MS);
}

static void
see_range(struct gpart *p, const struct partition_offsets *o)
{
	int64_t at = consumer_position(p->reader);

	if (o->committed < 0) {
		/* A commit that is on its way would have the last word. */
		if (!group_commit_busy(p->t->g))
			topic_made_again(p->t);
	} else if (at < o->begin) {
		start_at_the_nearest(p);
	} else if (at <= o->end) {
		gpart_found(p);
	} else if (!is_doubtful(p, at, o->end)) {
		start_at_the_nearest(p);
	}
}

static void
range_done(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;
	struct gtopic *t = j->t;

	if (t) {
		t->range.job = NULL;
		t->range.answered_ms = loop_now_ms(t->g->gs->env.loop);
	}
	for (size_t i = 0; t && j->err == KP_OK && i < j->n; i++) {
		struct gpart *p = gpart_find(t, j->v[i].partition);

		if (p && p->astray && p->state == GPART_ACTIVE)
			see_range(p, &j->v[i]);
	}
	job_free(j);
}

void
topic_ask_range(struct gtopic *t)
{
	struct groups *gs = t->g->gs;
	struct group_job *j;
	size_t n = 0;

	for (const struct gpart *p = t->parts; p; p = p->next)
		n += p->astray;
	if (n == 0 || t->range.job || loop_now_ms(gs->env.loop) - t->range.answered_ms < RETRY_MS)
		return;
	j = job_new(sizeof(*j), &gs->env, t->g->name, t->name, range_work, range_done);
	if (j == NULL || (j->v = calloc(n, sizeof(*j->v))) == NULL) {
		free(j);		/* the tick tries again */
		return;
	}
	for (const struct gpart *p = t->parts; p; p = p->next)
		if (p->astray)
			j->v[j->n++].partition = p->partition;
	j->t = t;
	if (loop_work(gs->env.loop, &j->job))
		t->range.job = j;
	else
		job_free(j);
}

void
topic_forget_range(struct gtopic *t)
{
	if (t->range.job)
		t->range.job->t = NULL;
}
