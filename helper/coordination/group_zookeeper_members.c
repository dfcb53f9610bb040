/*
 * Our part in the group: register, wait until the others have settled, read everybody,
 * divide. One call or one set of reads is under way at a time; when the connection goes
 * they are all forgotten, and everything starts again from what the servers have.
 *
 *	IDLE -> REGISTER -> SETTLE -> READ -> STEADY -> SETTLE ...
 *	  ^        |  ^                |         |
 *	  |        v  +---- PAUSE <----+         | topics changed
 *	LEAVE <- (no topics)  <------- REGISTER <+
 *
 * All watches are armed by the very reads that are divided on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "helper/coordination/assign.h"
#include "helper/coordination/group_zookeeper_state.h"

#define SETTLE_MS 250	/* members that leave and come back at once count once */
#define REREADS_MAX 10	/* a member that never rests must not stop the rest */

static void settle_enter(struct coordination *c);
static void read_enter(struct coordination *c);
static void steady_enter(struct coordination *c);
static void pause_enter(struct coordination *c);
static void leave_enter(struct coordination *c);

static const struct {
	const char *name;
	void (*enter)(struct coordination *c);
	const char *trouble;		/* NULL: none, or c->why */
} steps[] = {
	[STEP_AWAY]     = { "away",     NULL,           "ZooKeeper is not connected" },
	[STEP_IDLE]     = { "idle",     group_pump,     "the group is being joined" },
	[STEP_REGISTER] = { "register", members_register, "the group is being joined" },
	[STEP_SETTLE]   = { "settle",   settle_enter,   "partitions are being divided" },
	[STEP_READ]     = { "read",     read_enter,     "partitions are being divided" },
	[STEP_STEADY]   = { "steady",   steady_enter,   NULL },
	[STEP_PAUSE]    = { "pause",    pause_enter,    NULL },
	[STEP_LEAVE]    = { "leave",    leave_enter,    "the group is being joined" },
};

/* The only place that changes c->step. */
void
members_enter(struct coordination *c, enum step next)
{
	log_debug("group path=%s step=%s next=%s", c->base, steps[c->step].name,
	    steps[next].name);
	loop_timer_end(&c->timer);
	c->step = next;
	if (steps[next].enter)
		steps[next].enter(c);
}

const char *
members_trouble(const struct coordination *c)
{
	return c->step == STEP_PAUSE ? c->why : steps[c->step].trouble;
}

bool
members_any_topic(const struct coordination *c)
{
	for (const struct ztopic *t = c->topics; t; t = t->next)
		if (t->subscribed)
			return true;
	return false;
}

void
members_pause(struct coordination *c, enum kp_err err, const char *what)
{
	snprintf(c->why, sizeof(c->why), "ZooKeeper: %s: %s", what, kp_err_text(err));
	log_warn("group path=%s: %s", c->base, c->why);
	members_enter(c, STEP_PAUSE);
}

static void
pause_over(void *arg)
{
	members_enter(arg, STEP_REGISTER);
}

static void
pause_enter(struct coordination *c)
{
	loop_timer_set(c->env->loop, &c->timer, RETRY_MS, 0, pause_over, c);
}

/*
 * Everybody's registrations.
 */

static void
settled(void *arg)
{
	members_enter(arg, STEP_READ);
}

static void
settle_enter(struct coordination *c)
{
	loop_timer_set(c->env->loop, &c->timer, SETTLE_MS, 0, settled, c);
}

void
members_forget(struct coordination *c)
{
	for (size_t i = 0; i < c->n_members; i++) {
		free(c->members[i].id);
		registration_free(&c->members[i].registration);
	}
	free(c->members);
	c->members = NULL;
	c->n_members = 0;
	c->unread = 0;
}

/* v[0..n) are the topic's subscribers, of which v[me] is us. */
static void
divide_topic(struct ztopic *t, enum assign_rule rule, struct assign_member *v)
{
	struct coordination *c = t->c;
	struct assign_range mine = { 0, 0 };
	size_t n = 0, me = SIZE_MAX;

	for (size_t i = 0; i < c->n_members; i++) {
		const struct member *m = &c->members[i];
		int32_t count = m->gone ? 0 : registration_count(&m->registration, t->name);

		if (count == 0)
			continue;
		if (strcmp(m->id, c->id) == 0)
			me = n;
		v[n++] = (struct assign_member){ m->id, count };
	}
	if (me != SIZE_MAX)
		mine = assign_slice(rule, v, n, me, 0, t->n);
	log_info("group path=%s topic=%s members=%zu first=%d partitions=%d of=%d", c->base,
	    t->name, n, mine.first, mine.n, t->n);
	claims_want(t, mine.first, mine.n);
}

