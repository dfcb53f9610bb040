/*
 * Two errands that outlive their askers: a path made with its parents, and nodes of
 * ours deleted once that is possible. Both run as the session's own user.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/zookeeper/zk_private.h"

#define MAKE_STEPS 64		/* for parents that vanish as fast as we make them */

/*
 * A path made from the first parent that exists:  /a/b/c  ->  /a/b  ->  /a, and back.
 * It runs as the session's own user, because the asker may go meanwhile.
 */
struct make {
	struct zk_user *u;
	unsigned generation;
	zk_answer_fn *answer;
	void *arg;
	size_t at;			/* path[0..at) is being created */
	size_t n;
	unsigned steps;
	char path[];
};

static void make_step(struct make *m);

static void
make_end(struct make *m, enum kp_err err)
{
	struct zk_result r = { .err = err };
	struct zk_user *u = m->u;

	if (!u->gone && m->generation == u->generation)
		m->answer(m->arg, &r);
	zk_user_unref(u);
	free(m);
}

static void
make_answer(void *arg, const struct zk_result *r)
{
	struct make *m = arg;
	const char *slash;

	if (r->err == KP_ENOTFOUND) {
		while (m->at > 0 && m->path[--m->at] != '/')
			;
		if (m->at == 0 || m->steps == MAKE_STEPS)
			make_end(m, KP_EUNAVAIL);
		else
			make_step(m);
	} else if (r->err != KP_OK && r->err != KP_ECONFLICT) {
		make_end(m, r->err);
	} else if (m->at == m->n) {
		make_end(m, KP_OK);
	} else {
		slash = strchr(m->path + m->at + 1, '/');
		m->at = slash ? (size_t)(slash - m->path) : m->n;
		make_step(m);
	}
}

static void
make_step(struct make *m)
{
	char next = m->path[m->at];

	m->steps++;
	m->path[m->at] = '\0';
	zk_create(m->u->z->self, m->path, LIT(""), false, make_answer, m);
	m->path[m->at] = next;
}

void
zk_make(struct zk_user *u, const char *path, zk_answer_fn *answer, void *arg)
{
	const char *chroot = u->z->chroot;
	size_t n = strlen(chroot) + strlen(path);
	struct make *m = zk_alloc(sizeof(*m) + n + 1);

	snprintf(m->path, n + 1, "%s%s", chroot, path);
	m->u = u;
	m->generation = u->generation;
	m->answer = answer;
	m->arg = arg;
	m->at = m->n = n;
	u->refs++;
	make_step(m);
}

/*
 * Nodes left behind.
 */

struct abandoned {
	struct zk *z;
	int64_t session;
	bool busy;
	LIST_ENTRY(abandoned) link;
	char path[];
};

static void
abandon_end(struct abandoned *a)
{
	LIST_REMOVE(a, link);
	free(a);
}

static void
abandon_deleted(void *arg, const struct zk_result *r)
{
	struct abandoned *a = arg;

	a->busy = false;
	if (r->err != KP_EUNAVAIL)
		abandon_end(a);
}

static void
abandon_looked(void *arg, const struct zk_result *r)
{
	struct abandoned *a = arg;

	a->busy = false;
	if (r->err == KP_OK && r->owner == a->session) {
		a->busy = true;
		zk_delete(a->z->self, a->path, r->version, abandon_deleted, a);
	} else if (r->err != KP_EUNAVAIL) {
		abandon_end(a);
	}
}

void
zk_abandon_retry(struct zk *z)
{
	struct abandoned *a, *next;

	for (a = LIST_FIRST(&z->abandoned); a; a = next) {
		next = LIST_NEXT(a, link);
		if (a->busy)
			continue;
		if (a->session != z->session) {
			abandon_end(a);
		} else if (z->connected) {
			a->busy = true;
			zk_exists(z->self, a->path, abandon_looked, a);
		}
	}
}

void
zk_abandon(struct zk *z, const char *path)
{
	size_t n = strlen(z->chroot) + strlen(path) + 1;
	struct abandoned *a = zk_alloc(sizeof(*a) + n);

	snprintf(a->path, n, "%s%s", z->chroot, path);
	a->z = z;
	a->session = z->session;
	LIST_INSERT_HEAD(&z->abandoned, a, link);
	zk_abandon_retry(z);
}

void
zk_abandon_free(struct zk *z)
{
	while (!LIST_EMPTY(&z->abandoned))
		abandon_end(LIST_FIRST(&z->abandoned));
}
