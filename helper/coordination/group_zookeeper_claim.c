/*
 * Owner nodes: one ephemeral node a partition says who may read it.
 *
 *	FREE -> CREATE -> HELD -> REVOKED -> RELEASE -> FREE
 *	  ^       |                             |
 *	  +- WAIT <                 CREATE <----+  wanted again meanwhile
 *
 * A node is ours when it was made in this session and says our id: one that merely
 * says our id may belong to a session that is about to end. Whatever was under way when
 * the connection went may have been done; such a claim is in RELEASE, from where it is
 * found to be ours or deleted. A node of ours that others delete is noticed by a watch.
 */
#include "common/fault.h"
#include "common/log.h"
#include "helper/coordination/group_zookeeper_state.h"

static void claim_create(struct claim *k);

void
claim_enter(struct claim *k, enum claim_state next)
{
	static const char *const names[] = {
		[CLAIM_FREE] = "free", [CLAIM_CREATE] = "create", [CLAIM_WAIT] = "wait",
		[CLAIM_HELD] = "held", [CLAIM_REVOKED] = "revoked", [CLAIM_RELEASE] = "release",
	};

	log_debug("claim path=%s topic=%s partition=%d state=%s next=%s", k->t->c->base,
	    k->t->name, k->partition, names[k->state], names[next]);
	k->state = next;
}

void
claim_path(const struct claim *k, char path[PATH_CAP])
{
	group_path(k->t->c, path, "/owners/%s/%d", k->t->name, k->partition);
}

static bool
session_is_ours(const struct claim *k, const struct zk_result *r)
{
	return r->owner == zk_session(k->t->c->env->zk);
}

static bool
id_is_ours(const struct claim *k, const struct zk_result *r)
{
	return kp_slice_eq(r->data, kp_slice_str(k->t->c->id));
}

/* The call is over and told us nothing that would lead on: try again. */
static void
claim_failed(struct claim *k, enum kp_err err, const char *what)
{
	struct coordination *c = k->t->c;

	k->busy = false;
	log_warn("claim path=%s topic=%s partition=%d: %s: %s", c->base, k->t->name, k->partition,
	    what, kp_err_text(err));
	claims_retry_later(c);
}

void
claim_lose(struct claim *k, enum claim_state next)
{
	struct coordination *c = k->t->c;
	bool told = k->state == CLAIM_HELD || k->state == CLAIM_REVOKED;

	k->doubt = false;
	claim_enter(k, next);
	if (told)
		c->events->lost(c->arg, k->t->name, k->partition);
}

/*
 * Held: is it still so?
 */

static void
claim_looked(void *arg, const struct zk_result *r)
{
	struct claim *k = arg;

	if (r->err == KP_OK && session_is_ours(k, r) && id_is_ours(k, r)) {
		k->doubt = false;
		k->busy = false;
	} else if (r->err == KP_OK || r->err == KP_ENOTFOUND) {
		log_warn("claim path=%s topic=%s partition=%d: somebody has deleted it",
		    k->t->c->base, k->t->name, k->partition);
		k->busy = false;
		claim_lose(k, CLAIM_FREE);
	} else {
		claim_failed(k, r->err, "cannot be looked at");
		return;
	}
	group_pump(k->t->c);
}

void
claim_look(struct claim *k)
{
	char path[PATH_CAP];

	k->busy = true;
	claim_path(k, path);
	zk_get(k->t->c->u, path, true, claim_looked, k);
}

/*
 * Claiming.
 */

static void
claim_held(struct claim *k)
{
	struct coordination *c = k->t->c;

	k->busy = false;
	fault_point("C6");
	if (k->wanted) {
		claim_enter(k, CLAIM_HELD);
		k->doubt = true;	/* look, for the watch */
		c->events->claimed(c->arg, k->t->name, k->partition);
	} else {
		claim_enter(k, CLAIM_RELEASE);
	}
	group_pump(c);
}

static void
stale_deleted(void *arg, const struct zk_result *r)
{
	struct claim *k = arg;

	if (r->err == KP_OK || r->err == KP_ENOTFOUND || r->err == KP_ECONFLICT) {
		claim_create(k);
	} else {
		claim_enter(k, CLAIM_RELEASE);
		claim_failed(k, r->err, "an old one of ours cannot be deleted");
	}
}

