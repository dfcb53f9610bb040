/*
 * One topic: what of it waits for Kafka, and where its sending stopped.
 *
 * Loop thread only, but for what is said of its division.
 */
#ifndef KP_LANE_H
#define KP_LANE_H

#include "common/msg.h"
#include "common/names.h"
#include "helper/produce/division.h"
#include "helper/produce/doubt.h"
#include "helper/produce/stamp.h"

struct sender;

struct lane {
	struct names_entry by_name;	/* first */
	struct sender *sender;
	int64_t used_ms;		/* when it was last found */
	struct division division;
	struct doubt doubt;
	struct stamp stamp;
	/* Written by waves.c. */
	STAILQ_ENTRY(lane) ready_link;	/* of its `ready` */
	bool ready;
	int64_t taken_ms;		/* when Kafka last took a message; 0: or failed since */
	unsigned taken_generation;	/* of the producer then */
	size_t in_window;		/* in the queues' hands */
	size_t in_window_bytes;
	int64_t moved_ms;		/* when Kafka last took one of those, or there was none */
	size_t appending;		/* not sent, and not on disk yet */
	bool backlog;			/* the disk holds what was not sent */
	bool loading;
	bool load_covers;		/* the load sees all that was accepted */
	bool unreadable;		/* its rows are, until a restart */
	size_t entries;
	int64_t loaded_id;		/* everything up to here is in the queues' hands, or was */
};

/* What lane.c keeps of a sender. */
struct lanes {
	struct names by_name;
	size_t in_window;		/* of all */
	size_t in_window_bytes;
};

/* One after the other, NULL first, in no order; none may be made meanwhile. */
struct lane *lanes_next(const struct sender *s, const struct lane *lane);
void lanes_end(struct sender *s);
/* Frees those that nobody has needed for long. */
void lanes_forget(struct sender *s);
/* The topic's lane, made if there is none; NULL past TOPICS_MAX. */
struct lane *lane_find(struct sender *s, struct kp_slice topic);
bool lane_has_room(const struct lane *lane);
/* The only writers of what a lane has: an entry comes into the queues' hands, or leaves them;
 * something begins to be written that is not sent, or is written. */
void lane_count_window(struct lane *lane, bool in, size_t bytes);
void lane_count_appending(struct lane *lane, bool in);
/* From now on it sends from the disk, until it has caught up. The log is told why, once;
 * NULL: it is not. */
void lane_to_disk(struct lane *lane, const char *why);
/* Takes a topic that stands still out of the others' way. */
void lane_make_room(struct lane *lane);
/* Reads on from the disk where its sending stopped, as far as there is room. */
void lane_load(struct lane *lane);

#endif
