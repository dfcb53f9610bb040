/* What a group has to ask of Kafka in blocking calls: what such jobs have in common. */
#include "helper/consume/group_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "helper/consume/group_state.h"

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
	j->job.keys[0] = loop_key('t', topic);
	j->job.keys[1] = loop_key('g', group);
	snprintf(j->group, sizeof(j->group), "%s", group);
	snprintf(j->topic, sizeof(j->topic), "%s", topic);
	return j;
}

void
job_free(struct group_job *j)
{
	partition_offsets_free(j->v, j->n);
	free(j);
}

bool
job_commit_own(struct group *g, struct group_job *j, consumer_committed_fn *done)
{
	struct consumer_commit *x = consumer_commit_begin(g->consumer, done, j);

	if (x == NULL)
		return false;
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