static enum kp_err
divide(struct coordination *c)
{
	struct assign_member *v = calloc(c->n_members, sizeof(*v));
	enum assign_rule rule = ASSIGN_MEMBERS;

	if (v == NULL)
		return KP_ENOMEM;
	for (size_t i = 0; i < c->n_members; i++)
		if (c->members[i].registration.java)
			rule = ASSIGN_THREADS;
	for (struct ztopic *t = c->topics; t; t = t->next)
		if (t->subscribed)
			divide_topic(t, rule, v);
	free(v);
	return KP_OK;
}

static bool
self_present(const struct coordination *c)
{
	for (size_t i = 0; i < c->n_members; i++)
		if (strcmp(c->members[i].id, c->id) == 0)
			return !c->members[i].gone;
	return false;
}

/* All reads have been answered. Nothing is divided on what has changed meanwhile. */
static void
read_done(struct coordination *c)
{
	enum kp_err err = c->read_err;

	if (err == KP_OK && !self_present(c))
		c->registered = 0;	/* somebody has deleted it, or has our id */
	if (err) {
		members_pause(c, err, "the members cannot be read");
	} else if (c->registered != c->revision) {
		members_enter(c, STEP_REGISTER);
	} else if (c->again && c->rereads++ < REREADS_MAX) {
		members_enter(c, STEP_SETTLE);
	} else if ((err = divide(c)) != KP_OK) {
		members_pause(c, err, "the partitions cannot be divided");
	} else {
		c->rereads = 0;
		members_enter(c, c->again ? STEP_SETTLE : STEP_STEADY);
	}
	if (c->step != STEP_READ)
		members_forget(c);
}

static void
member_read(void *arg, const struct zk_result *r)
{
	struct member *m = arg;
	struct coordination *c = m->c;

	if (r->err == KP_ENOTFOUND) {
		m->gone = true;
	} else if (r->err) {
		c->read_err = r->err;
	} else if (registration_parse(r->data, &m->registration) != KP_OK) {
		log_warn("group path=%s: a registration cannot be read and is ignored", c->base);
	} else if (strcmp(m->id, c->id) == 0) {
		m->gone = r->owner != zk_session(c->env->zk);
	}
	if (--c->unread == 0)
		read_done(c);
}

static enum kp_err
take_names(struct coordination *c, const struct zk_result *r)
{
	c->members = calloc(r->n_names + 1, sizeof(*c->members));
	if (c->members == NULL)
		return KP_ENOMEM;
	for (size_t i = 0; i < r->n_names; i++) {
		c->members[i].c = c;
		c->members[i].id = strdup(r->names[i]);
		if (c->members[i].id == NULL)
			return KP_ENOMEM;
		c->n_members++;
	}
	return KP_OK;
}

static void
names_read(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;
	enum kp_err err = r->err;
	char path[PATH_CAP];

	if (err == KP_OK)
		err = take_names(c, r);
	if (err == KP_ENOTFOUND || (err == KP_OK && c->n_members == 0)) {
		c->registered = 0;
		members_enter(c, STEP_REGISTER);
		return;
	}
	if (err) {
		members_pause(c, err, "the members cannot be listed");
		return;
	}
	c->unread = c->n_members;
	for (size_t i = 0; i < c->n_members; i++) {
		group_path(c, path, "/ids/%s", c->members[i].id);
		zk_get(c->u, path, true, member_read, &c->members[i]);
	}
}

static void
read_enter(struct coordination *c)
{
	char path[PATH_CAP];

	members_forget(c);
	c->again = false;
	c->read_err = KP_OK;
	group_path(c, path, "/ids");
	zk_children(c->u, path, true, names_read, c);
}

static void
steady_enter(struct coordination *c)
{
	c->fresh = true;
	group_pump(c);
}

void
members_changed(struct coordination *c)
{
	if (c->step == STEP_STEADY)
		members_enter(c, STEP_SETTLE);
	else
		c->again = true;	/* counts in READ; all others read later anyway */
}

void
members_topics_changed(struct coordination *c)
{
	static const bool at_once[] = {
		[STEP_IDLE] = true, [STEP_SETTLE] = true, [STEP_STEADY] = true,
		[STEP_PAUSE] = true, [STEP_LEAVE] = false,
	};

	if (at_once[c->step])
		members_enter(c, STEP_REGISTER);
	else
		c->again = true;
}

/*
 * The last member takes the empty parents along; what others have put there keeps them.
 */

static void
base_deleted(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;

	(void)r;
	members_enter(c, members_any_topic(c) ? STEP_REGISTER : STEP_IDLE);
}

static void
ids_deleted(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;
	char path[PATH_CAP];

	if (r->err != KP_OK && r->err != KP_ENOTFOUND) {
		base_deleted(c, r);	/* there are other members */
		return;
	}
	group_path(c, path, "/owners");
	zk_delete(c->u, path, -1, NULL, NULL);
	zk_delete(c->u, c->base, -1, base_deleted, c);
}

static void
leave_enter(struct coordination *c)
{
	char path[PATH_CAP];

	c->tidy = false;
	group_path(c, path, "/ids");
	zk_delete(c->u, path, -1, ids_deleted, c);
}
