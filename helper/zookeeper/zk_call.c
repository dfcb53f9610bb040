/*
 * Calls and watches: made on the loop, completed on the library's threads, which copy
 * and post, answered on the loop. The library does not answer what is under way when
 * its handle is closed, so zk_calls_end() does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zookeeper/zookeeper.h>

#include "helper/zookeeper/zk_private.h"

enum watch_kind { WATCH_DATA, WATCH_EXISTS, WATCH_CHILDREN };

/* The library calls back once with a change of the node, and for every event of the
 * session, which is skipped. */
struct watch {
	struct loop_task task;
	struct session *s;
	struct zk_user *u;
	unsigned generation;
	enum watch_kind kind;
	bool armed;			/* the call that set it has succeeded */
	bool posted;			/* by the library's thread */
	LIST_ENTRY(watch) link;
	char path[];			/* the user's */
};

struct call {
	struct loop_task task;
	struct session *s;		/* NULL: there was none, answered at once */
	struct zk_user *u;
	unsigned generation;
	struct watch *watch;
	zk_answer_fn *answer;
	void *arg;
	struct zk_result r;
	void *memory;			/* what r points into */
	bool posted;			/* by the library's thread */
	zoo_op_result_t results[2];
	LIST_ENTRY(call) link;
	char path[];			/* with the chroot */
};

static const struct {
	int rc;
	enum kp_err err;
} codes[] = {
	{ ZOK, KP_OK },
	{ ZNONODE, KP_ENOTFOUND },
	{ ZNODEEXISTS, KP_ECONFLICT },
	{ ZBADVERSION, KP_ECONFLICT },
	{ ZNOTEMPTY, KP_ECONFLICT },
	{ ZNOAUTH, KP_EDENIED },
	{ ZAUTHFAILED, KP_EDENIED },
	{ ZCONNECTIONLOSS, KP_EUNAVAIL },
	{ ZOPERATIONTIMEOUT, KP_EUNAVAIL },
	{ ZCLOSING, KP_EUNAVAIL },
	{ ZSESSIONEXPIRED, KP_EUNAVAIL },
	{ ZSESSIONMOVED, KP_EUNAVAIL },
	{ ZINVALIDSTATE, KP_EUNAVAIL },
	{ ZTHROTTLEDOP, KP_EUNAVAIL },
	{ ZNOTREADONLY, KP_EUNAVAIL },
};

static enum kp_err
err_of(int rc)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].rc == rc)
			return codes[i].err;
	return KP_EIO;
}

void *
zk_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		abort();
	return p;
}

/*
 * Watches.
 */

static void
watch_free(struct watch *w)
{
	LIST_REMOVE(w, link);
	zk_session_unref(w->s);
	zk_user_unref(w->u);
	free(w);
}

static void
watch_run(struct loop_task *t)
{
	struct watch *w = (struct watch *)t;
	struct zk_user *u = w->u;

	/* Unlinked first, so that a read from inside arms a new one. */
	LIST_REMOVE(w, link);
	if (!u->gone && w->generation == u->generation && u->on_watch)
		u->on_watch(u->arg, w->path);
	zk_session_unref(w->s);
	zk_user_unref(u);
	free(w);
}

/* Library thread. */
static void
watch_fired(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
	struct watch *w = arg;

	(void)zh;
	(void)state;
	(void)path;
	if (type == ZOO_SESSION_EVENT || w->posted)
		return;
	w->posted = true;
	loop_post(w->s->z->loop, &w->task);
}

/* The watch to hand to the library, or NULL when one is armed already. */
static struct watch *
watch_new(struct session *s, struct zk_user *u, enum watch_kind kind, const char *path)
{
	struct watch *w;
	size_t n = strlen(path) + 1;

	LIST_FOREACH(w, &s->watches, link)
		if (w->u == u && w->kind == kind && w->armed && strcmp(w->path, path) == 0) {
			w->generation = u->generation;
			return NULL;
		}
	w = zk_alloc(sizeof(*w) + n);
	w->task.run = watch_run;
	w->s = s;
	w->u = u;
	w->generation = u->generation;
	w->kind = kind;
	memcpy(w->path, path, n);
	atomic_fetch_add(&s->refs, 1);
	u->refs++;
	LIST_INSERT_HEAD(&s->watches, w, link);
	return w;
}

