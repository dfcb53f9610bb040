/*
 * Kafka is asked now and then about topics that somebody waits for: see group_look.c. Others
 * only read what is noted of that. Loop thread only.
 */
#ifndef KP_GROUP_LOOK_H
#define KP_GROUP_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct group;
struct group_job;
struct group_look;
struct groups;

struct group_probe {
	struct group_look *job;		/* that probes whether commits are taken, or NULL */
	int64_t began_ms;		/* the last one */
	bool fenced;			/* brokers refuse its commits: start again */
};

struct gtopic_look {
	struct group_job *job;		/* on its way, or NULL */
	int64_t began_ms;		/* the last one */
	unsigned fewer;			/* looks that found fewer partitions */
};

struct groups_look {
	unsigned n;			/* on their way */
	bool away;			/* the last one found no broker */
};

/* Begins the looks that are due: has each partition a leader, has the group members that
 * brokers manage? */
void groups_look(struct groups *gs);
/* A probe is on its way. */
bool group_is_probed(const struct group *g);
/* The group goes, or its consumer: what is on its way must not find it. */
void group_forget_probe(struct group *g);

/* Brokers have refused a commit of the group: they manage it. Nothing that is out or unconfirmed
 * can be committed: with the next tick all parts start again, from what is committed then. */
void group_fence(struct group *g);
bool group_is_fenced(const struct group *g);
void group_tick_fenced(struct group *g);

#endif
