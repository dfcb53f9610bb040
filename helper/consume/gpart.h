/*
 * One partition of a topic of a group that this host has claimed: where it starts, what of it is
 * handed out, and how it is given up. gpart.c draws its states.
 *
 * A topic of a group owns its parts; one ends when its claim does. Loop thread only.
 */
#ifndef KP_GPART_H
#define KP_GPART_H

#include "helper/consume/committed.h"
#include "helper/consume/group_stall.h"
#include "helper/consume/offering.h"
#include "helper/kafka/consumer.h"

struct gtopic;
struct partition_offsets;

enum gpart_state {
	GPART_STARTING,			/* claimed; where to start is being asked */
	GPART_ACTIVE,			/* offering */
	GPART_STOPPING,			/* revoked; waits for confirms and the last commit */
};

/* Written by the functions below and, where it says so, by those of another file. */
struct gpart {
	struct gpart *next;		/* of the topic */
	struct gtopic *t;
	struct budget_link ready;	/* among those that may have something to hand out */
	int32_t partition;
	enum gpart_state state;
	struct consumer_part *reader;	/* NULL while STARTING, and once it is withdrawn */
	struct offers offers;
	TAILQ_HEAD(, offering) out;	/* offering.c: those that are out, oldest first */
	struct committed committed;	/* group_commit.c, too */
	struct gpart_stall stall;	/* group_stall.c */
	int64_t stop_ms;		/* when STOPPING began */
	bool no_leader;			/* when Kafka was last asked */
	bool placing, placed;		/* group_start.c, while STARTING: where it starts is being
					 * asked; is committed, for when it has a leader */
	bool astray;			/* while ACTIVE: Kafka says that it does not have what is
					 * to be read next */
	int64_t doubt_ms;		/* since when it is said to end before that, by
					 * clock_mono_ms(); 0: it is not */
};

/* What the coordination says to a group, `arg`. */
void gpart_claimed(void *arg, const char *topic, int32_t partition);
void gpart_revoke(void *arg, const char *topic, int32_t partition);
void gpart_lost(void *arg, const char *topic, int32_t partition);

/* Where `o` says. Without memory it stays STARTING, and is tried again. */
void gpart_start_at(struct gpart *p, const struct partition_offsets *o);
/* Withdraws all offers, of which confirms find nothing, and asks Kafka again where to start. Of an
 * ACTIVE one. */
void gpart_restart(struct gpart *p);
/* What is held of it counts no more: an ACTIVE one starts again, one that stops commits nothing. */
void gpart_disown(struct gpart *p);
/* Moves a STOPPING one on, as far as it can go now. It may be freed. */
void gpart_step(struct gpart *p);
/* No commit of it can succeed any more: a STOPPING one ends with the next step. */
void gpart_give_up(struct gpart *p);
/* Reads on by another consumer from where it is; what is out stays out. Of one with a reader. */
void gpart_hand_over(struct gpart *p, struct consumer *next);

/* NULL: it is not ours. */
struct gpart *gpart_find(struct gtopic *t, int32_t partition);
/* It may have something to hand out: it is looked at when it is its turn. */
void gpart_ready(struct gpart *p);
/* The next message as an offer that is out, or NULL. */
struct offer *gpart_next(struct gpart *p);
/* Of one that has a reader. Moves a STOPPING one on later. */
enum offers_ack gpart_ack(struct gpart *p, int64_t offset);

/* What Kafka said. */
void gpart_note_leader(struct gpart *p, bool led);
/* It is said to end before its offset since then, by clock_mono_ms(); 0: it is not. */
void gpart_doubt(struct gpart *p, int64_t since_ms);
/* One that was astray is read on: it has what comes next after all. */
void gpart_found(struct gpart *p);

#endif
