/*
 * Who owns what of a topic: /consumers/<group>/owners/<topic>/<partition>, for one group
 * or for all. Reads fan out; what vanishes between two of them is simply not there.
 *
 *	groups -> partitions of each -> owner of each -> sorted rows -> answer
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "helper/coordination/group_zookeeper_state.h"

struct asking;

/* One read that is under way. */
struct look {
	struct asking *a;
	int32_t partition;
	LIST_ENTRY(look) link;
	char group[];
};

struct row {
	char *group;
	char *member;
	int32_t partition;
};

struct asking {
	const struct coordination_env *env;
	struct zk_user *u;
	struct loop_timer timer;
	char topic[TOPIC_MAX + 1];
	bool all;			/* groups */
	enum kp_err err;		/* the first one that matters */
	LIST_HEAD(, look) looks;
	struct row *rows;
	size_t n;
	size_t cap;
	coordination_consumers_fn *answer;
	void *arg;
};

static void
fail(struct asking *a, enum kp_err err)
{
	if (a->err == KP_OK)
		a->err = err;
}

static struct look *
look_new(struct asking *a, const char *group, int32_t partition)
{
	size_t n = strlen(group) + 1;
	struct look *l = calloc(1, sizeof(*l) + n);

	if (l == NULL) {
		fail(a, KP_ENOMEM);
		return NULL;
	}
	l->a = a;
	l->partition = partition;
	memcpy(l->group, group, n);
	LIST_INSERT_HEAD(&a->looks, l, link);
	return l;
}

static void
look_free(struct look *l)
{
	LIST_REMOVE(l, link);
	free(l);
}

static void
asking_free(struct asking *a)
{
	zk_detach(a->u);
	loop_timer_end(&a->timer);
	while (!LIST_EMPTY(&a->looks))
		look_free(LIST_FIRST(&a->looks));
	for (size_t i = 0; i < a->n; i++) {
		free(a->rows[i].group);
		free(a->rows[i].member);
	}
	free(a->rows);
	free(a);
}

/*
 * The answer.
 */

static int
compare_rows(const void *va, const void *vb)
{
	const struct row *a = va, *b = vb;
	int d = strcmp(a->group, b->group);

	if (d == 0)
		d = strcmp(a->member, b->member);
	return d ? d : (a->partition > b->partition) - (a->partition < b->partition);
}

static bool
same_member(const struct row *a, const struct row *b)
{
	return strcmp(a->group, b->group) == 0 && strcmp(a->member, b->member) == 0;
}

/* Sorted rows, one for each partition, become one for each member. */
static enum kp_err
group_rows(struct asking *a, struct msg_consumers *out)
{
	struct msg_consumer *m = NULL;

	out->v = calloc(a->n + 1, sizeof(*out->v));
	if (out->v == NULL)
		return KP_ENOMEM;
	for (size_t i = 0; i < a->n; i++) {
		if (i == 0 || !same_member(&a->rows[i - 1], &a->rows[i])) {
			m = &out->v[out->n];
			m->group = kp_slice_str(a->rows[i].group);
			m->member = kp_slice_str(a->rows[i].member);
			/* Room for all that are left: no member is counted first. */
			m->partitions = calloc(a->n - i, sizeof(*m->partitions));
			if (m->partitions == NULL)
				return KP_ENOMEM;
			out->n++;
		}
		m->partitions[m->n++] = a->rows[i].partition;
	}
	return KP_OK;
}

static void
answer(struct asking *a, enum kp_err err)
{
	struct msg_consumers found = { 0 };
	const char *text = NULL;

	if (err == KP_OK && a->n > 0)
		qsort(a->rows, a->n, sizeof(*a->rows), compare_rows);
	if (err == KP_OK)
		err = group_rows(a, &found);
	if (err == KP_ENOTFOUND)
		text = "either group or topic is incorrect";
	else if (err == KP_EUNAVAIL)
		text = zk_trouble(a->env->zk);
	else if (err == KP_EDENIED)
		text = "ZooKeeper does not let us read who owns what";
	if (err == KP_EUNAVAIL && text == NULL)
		text = "ZooKeeper did not answer in time";
	a->answer(a->arg, err, text ? text : kp_err_text(err), &found);
	msg_consumers_free(&found);
	asking_free(a);
}

static void
late(void *arg)
{
	answer(arg, KP_EUNAVAIL);
}

