/*
 * The life of a group, and what the files of this room may know of it without seeing what it is
 * made of: see group_life.c. Loop thread only.
 */
#ifndef KP_GROUP_LIFE_H
#define KP_GROUP_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define GROUPS_MAX 256
#define GROUPS_CLOSING "the helper is shutting down"

struct consumer;
struct coordination;
struct group;
struct groups;

struct group *group_find(struct groups *gs, struct kp_slice name);
/* NULL: too many, or it could not be opened. */
struct group *group_new(struct groups *gs, struct kp_slice name);
/* A group without topics leaves. */
void group_step(struct group *g);

/* All of it leaves in order, and comes again with a new consumer. */
void group_renew(struct group *g);
/* That was begun so lately. */
bool group_renewed_within(const struct group *g, int64_t ms);

/* The tick, which looks after all that waits for time to pass, comes now and then, and in the
 * next turn of the loop. */
void groups_tick_soon(struct groups *gs);
void group_tick_soon(struct group *g);

int64_t group_now_ms(const struct group *g);
/* The brokers manage the group: only its own consumer can commit. */
bool group_is_member(const struct group *g);
/* False: what is held may be somebody else's by now. */
bool group_usable(const struct group *g);
/* The helper ends: it is too late for what is asked now. */
bool group_is_closing(const struct group *g);

/* NULL: it has none now. And a new one, that it does not have yet; NULL: no memory. */
struct consumer *group_consumer(const struct group *g);
struct consumer *group_new_consumer(struct group *g);
/* See consumer_throttled_ms(). */
int64_t group_throttled_ms(const struct group *g);
/* NULL: it has none now. */
struct coordination *group_coord(const struct group *g);
/* Others may have the partition. */
void group_release(struct group *g, const char *topic, int32_t partition);

#endif