/*
 * Calls: made on the loop, completed on the library's thread, answered on the loop.
 */

static void
call_answer(struct loop_task *t)
{
	struct call *c = (struct call *)t;
	struct zk_user *u = c->u;
	bool missing;

	if (c->watch) {
		/* A watch for a node to appear stays, others need a node. */
		missing = c->r.err == KP_ENOTFOUND && c->watch->kind == WATCH_EXISTS;
		c->watch->armed = c->r.err == KP_OK || missing;
		if (!c->watch->armed)
			watch_free(c->watch);
	}
	if (c->s)
		LIST_REMOVE(c, link);
	if (!u->gone && c->generation == u->generation && c->answer)
		c->answer(c->arg, &c->r);
	if (c->s)
		zk_session_unref(c->s);
	zk_user_unref(u);
	free(c->memory);
	free(c);
}

/* Library thread, or the loop when the library did not take the call. */
static void
call_finish(struct call *c, int rc)
{
	if (c->r.err == KP_OK)		/* else there was no memory for the result */
		c->r.err = err_of(rc);
	c->posted = true;
	loop_post(c->u->z->loop, &c->task);
}

static void
on_void(int rc, const void *arg)
{
	call_finish((struct call *)(uintptr_t)arg, rc);
}

static void
on_string(int rc, const char *value, const void *arg)
{
	(void)value;
	call_finish((struct call *)(uintptr_t)arg, rc);
}

static void
set_stat(struct call *c, const struct Stat *st)
{
	c->r.version = st->version;
	c->r.owner = st->ephemeralOwner;
}

static void
on_stat(int rc, const struct Stat *st, const void *arg)
{
	struct call *c = (struct call *)(uintptr_t)arg;

	if (rc == ZOK)
		set_stat(c, st);
	call_finish(c, rc);
}

static void
on_data(int rc, const char *value, int n, const struct Stat *st, const void *arg)
{
	struct call *c = (struct call *)(uintptr_t)arg;

	if (rc == ZOK) {
		set_stat(c, st);
		n = n > 0 ? n : 0;
		c->memory = malloc((size_t)n + 1);
		if (c->memory == NULL)
			c->r.err = KP_ENOMEM;
		else if (n > 0)
			memcpy(c->memory, value, (size_t)n);
		c->r.data = (struct kp_slice){ c->memory, (size_t)n };
	}
	call_finish(c, rc);
}

/* One block: the pointers, then the names. */
static void
copy_names(struct call *c, const struct String_vector *v)
{
	size_t n = v->count > 0 ? (size_t)v->count : 0, bytes = (n + 1) * sizeof(char *);
	char **names;
	char *at;

	for (size_t i = 0; i < n; i++)
		bytes += strlen(v->data[i]) + 1;
	c->memory = names = malloc(bytes);
	if (names == NULL) {
		c->r.err = KP_ENOMEM;
		return;
	}
	at = (char *)(names + n + 1);
	for (size_t i = 0; i < n; i++) {
		names[i] = at;
		at = stpcpy(at, v->data[i]) + 1;
	}
	names[n] = NULL;
	c->r.names = names;
	c->r.n_names = n;
}

static void
on_names(int rc, const struct String_vector *v, const void *arg)
{
	struct call *c = (struct call *)(uintptr_t)arg;

	if (rc == ZOK)
		copy_names(c, v);
	call_finish(c, rc);
}