/* Who has it? */
static void
owner_read(void *arg, const struct zk_result *r)
{
	struct claim *k = arg;
	char path[PATH_CAP];

	if (r->err == KP_ENOTFOUND) {
		claim_create(k);
	} else if (r->err) {
		claim_enter(k, CLAIM_WAIT);
		claim_failed(k, r->err, "its owner cannot be read");
	} else if (session_is_ours(k, r) && id_is_ours(k, r)) {
		claim_held(k);
	} else if (session_is_ours(k, r) || id_is_ours(k, r)) {
		claim_path(k, path);
		zk_delete(k->t->c->u, path, r->version, stale_deleted, k);
	} else {
		k->busy = false;
		claim_enter(k, CLAIM_WAIT);
		claims_retry_later(k->t->c);
	}
}

static void
parent_made(void *arg, const struct zk_result *r)
{
	struct claim *k = arg;

	if (r->err == KP_OK) {
		claim_create(k);
	} else {
		claim_enter(k, CLAIM_WAIT);
		claim_failed(k, r->err, "its parents cannot be made");
	}
}

static void
claim_created(void *arg, const struct zk_result *r)
{
	struct claim *k = arg;
	char path[PATH_CAP];

	if (r->err == KP_OK) {
		claim_held(k);
	} else if (r->err == KP_ENOTFOUND) {
		group_path(k->t->c, path, "/owners/%s", k->t->name);
		zk_make(k->t->c->u, path, parent_made, k);
	} else if (r->err == KP_ECONFLICT) {
		claim_path(k, path);
		zk_get(k->t->c->u, path, true, owner_read, k);
	} else {
		claim_enter(k, r->err == KP_EUNAVAIL ? CLAIM_RELEASE : CLAIM_WAIT);
		claim_failed(k, r->err, "cannot be made");
	}
}

static void
claim_create(struct claim *k)
{
	char path[PATH_CAP];

	k->busy = true;
	k->t->c->tidy = true;
	if (k->state != CLAIM_CREATE)
		claim_enter(k, CLAIM_CREATE);
	claim_path(k, path);
	zk_create(k->t->c->u, path, kp_slice_str(k->t->c->id), true, claim_created, k);
}

/*
 * Releasing: only what is ours, and only the version that we have seen.
 */

static void
claim_deleted(void *arg, const struct zk_result *r)
{
	struct claim *k = arg;

	if (r->err == KP_OK || r->err == KP_ENOTFOUND) {
		k->busy = false;
		claim_enter(k, CLAIM_FREE);
		group_pump(k->t->c);
	} else {
		claim_failed(k, r->err, "cannot be released");
	}
}

static void
release_looked(void *arg, const struct zk_result *r)
{
	struct claim *k = arg;
	char path[PATH_CAP];

	if (r->err == KP_OK && session_is_ours(k, r)) {
		fault_point("C5");
		claim_path(k, path);
		zk_delete(k->t->c->u, path, r->version, claim_deleted, k);
	} else {
		claim_deleted(k, r);	/* it is gone, somebody else's, or cannot be read */
	}
}

static void
claim_release(struct claim *k)
{
	char path[PATH_CAP];

	k->busy = true;
	claim_path(k, path);
	zk_get(k->t->c->u, path, false, release_looked, k);
}

/* What is due, unless a call is under way. */
void
claim_step(struct claim *k)
{
	struct coordination *c = k->t->c;

	switch (k->state) {
	case CLAIM_FREE:
		if (k->wanted && c->fresh)
			claim_create(k);
		break;
	case CLAIM_WAIT:
		if (!k->wanted)
			claim_enter(k, CLAIM_FREE);
		break;
	case CLAIM_HELD:
		if (!k->wanted) {
			claim_enter(k, CLAIM_REVOKED);
			c->events->revoke(c->arg, k->t->name, k->partition);
		} else if (k->doubt) {
			claim_look(k);
		}
		break;
	case CLAIM_RELEASE:
		if (!k->wanted)
			claim_release(k);
		else if (c->fresh)
			claim_create(k);
		break;
	case CLAIM_CREATE:
	case CLAIM_REVOKED:
		break;
	}
}
