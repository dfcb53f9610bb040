/*
 * The library's handle. Opening it resolves names and closing it waits for a server, so
 * both run on a worker. An expired handle is dead: it is closed and another one opened.
 */
#include "helper/zookeeper/zk_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zookeeper/zookeeper.h>

#include "common/log.h"
#include "helper/threads.h"
#include "helper/zookeeper/zk_servers.h"

/* The state and id of a session event, on its way to the loop. */
struct news {
	struct loop_task task;
	struct session *s;
	int state;
	int64_t id;
	int timeout_ms;
};

/* errno of the library's latest connection error; its log is the only place that tells. */
static atomic_int last_errno;
static atomic_int last_code;

void
zk_session_unref(struct session *s)
{
	if (atomic_fetch_sub(&s->refs, 1) == 1)
		free(s);
}

/* Any thread of the library: it says at which address what failed, line by line. */
static void
library_log(const char *message)
{
	const char *e = strstr(message, "errno="), *code = strstr(message, "retcode=");

	if (code)
		atomic_store(&last_code, (int)strtol(code + 8, NULL, 10));
	if (e)
		atomic_store(&last_errno, (int)strtol(e + 6, NULL, 10));
	log_debug("zk library: %s", message);
}

const char *
zk_session_cause(void)
{
	int e = atomic_load(&last_errno);

	if (e == EHOSTDOWN)		/* the library's own choice for it */
		return "the server has closed the connection";
	return e ? strerror(e) : "no answer";
}

bool
zk_session_was_silent(void)
{
	return atomic_load(&last_code) == ZOPERATIONTIMEOUT;
}

void
zk_session_cause_clear(void)
{
	atomic_store(&last_errno, 0);
	atomic_store(&last_code, 0);
}

static void
session_event(struct session *s, int state, int64_t id)
{
	struct zk *z = s->z;

	if (s->dead)
		return;
	if (!s->open) {
		s->early = true;
		s->early_state = state;
		s->early_id = id;
		return;
	}
	if (state == ZOO_CONNECTED_STATE) {
		zk_went_up(z, s, id);
		return;
	}
	zk_went_down(z, s);
	if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE) {
		log_warn("zk session ended session=0x%" PRIx64 " state=%d", (uint64_t)s->id,
		    state);
		zk_session_close(z);
		zk_tell(z, ZK_EXPIRED);
	}
}

static void
news_run(struct loop_task *t)
{
	struct news *n = (struct news *)t;

	n->s->timeout_ms = n->timeout_ms;
	session_event(n->s, n->state, n->id);
	zk_session_unref(n->s);
	free(n);
}

/* Library thread. */
static void
on_session_event(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
	struct session *s = arg;
	struct news *n;

	(void)path;
	if (type != ZOO_SESSION_EVENT)
		return;
	n = zk_alloc(sizeof(*n));
	n->task.run = news_run;
	n->s = s;
	n->state = state;
	n->id = zoo_client_id(zh)->client_id;
	n->timeout_ms = zoo_recv_timeout(zh);
	atomic_fetch_add(&s->refs, 1);
	loop_post(s->z->loop, &n->task);
}

/*
 * Opening and closing, on a worker. One job at a time: z->job is either.
 */

static void
open_work(struct loop_job *j)
{
	struct zk *z = loop_owner(j, struct zk, job);
	char *hosts = zk_servers_bare(z->hosts);

	zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
	/* Two threads, without which it ends the process. */
	errno = hosts ? EAGAIN : ENOMEM;
	if (hosts && threads_fit(2))
		z->s->zh = zookeeper_init2(hosts, on_session_event, ZK_SESSION_TIMEOUT_MS, NULL,
		    z->s, ZOO_NO_LOG_CLIENTENV, library_log);
	if (z->s->zh == NULL)
		atomic_store(&last_errno, errno);
	free(hosts);
}

static void
open_done(struct loop_job *j)
{
	struct zk *z = loop_owner(j, struct zk, job);
	struct session *s = z->s;

	z->job_busy = false;
	if (s->zh == NULL) {
		log_debug("zk open servers=%s: %s", z->hosts, zk_session_cause());
		z->s = NULL;
		s->dead = true;
		zk_session_unref(s);
		zk_session_failed(z);
		return;
	}
	s->open = true;
	if (z->closing)
		zk_session_close(z);
	else if (s->early)
		session_event(s, s->early_state, s->early_id);
}

void
zk_session_open(struct zk *z)
{
	struct session *s = zk_alloc(sizeof(*s));

	s->z = z;
	s->timeout_ms = ZK_SESSION_TIMEOUT_MS;
	atomic_init(&s->refs, 1);
	LIST_INIT(&s->calls);
	z->s = s;
	z->job.lane = LOOP_ZOOKEEPER;
	z->job.work = open_work;
	z->job.done = open_done;
	if (!loop_work(z->loop, &z->job)) {
		z->s = NULL;
		zk_session_unref(s);
		zk_session_failed(z);
		return;
	}
	z->job_busy = true;
}

static void
close_work(struct loop_job *j)
{
	struct zk *z = loop_owner(j, struct zk, job);

	zookeeper_close(z->ending->zh);
}

static void
close_done(struct loop_job *j)
{
	struct zk *z = loop_owner(j, struct zk, job);
	struct session *s = z->ending;

	z->job_busy = false;
	z->ending = NULL;
	zk_calls_end(s);
	zk_session_unref(s);
	zk_session_closed(z);
}

void
zk_session_close(struct zk *z)
{
	z->s->dead = true;
	z->ending = z->s;
	z->s = NULL;
	z->connected = z->up = false;
	z->job.work = close_work;
	z->job.done = close_done;
	z->job_busy = true;
	loop_work_last(z->loop, &z->job);
}