/* A call of path, ready for the library when c->s is set; else to be failed. */
static struct call *
call_new(struct zk_user *u, const char *path, zk_answer_fn *answer, void *arg)
{
	struct zk *z = u->z;
	const char *chroot = u == z->self ? "" : z->chroot;
	size_t n = strlen(chroot) + strlen(path) + 1;
	struct call *c = zk_alloc(sizeof(*c) + n);

	snprintf(c->path, n, "%s%s", chroot, path);
	c->task.run = call_answer;
	c->u = u;
	c->generation = u->generation;
	c->answer = answer;
	c->arg = arg;
	u->refs++;
	if (u == z->self ? z->connected : z->up) {
		c->s = z->s;
		atomic_fetch_add(&c->s->refs, 1);
		LIST_INSERT_HEAD(&c->s->calls, c, link);
	}
	return c;
}

/* After the library was asked: what it refused, it will not answer. */
static void
call_sent(struct call *c, int rc)
{
	if (rc != ZOK)
		call_finish(c, rc);
}

void
zk_create(struct zk_user *u, const char *path, struct kp_slice data, bool ephemeral,
    zk_answer_fn *answer, void *arg)
{
	struct call *c = call_new(u, path, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE : zoo_acreate(c->s->zh, c->path,
	    (const char *)data.p, (int)data.n, &ZOO_OPEN_ACL_UNSAFE,
	    ephemeral ? ZOO_EPHEMERAL : 0, on_string, c));
}

void
zk_replace(struct zk_user *u, const char *path, struct kp_slice data, zk_answer_fn *answer,
    void *arg)
{
	struct call *c = call_new(u, path, answer, arg);
	zoo_op_t ops[2];

	zoo_delete_op_init(&ops[0], c->path, -1);
	zoo_create_op_init(&ops[1], c->path, (const char *)data.p, (int)data.n,
	    &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0);
	call_sent(c, c->s == NULL ? ZINVALIDSTATE :
	    zoo_amulti(c->s->zh, 2, ops, c->results, on_void, c));
}

void
zk_delete(struct zk_user *u, const char *path, int32_t version, zk_answer_fn *answer, void *arg)
{
	struct call *c = call_new(u, path, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE :
	    zoo_adelete(c->s->zh, c->path, version, on_void, c));
}

static struct call *
read_new(struct zk_user *u, const char *path, bool watch, enum watch_kind kind,
    zk_answer_fn *answer, void *arg)
{
	struct call *c = call_new(u, path, answer, arg);

	if (watch && c->s)
		c->watch = watch_new(c->s, u, kind, path);
	return c;
}

void
zk_get(struct zk_user *u, const char *path, bool watch, zk_answer_fn *answer, void *arg)
{
	struct call *c = read_new(u, path, watch, WATCH_DATA, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE : zoo_awget(c->s->zh, c->path,
	    c->watch ? watch_fired : NULL, c->watch, on_data, c));
}

void
zk_exists(struct zk_user *u, const char *path, bool watch, zk_answer_fn *answer, void *arg)
{
	struct call *c = read_new(u, path, watch, WATCH_EXISTS, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE : zoo_awexists(c->s->zh, c->path,
	    c->watch ? watch_fired : NULL, c->watch, on_stat, c));
}

void
zk_children(struct zk_user *u, const char *path, bool watch, zk_answer_fn *answer, void *arg)
{
	struct call *c = read_new(u, path, watch, WATCH_CHILDREN, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE : zoo_awget_children(c->s->zh, c->path,
	    c->watch ? watch_fired : NULL, c->watch, on_names, c));
}

/* The library's threads have ended: nothing more comes from them but what is posted. */
void
zk_calls_end(struct session *s)
{
	struct call *c, *next_call;
	struct watch *w, *next_watch;

	for (c = LIST_FIRST(&s->calls); c; c = next_call) {
		next_call = LIST_NEXT(c, link);
		if (!c->posted)
			call_finish(c, ZCLOSING);
	}
	for (w = LIST_FIRST(&s->watches); w; w = next_watch) {
		next_watch = LIST_NEXT(w, link);
		if (w->posted)
			continue;
		/* Its call, if still on the way to its answer, must not free it again. */
		LIST_FOREACH(c, &s->calls, link)
			if (c->watch == w)
				c->watch = NULL;
		watch_free(w);
	}
}
