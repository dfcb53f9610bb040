/*
 * One session for all users: who is told what, when it counts as up, and the texts for
 * when it is not. The session is up when a server has answered and the chroot is there.
 *
 *	open -> up <-> down -> expired -> closed -> open ...
 */
#include "helper/zookeeper/zk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/json_out.h"
#include "common/log.h"
#include "helper/zookeeper/zk_private.h"
#include "helper/zookeeper/zk_servers.h"

#define REOPEN_MS 1000		/* pause after an open that failed */
#define CHROOT_MS 1000		/* pause after a chroot that could not be made */
#define FIRST_WARN_MS 5000	/* no server since the start: say so */

void
zk_user_unref(struct zk_user *u)
{
	if (--u->refs == 0)
		free(u);
}

/*
 * Up and down.
 */

/* A user may detach, or others attach, while all are told: who has gone is freed after. */
static void
told(struct zk *z)
{
	struct zk_user *u, *next;

	if (--z->telling > 0)
		return;
	for (u = LIST_FIRST(&z->users); u; u = next) {
		next = LIST_NEXT(u, link);
		if (u->gone) {
			LIST_REMOVE(u, link);
			zk_user_unref(u);
		}
	}
}

void
zk_tell(struct zk *z, enum zk_event e)
{
	struct zk_user *u;

	z->telling++;
	LIST_FOREACH(u, &z->users, link)
		if (!u->gone && u->on_event)
			u->on_event(u->arg, e);
	told(z);
}

void
zk_tell_changed(struct zk *z, const char *path)
{
	struct zk_user *u;

	z->telling++;
	LIST_FOREACH(u, &z->users, link)
		if (!u->gone && u->on_watch)
			u->on_watch(u->arg, path);
	told(z);
}

static void
suspect_fired(void *arg)
{
	struct zk *z = arg;

	log_warn("zk no connection servers=%s for_ms=%" PRId64 ": %s", z->hosts,
	    loop_now_ms(z->loop) - z->down_since_ms, zk_session_cause());
	zk_tell(z, ZK_SUSPECT);
}

/* While we stood still the session may have ended, and others may have what was ours. A
 * connection that is there all the same is taken as a new one: everything is looked at. */
static void
paused(void *arg, int64_t ms)
{
	struct zk *z = arg;

	log_warn("zk this process stood still for_ms=%" PRId64 ": nothing that was held is trusted",
	    ms);
	zk_tell(z, ZK_SUSPECT);
	if (!z->up)
		return;
	zk_tell(z, ZK_DOWN);
	zk_tell(z, ZK_UP);
}

static void
announce_up(struct zk *z)
{
	z->up = true;
	loop_timer_end(&z->suspect);
	zk_session_cause_clear();
	loop_pause_set(z->loop, &z->pause, z->s->timeout_ms / 3, paused, z);
	log_info("zk up session=0x%" PRIx64 " timeout_ms=%d", (uint64_t)z->session,
	    z->s->timeout_ms);
	zk_abandon_retry(z);
	zk_tell(z, ZK_UP);
}

static void chroot_retry(void *arg);

static void
chroot_made(void *arg, const struct zk_result *r)
{
	struct zk *z = arg;

	if (!z->connected || z->up)
		return;
	z->chroot_err = r->err;
	z->chroot_ok = r->err == KP_OK;
	if (z->chroot_ok) {
		announce_up(z);
		return;
	}
	log_warn("zk chroot path=%s: %s", z->chroot, kp_err_text(r->err));
	loop_timer_set(z->loop, &z->timer, CHROOT_MS, 0, chroot_retry, z);
}

/* A chroot that is there is not created: its parent's ACL may forbid even the try. */
static void
chroot_looked(void *arg, const struct zk_result *r)
{
	struct zk *z = arg;

	if (r->err == KP_ENOTFOUND)
		zk_make(z->self, "", chroot_made, z);
	else
		chroot_made(z, r);
}

static void
chroot_retry(void *arg)
{
	struct zk *z = arg;

	if (z->connected && !z->up)
		zk_exists(z->self, z->chroot, chroot_looked, z);
}

void
zk_went_up(struct zk *z, struct session *s, int64_t id)
{
	if (z->connected)
		return;
	z->connected = true;
	if (s->id == 0) {
		s->id = z->session = id;
		z->sessions++;
	}
	if (z->chroot_ok || z->chroot[0] == '\0')
		announce_up(z);
	else
		chroot_retry(z);
}

