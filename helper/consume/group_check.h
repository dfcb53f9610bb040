/*
 * Has a group still what it committed, or were its topics made again? See group_check.c. Loop
 * thread only.
 */
#ifndef KP_GROUP_CHECK_H
#define KP_GROUP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

struct gpart;
struct group;
struct group_check;
struct groups_env;
struct gtopic;

/* Of a group of that name, with room for `n` partitions. NULL without memory. */
struct group_check *group_check_new(struct group *g, const char *name,
    const struct groups_env *env, size_t n);
void group_check_add(struct group_check *k, const struct gpart *p);
/* group_commit_checked() comes later, after topic_made_again() of those that were. Takes k, also
 * when it is false: not now. */
bool group_check_begin(struct group_check *k);
/* The group goes: neither comes any more. */
void group_check_forget(struct group_check *k);

/* What was committed for it is gone: all partitions begin with their first message. */
void topic_begins_again(struct gtopic *t);
/* Likewise, while it is being read: nothing that is held of it counts any more, and all
 * parts start again. */
void topic_made_again(struct gtopic *t);

#endif
