/* What a group has to ask of Kafka in blocking calls: what such jobs have in common. */
#include "helper/consume/group_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_topic.h"

void *
job_new(size_t size, const struct groups_env *env, const char *group, const char *topic,
    void (*work)(struct loop_job *), void (*done)(struct loop_job *))
{
	struct group_job *j = calloc(1, size);

	if (j == NULL)
		return NULL;
	j->env = env;
	j->job.work = work;
	j->job.done = done;
	j->job.lane = LOOP_GROUPS;
	j->job.keys[0] = loop_key('g', group);
	snprintf(j->group, sizeof(j->group), "%s", group);
	if (topic) {
		j->job.keys[1] = loop_key('t', topic);
		snprintf(j->topic, sizeof(j->topic), "%s", topic);
	}
	return j;
}

void
job_free(struct group_job *j)
{
	partition_offsets_free(j->v, j->n);
	free(j->led);
	free(j);
}

bool
job_doubts(const struct group_job *j, const struct partition_offsets *o, int64_t at,
    int64_t *since_ms, int64_t limit_ms)
{
	if (at <= o->end)
		return false;
	if (*since_ms == 0) {
		log_warn("partition ends before its offset group=%s topic=%s partition=%d "
		    "offset=%lld end=%lld: asked again", j->group, j->topic, o->partition,
		    (long long)at, (long long)o->end);
		*since_ms = clock_mono_ms();
	}
	return clock_mono_ms() - *since_ms < limit_ms;
}

void
topic_forget_jobs(struct gtopic *t)
{
	if (t->range.job)
		t->range.job->t = NULL;
	if (t->look.job)
		t->look.job->t = NULL;
}

bool
job_commit_own(struct group *g, struct group_job *j, consumer_committed_fn *done)
{
	struct consumer_commit *x = consumer_commit_begin(group_consumer(g), done, j);

	if (x == NULL) {
		job_fail_own(j, KP_ENOMEM);
		return false;
	}
	for (size_t i = 0; i < j->n; i++)
		consumer_commit_add(x, j->topic, j->v[i].partition, j->v[i].committed,
		    kp_slice_str(j->v[i].metadata ? j->v[i].metadata : ""));
	consumer_commit_send(x);
	return true;
}

void
job_fail_own(struct group_job *j, enum kp_err err)
{
	/* It may be the next generation already. */
	j->err = err == KP_ECONFLICT ? KP_EUNAVAIL : err;
	snprintf(j->why, sizeof(j->why), "%s", err == KP_ECONFLICT ?
	    "the group is being rebalanced" : kp_err_text(err));
}
