/*
 * Our registration: written, written again, or deleted, until it says what is subscribed.
 *
 * It is only ever replaced by deleting and creating it: old members notice nothing else.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "helper/coordination/group_zookeeper_state.h"

#define REGISTRATION_LIMIT (512u * 1024)	/* ZooKeeper takes no node over 1 MiB */

void
members_path(const struct coordination *c, char path[PATH_CAP])
{
	group_path(c, path, "/ids/%s", c->id);
}

void
members_name(struct coordination *c)
{
	int n;

	c->session_count = zk_session_count(c->env->zk);
	n = snprintf(c->id, sizeof(c->id), "%.300s", c->env->member);
	if (c->session_count > 1)
		n += snprintf(c->id + n, sizeof(c->id) - (size_t)n, ".%u", c->session_count - 1);
	if (c->clashes > 0)
		snprintf(c->id + n, sizeof(c->id) - (size_t)n, "_%u", c->clashes);
}

static void
registered(struct coordination *c)
{
	c->registered = c->writing;
	c->tidy = true;
	if (c->registered != c->revision)
		members_enter(c, STEP_REGISTER);
	else
		members_enter(c, STEP_SETTLE);
}

static void
parents_made(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;

	if (r->err == KP_OK)
		members_enter(c, STEP_REGISTER);
	else
		members_pause(c, r->err, "the group's nodes cannot be made");
}

/* One is there that we did not know of: ours, by a create whose answer was lost, or
 * somebody's who has our id. */
static void
present_looked(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;

	if (r->err == KP_OK && r->owner == zk_session(c->env->zk)) {
		c->registered = c->writing;
		c->revision++;		/* what it says is unknown: write it again */
	} else if (r->err == KP_OK) {
		log_warn("group path=%s id=%s: in use by another session", c->base, c->id);
		c->maybe_registered = false;
		c->clashes++;
		members_name(c);
	} else if (r->err != KP_ENOTFOUND) {
		members_pause(c, r->err, "our registration cannot be read");
		return;
	}
	members_enter(c, STEP_REGISTER);
}

static void
created(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;
	char path[PATH_CAP];

	if (r->err == KP_OK) {
		registered(c);
	} else if (r->err == KP_ENOTFOUND) {
		group_path(c, path, "/ids");
		zk_make(c->u, path, parents_made, c);
	} else if (r->err == KP_ECONFLICT) {
		members_path(c, path);
		zk_exists(c->u, path, present_looked, c);
	} else {
		members_pause(c, r->err, "we cannot register");
	}
}

static void
replaced(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;

	if (r->err == KP_OK) {
		registered(c);
	} else if (r->err == KP_ENOTFOUND || r->err == KP_ECONFLICT) {
		c->registered = 0;	/* somebody has deleted it */
		members_enter(c, STEP_REGISTER);
	} else {
		members_pause(c, r->err, "we cannot register");
	}
}

static void
unregistered(void *arg, const struct zk_result *r)
{
	struct coordination *c = arg;

	if (r->err != KP_OK && r->err != KP_ENOTFOUND) {
		members_pause(c, r->err, "our registration cannot be deleted");
		return;
	}
	c->registered = 0;
	c->maybe_registered = false;
	members_enter(c, members_any_topic(c) ? STEP_REGISTER : STEP_IDLE);
}

static enum kp_err
print_topics(const struct coordination *c, struct kp_buf *out)
{
	const char **topics;
	enum kp_err err;
	size_t n = 0;

	for (const struct ztopic *t = c->topics; t; t = t->next)
		n += t->subscribed;
	topics = calloc(n, sizeof(*topics));
	if (topics == NULL)
		return KP_ENOMEM;
	n = 0;
	for (const struct ztopic *t = c->topics; t; t = t->next)
		if (t->subscribed)
			topics[n++] = t->name;
	err = registration_print(topics, n, clock_wall_ms() / 1000, out);
	free(topics);
	return err;
}

static void
write_registration(struct coordination *c)
{
	char path[PATH_CAP];
	struct kp_buf b;

	kp_buf_init(&b, REGISTRATION_LIMIT);
	members_path(c, path);
	if (print_topics(c, &b) != KP_OK) {
		members_pause(c, KP_ENOMEM, "we cannot register");
	} else if (c->registered) {
		c->writing = c->revision;
		zk_replace(c->u, path, kp_buf_slice(&b), replaced, c);
	} else {
		c->writing = c->revision;
		c->maybe_registered = true;
		zk_create(c->u, path, kp_buf_slice(&b), true, created, c);
	}
	kp_buf_free(&b);
}

void
members_register(struct coordination *c)
{
	char path[PATH_CAP];

	if (members_any_topic(c) && c->registered == c->revision) {
		members_enter(c, STEP_READ);
	} else if (members_any_topic(c)) {
		write_registration(c);
	} else if (c->maybe_registered) {
		members_path(c, path);
		zk_delete(c->u, path, -1, unregistered, c);
	} else {
		members_enter(c, STEP_IDLE);
	}
}
