/*
 * What a group has to ask of Kafka in blocking calls: what is the same in where partitions start
 * (group_start.c), what a partition has (group_range.c), a look (group_look.c) and offsets that
 * a user sets (group_set.c). Nobody else includes it.
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
	enum kp_err err;
	char why[WHY_MAX];
};

/* One of `size` bytes. The partitions, v, and the topic come later. */
void *job_new(size_t size, const struct groups_env *env, const char *group, const char *topic,
    void (*work)(struct loop_job *), void (*done)(struct loop_job *));
/* With v; what else it has is freed before. */
void job_free(struct group_job *j);
/* A member's own consumer commits `v` as they are; done(j, err, …) comes later. False without
 * memory. */
bool job_commit_own(struct group *g, struct group_job *j, consumer_committed_fn *done);
/* What a member's failed commit means. */
void job_fail_own(struct group_job *j, enum kp_err err);

#endif
