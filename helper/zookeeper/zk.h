/*
 * The helper's one ZooKeeper session, in our own words.
 *
 * The session is opened at the start and kept for ever: it works when no server
 * is there yet, and an expired session is replaced by a new one. Paths are below
 * the chroot of --zookeeperPeers, which is made when it is missing.
 *
 * Each part of the program that talks to ZooKeeper is a user. Answers belong to a
 * user and stop when it detaches, so none meets freed memory. Every call is answered
 * once, later, from the loop, whatever becomes of the session. Watches belong to nobody.
 *
 * Loop thread only. The client's own threads do nothing but copy and post.
 */
#ifndef KP_ZK_H
#define KP_ZK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "helper/loop.h"

struct zk;
struct zk_user;

#define ZK_SESSION_TIMEOUT_MS 15000
#define ZK_CLOSE_MS 5000

enum zk_event {
	ZK_UP,		/* connected, chroot there; by zk_session() the same session or a new one */
	ZK_DOWN,	/* no connection; the session, its nodes and watches may survive */
	ZK_SUSPECT,	/* down for so long that the servers may have ended the session by now */
	ZK_EXPIRED,	/* they have: its ephemeral nodes are gone; a new one is being opened */
};

/*
 * `servers` is --zookeeperPeers, see zk_servers_parse() for it and for errors. It never
 * waits for a server.
 */
enum kp_err zk_open(struct loop *l, const char *servers, struct zk **out);
/* Ends the session (its ephemeral nodes go), then done(arg), at the latest after
 * ZK_CLOSE_MS. All users have detached. */
void zk_close(struct zk *z, void (*done)(void *arg), void *arg);

bool zk_up(const struct zk *z);
/* The id of the latest session, 0 before the first, and how many there were. */
int64_t zk_session(const struct zk *z);
unsigned zk_session_count(const struct zk *z);
/* NULL when up; else what is wrong and since when, for users; valid until the next call. */
const char *zk_trouble(struct zk *z);

/* on_watch is told each path that changed, once for all that have watched it, whoever has:
 * it looks at those that concern it. Both may be NULL. */
struct zk_user *zk_attach(struct zk *z, void (*on_event)(void *arg, enum zk_event e),
    void (*on_watch)(void *arg, const char *path), void *arg);
void zk_detach(struct zk_user *u);
/* As detach and attach: what is under way is not answered. */
void zk_forget(struct zk_user *u);

/* Borrowed during the answer. */
struct zk_result {
	enum kp_err err;
	struct kp_slice data;		/* get */
	char *const *names;		/* children */
	size_t n_names;
	int32_t version;		/* get, exists */
	int64_t owner;			/* get, exists: session of an ephemeral node, else 0 */
};

/*
 * KP_ENOTFOUND: the node (create: its parent) is not there. KP_ECONFLICT: it exists
 * already (create), has another version or children (delete). KP_EDENIED: its ACL.
 * KP_EUNAVAIL: no connection, or lost on the way: it may or may not have been done.
 * KP_ENOMEM: the answer had no room. KP_EIO: any other.
 */
typedef void zk_answer_fn(void *arg, const struct zk_result *r);

void zk_create(struct zk_user *u, const char *path, struct kp_slice data, bool ephemeral,
    zk_answer_fn *answer, void *arg);
/* An empty persistent node, and those above it that are missing. */
void zk_make(struct zk_user *u, const char *path, zk_answer_fn *answer, void *arg);
/* Delete and create again (ephemeral) as one change: others see a change of the
 * parent's children, and never a state between. */
void zk_replace(struct zk_user *u, const char *path, struct kp_slice data,
    zk_answer_fn *answer, void *arg);
/* version -1: any */
void zk_delete(struct zk_user *u, const char *path, int32_t version,
    zk_answer_fn *answer, void *arg);
void zk_exists(struct zk_user *u, const char *path, zk_answer_fn *answer, void *arg);
/* With `watch`, on_watch is called with the next change. A path has one watch, which stays
 * until then, at the latest until the node goes. */
void zk_get(struct zk_user *u, const char *path, bool watch, zk_answer_fn *answer, void *arg);
void zk_children(struct zk_user *u, const char *path, bool watch, zk_answer_fn *answer,
    void *arg);

/*
 * Deletes the node if it belongs to the present session: now, or as soon as the
 * session is connected again. For owners that go without waiting.
 */
void zk_abandon(struct zk *z, const char *path);

#endif