/* The read is over; so is the asking with the last one. */
static void
look_done(struct look *l)
{
	struct asking *a = l->a;

	look_free(l);
	if (LIST_EMPTY(&a->looks))
		answer(a, a->err);
}

/*
 * The reads.
 */

static void
add_row(struct asking *a, const char *group, int32_t partition, struct kp_slice owner)
{
	struct row *r;

	if (owner.n == 0 || owner.n > MEMBER_MAX || memchr(owner.p, '\0', owner.n))
		return;			/* nobody's name */
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 16;

		r = a->cap < CONSUMERS_MAX ? realloc(a->rows, cap * sizeof(*r)) : NULL;
		if (r == NULL) {
			fail(a, a->cap < CONSUMERS_MAX ? KP_ENOMEM : KP_ETOOBIG);
			return;
		}
		a->rows = r;
		a->cap = cap;
	}
	r = &a->rows[a->n];
	*r = (struct row){ strdup(group), kp_slice_dup(owner), partition };
	a->n++;
	if (r->group == NULL || r->member == NULL)
		fail(a, KP_ENOMEM);
}

static void
owner_read(void *arg, const struct zk_result *r)
{
	struct look *l = arg;

	if (r->err == KP_OK)
		add_row(l->a, l->group, l->partition, r->data);
	else if (r->err != KP_ENOTFOUND)
		fail(l->a, r->err);
	look_done(l);
}

/* Decimal without padding; -1: not the name of a partition. */
static int32_t
partition_of(const char *name)
{
	char again[16];
	long n = strtol(name, NULL, 10);

	if (n < 0 || n > INT32_MAX)
		return -1;
	snprintf(again, sizeof(again), "%ld", n);
	return strcmp(again, name) == 0 ? (int32_t)n : -1;
}

static void
partitions_read(void *arg, const struct zk_result *r)
{
	struct look *l = arg, *next;
	struct asking *a = l->a;
	char path[PATH_CAP];

	if (r->err && (r->err != KP_ENOTFOUND || !a->all))
		fail(a, r->err);
	for (size_t i = 0; r->err == KP_OK && i < r->n_names; i++) {
		int32_t partition = partition_of(r->names[i]);

		next = partition < 0 ? NULL : look_new(a, l->group, partition);
		if (next == NULL)
			continue;
		snprintf(path, sizeof(path), "/consumers/%s/owners/%s/%d", l->group, a->topic,
		    partition);
		zk_get(a->u, path, false, owner_read, next);
	}
	look_done(l);
}

static void
read_group(struct asking *a, const char *group)
{
	struct look *l = look_new(a, group, -1);
	char path[PATH_CAP];

	if (l == NULL)
		return;
	snprintf(path, sizeof(path), "/consumers/%s/owners/%s", group, a->topic);
	zk_children(a->u, path, false, partitions_read, l);
}

static void
groups_read(void *arg, const struct zk_result *r)
{
	struct look *l = arg;
	struct asking *a = l->a;

	if (r->err && r->err != KP_ENOTFOUND)
		fail(a, r->err);
	for (size_t i = 0; r->err == KP_OK && i < r->n_names; i++)
		if (msg_group_ok(kp_slice_str(r->names[i])))
			read_group(a, r->names[i]);
	look_done(l);
}

void
zookeeper_consumers(const struct coordination_env *env, const char *topic, const char *group,
    int64_t deadline_ms, coordination_consumers_fn *fn, void *arg)
{
	struct asking *a = calloc(1, sizeof(*a));
	struct msg_consumers none = { 0 };
	struct look *l;

	if (a == NULL) {
		fn(arg, KP_ENOMEM, kp_err_text(KP_ENOMEM), &none);
		return;
	}
	a->env = env;
	a->all = group == NULL;
	a->answer = fn;
	a->arg = arg;
	snprintf(a->topic, sizeof(a->topic), "%s", topic);
	LIST_INIT(&a->looks);
	a->u = zk_attach(env->zk, NULL, NULL, NULL);
	loop_timer_set(env->loop, &a->timer, deadline_ms, 0, late, a);
	if (group) {
		read_group(a, group);
	} else {
		l = look_new(a, "", -1);
		if (l)
			zk_children(a->u, "/consumers", false, groups_read, l);
	}
	/* Without memory for the first read it ends at its deadline. */
}
