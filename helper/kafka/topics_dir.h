/*
 * What topics.c remembers: one entry a name, on one list, which says what becomes of it.
 * Names come from outside, so idle entries have a limit: the least recently used go.
 *
 * Loop thread only. Only topics.c includes it.
 */
#ifndef KP_TOPICS_DIR_H
#define KP_TOPICS_DIR_H

#include <sys/queue.h>

#include "common/names.h"
#include "helper/kafka/topics.h"

enum topic_state {
	TOPIC_KNOWN, TOPIC_OTHER,	/* idle: it exists; or does not, or who knows */
	TOPIC_LOOK,			/* a job is to ask whether it exists */
	TOPIC_LOOKED,			/* does so */
	TOPIC_CREATE,			/* it does not, but brokers may make it: to be asked for */
	TOPIC_CREATED,			/* a job does so */
	TOPIC_COMING,			/* they may be making it: back to LOOK in a moment */
	TOPIC_STATES
};

struct topic {
	struct names_entry by_name;	/* first */
	TAILQ_ENTRY(topic) link;
	enum topic_state state;
	bool ever_known;
	bool created;			/* brokers were asked to make it */
	int64_t good_until_ms;
	int64_t asked_ms;		/* what is being found out now, since then */
	int64_t coming_until_ms;	/* 0: it is not known to be coming */
	enum kp_err err;
	int32_t partitions;
	int code;			/* why, for kafka_admin_why() */
	struct topics_ask *first, **last;
	struct topic_look look;		/* the worker's while LOOKED or CREATED */
};
TAILQ_HEAD(topic_list, topic);

struct topics_dir {
	struct names by_name;
	struct topic_list lists[TOPIC_STATES];
	size_t n[TOPIC_STATES];
};

void topics_dir_init(struct topics_dir *d);
/* Frees all entries. */
void topics_dir_clear(struct topics_dir *d);

struct topic *topics_dir_find(struct topics_dir *d, struct kp_slice name);
/* One that is not there, as OTHER. NULL without memory. */
struct topic *topics_dir_add(struct topics_dir *d, struct kp_slice name);

/* The first of those in this state, or NULL. */
struct topic *topics_dir_first(struct topics_dir *d, enum topic_state state);
/* No more should come into this state. */
bool topics_dir_full(const struct topics_dir *d, enum topic_state state);
/* The only place that changes a state. */
void topics_dir_move(struct topics_dir *d, struct topic *e, enum topic_state state);
/* Back to KNOWN or OTHER, as the last of them to be dropped; others may be. */
void topics_dir_rest(struct topics_dir *d, struct topic *e);

#endif
