/*
 * What a group has to ask of Kafka in blocking calls: what is the same in where partitions start
 * (group_start.c), what a partition has (group_range.c), a look (group_look.c), a check
 * (group_check.c) and offsets that a user sets (group_set.c).
 */
#ifndef KP_GROUP_JOB_H
#define KP_GROUP_JOB_H

#include "common/msg.h"
#include "helper/kafka/consumer.h"
#include "helper/kafka/kafka_admin.h"
#include "helper/loop.h"

struct group;
struct groups_env;
struct gtopic;

/* What each of them begins with. It has copies of all that it needs, so that its topic or group
 * may go while it runs. */
struct group_job {
	struct loop_job job;		/* first */
	const struct groups_env *env;
	struct gtopic *t;		/* NULL: has gone, or none */
	char group[GROUP_MAX + 1];
	char topic[TOPIC_MAX + 1];
	struct partition_offsets *v;
	size_t n;
	bool *led;			/* start, look: by partition, n_led of them; or NULL */
	int32_t n_led;
	enum kp_err err;
	char why[WHY_MAX];
};

/* One of `size` bytes; topic NULL: of the whole group. All that is not given here comes later. */
void *job_new(size_t size, const struct groups_env *env, const char *group, const char *topic,
    void (*work)(struct loop_job *), void (*done)(struct loop_job *));
/* With v and led; what else it has is freed before. */
void job_free(struct group_job *j);
/* The partition is said to end before `at`, since *since_ms by clock_mono_ms() (0: since now),
 * and has been for less than limit_ms: a leader that stood still and goes on may answer for an
 * instant as if it still led, with the end that it knew. Any thread. */
bool job_doubts(const struct group_job *j, const struct partition_offsets *o, int64_t at,
    int64_t *since_ms, int64_t limit_ms);
/* The topic goes: what is on its way must not find it. Nothing starts or is set then. */
void topic_forget_jobs(struct gtopic *t);
/* A member's own consumer commits `v` as they are; done(j, err, …) comes later. False without
 * memory, and it has failed then. */
bool job_commit_own(struct group *g, struct group_job *j, consumer_committed_fn *done);
/* What a member's failed commit means. */
void job_fail_own(struct group_job *j, enum kp_err err);

#endif
