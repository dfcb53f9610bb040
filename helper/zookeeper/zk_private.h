/*
 * What the files of the ZooKeeper session share; zk.h is for everybody else.
 *
 *	zk.c		users, up and down, the chroot, open and close
 *	zk_servers.c	--zookeeperPeers
 *	zk_make.c	parents made, nodes abandoned
 *	zk_session.c	the library's handle: opened, closed, its events	libzookeeper
 *	zk_call.c	calls and watches					libzookeeper
 *
 * A session is one handle of the library with the calls that its threads may still touch;
 * they, and events on the way to the loop, hold references to it.
 */
#ifndef KP_ZK_PRIVATE_H
#define KP_ZK_PRIVATE_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "helper/zookeeper/zk.h"

struct _zhandle;		/* the library's */

struct session {
	struct _zhandle *zh;		/* the worker's until `open` */
	struct zk *z;
	atomic_int refs;
	bool open;
	bool dead;			/* handed to the close job */
	bool early;			/* an event came before `open` */
	int early_state;
	int64_t early_id;
	int64_t id;
	int timeout_ms;
	LIST_HEAD(, call) calls;
};

struct zk_user {
	struct zk *z;
	unsigned refs;
	unsigned generation;		/* of answers that still count */
	bool gone;
	void (*on_event)(void *arg, enum zk_event e);
	void (*on_watch)(void *arg, const char *path);
	void *arg;
	LIST_ENTRY(zk_user) link;
};

struct zk {
	struct loop *loop;
	char *hosts;			/* each with its port */
	char *chroot;			/* "" or "/a/b" */
	struct session *s;		/* NULL between two */
	struct session *ending;		/* the close job's */
	bool connected;
	bool up;			/* connected, and users were told so */
	bool chroot_ok;
	int64_t session;
	unsigned sessions;
	int64_t down_since_ms;
	enum kp_err chroot_err;
	char trouble[512];
	struct loop_timer timer;	/* reopen, or chroot again */
	struct loop_timer suspect;
	struct loop_timer limit;	/* of zk_close() */
	struct loop_pause pause;
	struct loop_job job;
	struct loop_task end;
	bool job_busy;
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
	struct zk_user *self;
	unsigned telling;		/* users are not freed meanwhile */
	LIST_HEAD(, zk_user) users;
	LIST_HEAD(, abandoned) abandoned;
};

/* zk_call.c. After the library's threads have ended: answers what is under way. */
void zk_calls_end(struct session *s);
/* Memory that must be there: these objects are small, and a call that is never answered
 * is worse than the end. */
void *zk_alloc(size_t n);

/* zk_session.c. Open and close run on a worker; the session's end comes back to
 * zk_session_closed(), an open that failed to zk_session_failed(). */
void zk_session_open(struct zk *z);
void zk_session_close(struct zk *z);
void zk_session_unref(struct session *s);
/* Why there is no connection, in words. */
const char *zk_session_cause(void);
/* True when it was given up because the server said nothing for 2/3 of the time-out. */
bool zk_session_was_silent(void);
void zk_session_cause_clear(void);

/* zk.c */
void zk_user_unref(struct zk_user *u);
void zk_went_up(struct zk *z, struct session *s, int64_t id);
void zk_went_down(struct zk *z, struct session *s);
void zk_tell(struct zk *z, enum zk_event e);
void zk_tell_changed(struct zk *z, const char *path);
void zk_session_closed(struct zk *z);
void zk_session_failed(struct zk *z);

/* zk_make.c. Tries again to delete what was abandoned; forgets older sessions'. */
void zk_abandon_retry(struct zk *z);
void zk_abandon_free(struct zk *z);

#endif
