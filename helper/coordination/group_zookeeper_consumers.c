/*
 * Who owns what of a topic: /consumers/<group>/owners/<topic>/<partition>, for one group
 * or for all. Reads fan out; what vanishes between two of them is simply not there.
 *
 *	groups -> partitions of each -> owner of each -> sorted rows -> answer
 *
 * There may be many thousand, and claims use the same connection. So few reads are under way
 * at a time, and questions wait in a line for each other; those about all groups, which take
 * long, in one of their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "helper/coordination/group_zookeeper_state.h"

#define READS_MAX 32			/* under way, of a line */

struct asking;

/* One read: waiting, then under way. */
struct look {
	struct asking *a;
	enum { LOOK_GROUPS, LOOK_PARTITIONS, LOOK_OWNER } what;
	int32_t partition;
	TAILQ_ENTRY(look) link;
	char group[];
};
TAILQ_HEAD(looks, look);

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
	struct looks waiting, reading;
	unsigned n_reading;
	TAILQ_ENTRY(asking) link;
	struct row *rows;
	size_t n;
	size_t cap;
	coordination_consumers_fn *answer;
	void *arg;
};

/* The first of each is being answered. The helper has one ZooKeeper. */
static TAILQ_HEAD(line, asking) lines[] = {
	TAILQ_HEAD_INITIALIZER(lines[0]), TAILQ_HEAD_INITIALIZER(lines[1]),
};

static struct line *
line_of(const struct asking *a)
{
	return &lines[a->all];
}

/* Owners are read before more of them are listed. */
static enum kp_err
look_add(struct asking *a, int what, const char *group, int32_t partition)
{
	size_t n = strlen(group) + 1;
	struct look *l = calloc(1, sizeof(*l) + n);

	if (l == NULL)
		return KP_ENOMEM;
	l->a = a;
	l->what = what;
	l->partition = partition;
	memcpy(l->group, group, n);
	if (what == LOOK_OWNER)
		TAILQ_INSERT_HEAD(&a->waiting, l, link);
	else
		TAILQ_INSERT_TAIL(&a->waiting, l, link);
	return KP_OK;
}

static void
looks_free(struct looks *list)
{
	struct look *l;

	while ((l = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, l, link);
		free(l);
	}
}

static void
asking_free(struct asking *a)
{
	zk_detach(a->u);
	loop_timer_end(&a->timer);
	looks_free(&a->waiting);
	looks_free(&a->reading);
	for (size_t i = 0; i < a->n; i++) {
		free(a->rows[i].group);
		free(a->rows[i].member);
	}
	free(a->rows);
	free(a);
}

static void read_more(struct asking *a);

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

/* It leaves its line, and the next one begins. */
static void
answer(struct asking *a, enum kp_err err)
{
	struct line *line = line_of(a);
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
	TAILQ_REMOVE(line, a, link);
	asking_free(a);
	a = TAILQ_FIRST(line);
	if (a && a->n_reading == 0)
		read_more(a);
}

static void
late(void *arg)
{
	answer(arg, KP_EUNAVAIL);
}

/* The read is over; the asking too, with an error or with the last one. */
static void
look_done(struct look *l, enum kp_err err)
{
	struct asking *a = l->a;

	TAILQ_REMOVE(&a->reading, l, link);
	a->n_reading--;
	free(l);
	if (err)
		answer(a, err);
	else
		read_more(a);
}

/*
 * The reads.
 */

static enum kp_err
add_row(struct asking *a, const char *group, int32_t partition, struct kp_slice owner)
{
	struct row *r;

	if (owner.n == 0 || owner.n > MEMBER_MAX || memchr(owner.p, '\0', owner.n))
		return KP_OK;		/* nobody's name */
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 16;

		r = a->cap < CONSUMERS_MAX ? realloc(a->rows, cap * sizeof(*r)) : NULL;
		if (r == NULL)
			return a->cap < CONSUMERS_MAX ? KP_ENOMEM : KP_ETOOBIG;
		a->rows = r;
		a->cap = cap;
	}
	r = &a->rows[a->n];
	*r = (struct row){ strdup(group), kp_slice_dup(owner), partition };
	a->n++;
	return r->group && r->member ? KP_OK : KP_ENOMEM;
}

