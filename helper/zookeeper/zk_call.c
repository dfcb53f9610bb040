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

/* A watched node has changed: on its way to the loop. */
struct change {
	struct loop_task task;
	struct session *s;
	char path[];			/* with the chroot */
};

struct call {
	struct loop_task task;
	struct session *s;		/* NULL: there was none, answered at once */
	struct zk_user *u;
	unsigned generation;
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
 * Watches. The library keeps one for each path and argument until it fires, and cannot drop
 * one on servers before 3.5. All have the session for argument, so there is one a path,
 * however often it is asked for; it ends with the node.
 */

static void
change_run(struct loop_task *t)
{
	struct change *x = (struct change *)t;
	struct session *s = x->s;

	if (!s->dead)
		zk_tell_changed(s->z, x->path + strlen(s->z->chroot));
	zk_session_unref(s);
	free(x);
}

/* Library thread. It is called for every event of the session, too. */
static void
watch_fired(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
	struct session *s = arg;
	size_t n = strlen(path) + 1;
	struct change *x;

	(void)zh;
	(void)state;
	if (type == ZOO_SESSION_EVENT)
		return;
	x = zk_alloc(sizeof(*x) + n);
	memcpy(x->path, path, n);
	x->task.run = change_run;
	x->s = s;
	atomic_fetch_add(&s->refs, 1);
	loop_post(s->z->loop, &x->task);
}

/*
 * Calls: made on the loop, completed on the library's thread, answered on the loop.
 */

static void
call_answer(struct loop_task *t)
{
	struct call *c = (struct call *)t;
	struct zk_user *u = c->u;

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

void
zk_exists(struct zk_user *u, const char *path, zk_answer_fn *answer, void *arg)
{
	struct call *c = call_new(u, path, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE :
	    zoo_aexists(c->s->zh, c->path, 0, on_stat, c));
}

void
zk_get(struct zk_user *u, const char *path, bool watch, zk_answer_fn *answer, void *arg)
{
	struct call *c = call_new(u, path, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE : zoo_awget(c->s->zh, c->path,
	    watch ? watch_fired : NULL, c->s, on_data, c));
}

void
zk_children(struct zk_user *u, const char *path, bool watch, zk_answer_fn *answer, void *arg)
{
	struct call *c = call_new(u, path, answer, arg);

	call_sent(c, c->s == NULL ? ZINVALIDSTATE : zoo_awget_children(c->s->zh, c->path,
	    watch ? watch_fired : NULL, c->s, on_names, c));
}

/* The library's threads have ended: nothing more comes from them but what is posted. */
void
zk_calls_end(struct session *s)
{
	struct call *c, *next;

	for (c = LIST_FIRST(&s->calls); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->posted)
			call_finish(c, ZCLOSING);
	}
}
