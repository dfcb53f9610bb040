/*
 * Partitions that do not have what is to be read next: Kafka has deleted it, and the group
 * goes on with the oldest message there is; or the partition ends before it.
 *
 * That is doubted for a while. What is out and what is committed stays as it is meanwhile. When
 * the partition has what is to be read, it is read from there, and nothing comes twice.
 */
#include "helper/consume/group_range.h"

#include "common/fault.h"
#include "common/log.h"
#include "helper/consume/group.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_topic.h"

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
	    "valid offset", p->t->group, p->t->name, p->partition);
	gpart_restart(p);
}

static void
see_range(const struct group_job *j, struct gpart *p, const struct partition_offsets *o)
{
	int64_t at = consumer_position(p->reader), since_ms = p->doubt_ms;
	bool doubted;

	if (o->committed < 0) {
		/* A commit that is on its way would have the last word. */
		if (!group_commit_busy(p->t->g))
			topic_made_again(p->t);
	} else if (at < o->begin) {
		start_at_the_nearest(p);
	} else if (at <= o->end) {
		gpart_found(p);
	} else {
		doubted = job_doubts(j, o, at, &since_ms, fault_number("KP_DOUBT_MS", DOUBT_MS));
		gpart_doubt(p, since_ms);
		if (!doubted)
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
		t->range.answered_ms = topic_now_ms(t);
	}
	for (size_t i = 0; t && j->err == KP_OK && i < j->n; i++) {
		struct gpart *p = gpart_find(t, j->v[i].partition);

		if (p && p->astray && p->state == GPART_ACTIVE)
			see_range(j, p, &j->v[i]);
	}
	job_free(j);
}

static bool
is_astray(const struct gpart *p)
{
	return p->astray;
}

void
topic_ask_range(struct gtopic *t)
{
	const struct gpart *p = t->parts;
	struct group_job *j;

	while (p && !is_astray(p))
		p = p->next;
	if (p == NULL || t->range.job || topic_now_ms(t) - t->range.answered_ms < RETRY_MS)
		return;
	j = job_new(sizeof(*j), t->env, t->group, t->name, range_work, range_done);
	if (j == NULL)
		return;
	j->t = t;
	j->v = topic_pick(t, is_astray, &j->n);
	if (j->v && loop_work(t->env->loop, &j->job))
		t->range.job = j;
	else
		job_free(j);		/* the tick tries again */
}
