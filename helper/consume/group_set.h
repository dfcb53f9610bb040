/*
 * Offsets that a user sets for a group that this host is in: see group_set.c, which alone keeps
 * them. Loop thread only.
 */
#ifndef KP_GROUP_SET_H
#define KP_GROUP_SET_H

struct group;
struct gtopic;

/* Runs the sets that nothing stands in the way of any more. */
void group_run_sets(struct group *g);
/* A new topic starts after what is being set for it. */
void topic_adopt_sets(struct gtopic *t);

#endif
