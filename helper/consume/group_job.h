/*
 * What a group has to ask of Kafka in blocking calls, shared by group_start.c (where
 * partitions start), group_range.c (what a partition has) and group_set.c (offsets that a
 * user sets). Nobody else includes it.
 */
#ifndef KP_GROUP_JOB_H
#define KP_GROUP_JOB_H

#include "helper/consume/group_state.h"

/* A job carries copies of all it needs, so that its topic or group may go while it runs. */
struct group_job {
	struct loop_job job;		/* first */
	struct group_job *next;		/* of the group's sets */
	struct groups *gs;
	struct gtopic *t;		/* NULL: has gone, or none */
	struct group *g;		/* whose own consumer sets the offsets; or NULL */
	char group[GROUP_MAX + 1];
	char topic[TOPIC_MAX + 1];
	struct partition_offsets *v;
	size_t n;
	size_t n_start;			/* start: that many of v have a leader; they come first */
	int timeout_ms;
	bool *led;			/* start: by partition, n_led of them */
	int64_t *doubt_ms;		/* likewise: see gpart.doubt_ms */
	int32_t n_led;
	bool oldest;
	bool member;			/* the group's own consumer commits */
	int32_t known;			/* see gtopic.known */
	bool again;			/* the topic was made again */
	bool stale;			/* others may have had the partitions meanwhile */
	int32_t first_new;
	enum kp_err err;
	char why[WHY_MAX];
	void (*done)(void *arg, enum kp_err err, const char *why);
	void *arg;
};

/* The partitions, v, come later. */
struct group_job *job_new(struct groups *gs, const char *group, const char *topic,
    void (*work)(struct loop_job *), void (*done)(struct loop_job *));
void job_free(struct group_job *j);
/* A member's own consumer commits `v` as they are; done(j, err, …) comes later. False without
 * memory. */
bool job_commit_own(struct group *g, struct group_job *j, consumer_committed_fn *done);
/* What a member's failed commit means. */
void job_fail_own(struct group_job *j, enum kp_err err);

#endif
