/* One blocking question, on a worker; its rows are sorted already. */
#include "helper/coordination/group_kafka_consumers.h"

#include <stdio.h>
#include <stdlib.h>

#include "helper/kafka/kafka_admin_groups.h"

struct asking {
	struct loop_job job;		/* first */
	struct kafka_admin *admin;
	char topic[TOPIC_MAX + 1];
	char group[GROUP_MAX + 1];	/* empty: all */
	int timeout_ms;
	coordination_consumers_fn *answer;
	void *arg;
	/* The worker's until its job is done. */
	struct kafka_admin_member *v;
	size_t n;
	enum kp_err err;
	char why[WHY_MAX];
};

static void
ask_work(struct loop_job *job)
{
	struct asking *a = (struct asking *)job;

	a->err = kafka_admin_members(a->admin, a->topic, a->group[0] ? a->group : NULL,
	    a->timeout_ms, &a->v, &a->n, a->why);
}

/* The rows of the answer borrow everything but themselves. */
static void
ask_done(struct loop_job *job)
{
	struct asking *a = (struct asking *)job;
	struct msg_consumers found = { .v = calloc(a->n + 1, sizeof(*found.v)) };

	if (found.v == NULL && a->err == KP_OK)
		a->err = KP_ENOMEM;
	for (size_t i = 0; a->err == KP_OK && i < a->n; i++)
		found.v[found.n++] = (struct msg_consumer){
			.group = kp_slice_str(a->v[i].group),
			.member = kp_slice_str(a->v[i].member),
			.partitions = a->v[i].partitions, .n = a->v[i].n,
		};
	a->answer(a->arg, a->err, a->why[0] ? a->why : kp_err_text(a->err), &found);
	free(found.v);
	kafka_admin_members_free(a->v, a->n);
	free(a);
}

void
group_kafka_consumers(const struct coordination_env *env, const char *topic,
    const char *group, int64_t deadline_ms, coordination_consumers_fn *answer, void *arg)
{
	static const struct msg_consumers none;
	struct asking *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		answer(arg, KP_ENOMEM, kp_err_text(KP_ENOMEM), &none);
		return;
	}
	a->job.lane = LOOP_QUESTIONS;
	a->job.keys[0] = loop_key('g', group ? group : "");
	a->job.work = ask_work;
	a->job.done = ask_done;
	a->admin = env->admin;
	a->timeout_ms = (int)deadline_ms;
	a->answer = answer;
	a->arg = arg;
	snprintf(a->topic, sizeof(a->topic), "%s", topic);
	snprintf(a->group, sizeof(a->group), "%s", group ? group : "");
	if (loop_work(env->loop, &a->job))
		return;
	answer(arg, KP_EUNAVAIL, "too many requests wait for Kafka", &none);
	free(a);
}
