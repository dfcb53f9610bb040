/*
 * Groups, as the files see them that move a whole one: its life (group_life.c), its topics
 * (group_topic.c), its commits (group_commit.c), what is asked of Kafka for it (group_look.c,
 * group_lost.c, group_set.c), and all of them (group.c). Nobody else includes it; group_life.h
 * is for the rest. Each part of them that one file alone keeps is a struct of its own, in that
 * file's header.
 *
 *	groups -> group -> gtopic -> gpart -> offering
 */
#ifndef KP_GROUP_STATE_H
#define KP_GROUP_STATE_H

#include "helper/consume/group.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_lost.h"
#include "helper/consume/group_topic.h"
#include "helper/consume/known.h"

struct group_set;

struct group {
	struct group *next;
	struct groups *gs;
	char name[GROUP_MAX + 1];
	struct consumer *consumer;
	struct coordination *coord;
	struct gtopic *topics;
	size_t n_topics;
	bool closing;			/* the coordination is leaving */
	int64_t reopen_ms;		/* not before, when it has none */
	/* Written by group_commit.c and so on; `probe` by group_look.c. */
	struct group_commit commit;
	struct group_lost lost;
	struct group_probe probe;
	bool renewing;			/* its topics leave, to come again with a new consumer */
	int64_t renewed_ms;		/* when that was last begun; 0: never */
	unsigned left_names;		/* topics that went, which its consumer still knows */
	struct group_set *sets;		/* offsets to be set, waiting for their turn */
	unsigned own_sets;		/* being committed by our consumer, which must stay */
};

struct groups {
	struct groups_env env;
	struct budget budget;
	struct known known;
	struct group *list;
	size_t n;
	struct group_set *sets;		/* on their way, of topics that were not there */
	struct groups_look look;
	struct loop_timer tick;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

#endif