static void
owner_read(void *arg, const struct zk_result *r)
{
	struct look *l = arg;
	enum kp_err err = r->err;

	if (err == KP_OK)
		err = add_row(l->a, l->group, l->partition, r->data);
	look_done(l, err == KP_ENOTFOUND ? KP_OK : err);
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
	struct look *l = arg;
	enum kp_err err = r->err == KP_ENOTFOUND && l->a->all ? KP_OK : r->err;

	for (size_t i = 0; r->err == KP_OK && err == KP_OK && i < r->n_names; i++) {
		int32_t partition = partition_of(r->names[i]);

		if (partition >= 0)
			err = look_add(l->a, LOOK_OWNER, l->group, partition);
	}
	look_done(l, err);
}

static void
groups_read(void *arg, const struct zk_result *r)
{
	struct look *l = arg;
	enum kp_err err = r->err == KP_ENOTFOUND ? KP_OK : r->err;

	for (size_t i = 0; r->err == KP_OK && err == KP_OK && i < r->n_names; i++)
		if (msg_group_ok(kp_slice_str(r->names[i])))
			err = look_add(l->a, LOOK_PARTITIONS, r->names[i], -1);
	look_done(l, err);
}

static void
look_start(struct look *l)
{
	struct asking *a = l->a;
	char path[PATH_CAP];

	switch (l->what) {
	case LOOK_GROUPS:
		zk_children(a->u, "/consumers", false, groups_read, l);
		break;
	case LOOK_PARTITIONS:
		snprintf(path, sizeof(path), "/consumers/%s/owners/%s", l->group, a->topic);
		zk_children(a->u, path, false, partitions_read, l);
		break;
	case LOOK_OWNER:
		snprintf(path, sizeof(path), "/consumers/%s/owners/%s/%d", l->group, a->topic,
		    l->partition);
		zk_get(a->u, path, false, owner_read, l);
		break;
	}
}

/* Of the first in its line: as many as may be under way, or the answer. */
static void
read_more(struct asking *a)
{
	struct look *l;

	while (a->n_reading < READS_MAX && (l = TAILQ_FIRST(&a->waiting)) != NULL) {
		TAILQ_REMOVE(&a->waiting, l, link);
		TAILQ_INSERT_TAIL(&a->reading, l, link);
		a->n_reading++;
		look_start(l);
	}
	if (a->n_reading == 0)
		answer(a, KP_OK);
}

void
group_zookeeper_consumers(const struct coordination_env *env, const char *topic, const char *group,
    int64_t deadline_ms, coordination_consumers_fn *fn, void *arg)
{
	struct asking *a = calloc(1, sizeof(*a));
	struct msg_consumers none = { 0 };

	if (a == NULL) {
		fn(arg, KP_ENOMEM, kp_err_text(KP_ENOMEM), &none);
		return;
	}
	a->env = env;
	a->all = group == NULL;
	a->answer = fn;
	a->arg = arg;
	snprintf(a->topic, sizeof(a->topic), "%s", topic);
	TAILQ_INIT(&a->waiting);
	TAILQ_INIT(&a->reading);
	a->u = zk_attach(env->zk, NULL, NULL, NULL);
	loop_timer_set(env->loop, &a->timer, deadline_ms, 0, late, a);
	TAILQ_INSERT_TAIL(line_of(a), a, link);
	if (look_add(a, group ? LOOK_PARTITIONS : LOOK_GROUPS, group ? group : "", -1) != KP_OK)
		answer(a, KP_ENOMEM);
	else if (TAILQ_FIRST(line_of(a)) == a)
		read_more(a);
}