void
zk_went_down(struct zk *z, struct session *s)
{
	bool was_up = z->up;

	if (!z->connected)
		return;
	z->connected = z->up = false;
	z->down_since_ms = loop_now_ms(z->loop);
	log_warn("zk down session=0x%" PRIx64 ": %s", (uint64_t)z->session, zk_session_cause());
	/*
	 * Claims are held until 2/3 of the time-out have passed since the last word of a server.
	 * After so long the library gives up a silent one; a connection that broke has had
	 * its last ping 1/3 ago at most.
	 */
	loop_timer_set(z->loop, &z->suspect, zk_session_was_silent() ? 0 : s->timeout_ms / 3, 0,
	    suspect_fired, z);
	if (was_up)
		zk_tell(z, ZK_DOWN);
}

/*
 * Opening and closing.
 */

static void
zk_free(struct zk *z)
{
	loop_pause_end(&z->pause);
	loop_timer_end(&z->timer);
	loop_timer_end(&z->suspect);
	loop_timer_end(&z->limit);
	zk_abandon_free(z);
	if (z->self)
		zk_detach(z->self);
	free(z->hosts);
	free(z->chroot);
	free(z);
}

static void
close_limit(void *arg)
{
	struct zk *z = arg;
	void (*done)(void *) = z->done;

	z->done = NULL;			/* the rest goes when the worker comes back */
	if (done)
		done(z->done_arg);
}

static void
end_run(struct loop_task *t)
{
	struct zk *z = loop_owner(t, struct zk, end);

	close_limit(z);
	zk_free(z);
}

/* Posted, so that answers on their way come first. */
static void
end(struct zk *z)
{
	z->end.run = end_run;
	loop_post(z->loop, &z->end);
}

static void
reopen(void *arg)
{
	zk_session_open(arg);
}

void
zk_session_closed(struct zk *z)
{
	if (z->closing)
		end(z);
	else
		zk_session_open(z);
}

void
zk_session_failed(struct zk *z)
{
	if (z->closing)
		end(z);
	else
		loop_timer_set(z->loop, &z->timer, REOPEN_MS, 0, reopen, z);
}

enum kp_err
zk_open(struct loop *l, const char *servers, struct zk **out)
{
	char *hosts, *chroot;
	enum kp_err err = zk_servers_parse(servers, &hosts, &chroot);
	struct zk *z;

	*out = NULL;
	if (err)
		return err;
	z = zk_alloc(sizeof(*z));
	z->loop = l;
	z->down_since_ms = loop_now_ms(l);
	z->hosts = hosts;
	z->chroot = chroot;
	z->self = zk_attach(z, NULL, NULL, NULL);
	loop_timer_set(l, &z->suspect, FIRST_WARN_MS, 0, suspect_fired, z);
	zk_session_open(z);
	*out = z;
	return KP_OK;
}

void
zk_close(struct zk *z, void (*done)(void *arg), void *arg)
{
	z->closing = true;
	z->done = done;
	z->done_arg = arg;
	loop_timer_set(z->loop, &z->limit, ZK_CLOSE_MS, 0, close_limit, z);
	loop_timer_end(&z->suspect);
	if (z->job_busy)
		return;			/* its end comes back here */
	if (z->s)
		zk_session_close(z);
	else
		end(z);
}

bool
zk_up(const struct zk *z)
{
	return z->up;
}

int64_t
zk_session(const struct zk *z)
{
	return z->session;
}

unsigned
zk_session_count(const struct zk *z)
{
	return z->sessions;
}

static void
put_down(struct zk *z)
{
	int64_t down_ms = loop_now_ms(z->loop) - z->down_since_ms;
	char since[JSON_TIME_MAX];

	json_time_text(clock_wall_ms() - down_ms, since);
	snprintf(z->trouble, sizeof(z->trouble), "no connection to ZooKeeper at %s since %s (%s)",
	    z->hosts, since, zk_session_cause());
}

const char *
zk_trouble(struct zk *z)
{
	if (z->up)
		return NULL;
	if (z->connected)
		snprintf(z->trouble, sizeof(z->trouble),
		    "ZooKeeper does not let us use the chroot %s: %s", z->chroot,
		    z->chroot_err ? kp_err_text(z->chroot_err) : "still being looked up");
	else
		put_down(z);
	return z->trouble;
}

struct zk_user *
zk_attach(struct zk *z, void (*on_event)(void *arg, enum zk_event e),
    void (*on_watch)(void *arg, const char *path), void *arg)
{
	struct zk_user *u = zk_alloc(sizeof(*u));

	u->z = z;
	u->refs = 1;
	u->on_event = on_event;
	u->on_watch = on_watch;
	u->arg = arg;
	LIST_INSERT_HEAD(&z->users, u, link);
	return u;
}

void
zk_detach(struct zk_user *u)
{
	u->gone = true;
	if (u->z->telling > 0)
		return;			/* swept by told() */
	LIST_REMOVE(u, link);
	zk_user_unref(u);
}

void
zk_forget(struct zk_user *u)
{
	u->generation++;
}
