/*
 * What a group has to ask of Kafka in blocking calls: where partitions start,
 * that Kafka is there at all, and to set offsets. A job carries copies of all it
 * needs, so that its topic or group may go while it runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/sock.h"
#include "helper/consume/group_state.h"

#define START_TIMEOUT_MS 3000
#define RETRY_MANAGED_MS 2000
#define LEADER_WAIT_MS 500
#define LEADER_PAUSE_MS 50

struct group_job {
	struct loop_job job;		/* first */
	struct group_job *next;		/* of the group's sets */
	struct groups *gs;
	struct gtopic *t;		/* NULL: has gone, or none */
	struct group *g;		/* whose own consumer sets the offsets; or NULL */
	char group[GROUP_MAX + 1];
	char topic[TOPIC_MAX + 1];
	struct partition_offsets *v;
	size_t n;
	int timeout_ms;
	bool *led;			/* start: by partition, n_led of them */
	int32_t n_led;
	bool oldest;
	bool member;			/* the group's own consumer commits */
	bool stale;			/* others may have had the partitions meanwhile */
	int32_t first_new;
	enum kp_err err;
	char why[WHY_MAX];
	void (*done)(void *arg, enum kp_err err, const char *why);
	void *arg;
};

static struct group_job *
job_new(struct groups *gs, const char *group, const char *topic, void (*work)(struct loop_job *),
    void (*done)(struct loop_job *))
{
	struct group_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->gs = gs;
	j->job.work = work;
	j->job.done = done;
	snprintf(j->group, sizeof(j->group), "%s", group);
	snprintf(j->topic, sizeof(j->topic), "%s", topic);
	return j;
}

static void
job_free(struct group_job *j)
{
	partition_offsets_free(j->v, j->n);
	free(j->led);
	free(j);
}

void
topic_forget_jobs(struct gtopic *t)
{
	if (t->start)
		t->start->t = NULL;
	for (struct group_job *j = t->g->sets; j; j = j->next)
		if (j->t == t)
			j->t = NULL;
}

/* ---- where partitions start ---- */

static bool
all_led(const struct group_job *j)
{
	for (size_t i = 0; i < j->n; i++)
		if (!j->led[j->v[i].partition])
			return false;
	return true;
}

/* A partition without a leader must not keep the others from starting; one that was just
 * made gets its own in a moment. */
static enum kp_err
keep_led(struct group_job *j)
{
	int64_t until = sock_now_ms() + LEADER_WAIT_MS;
	enum kp_err err;
	int32_t there;
	size_t n = 0;

	for (;;) {
		err = kafka_admin_leaders(j->gs->env.admin, j->topic, j->led, j->n_led, &there,
		    j->timeout_ms, j->why);
		if (err || all_led(j) || sock_now_ms() >= until)
			break;
		uv_sleep(LEADER_PAUSE_MS);
	}
	for (size_t i = 0; err == KP_OK && i < j->n; i++)
		if (j->led[j->v[i].partition])
			j->v[n++] = j->v[i];
	if (err == KP_OK)
		j->n = n;
	return err;
}

/* The committed offset, or the nearest one that exists; for a new group the end or the
 * beginning. */
static void
settle_start(const struct group_job *j, struct partition_offsets *o)
{
	bool from_begin = j->oldest || o->partition >= j->first_new;
	int64_t start = o->committed >= 0 ? o->committed : from_begin ? o->begin : o->end;

	if (start < o->begin)
		start = o->begin;
	if (start > o->end)
		start = o->end;
	if (start == o->committed)
		return;
	o->committed = start;
	/* Acknowledged ranges above it come again: too rare to matter. */
	free(o->metadata);
	o->metadata = NULL;
}

/*
 * Worker. Where partitions start is committed before anything is answered, so that nothing
 * produced from now on can be skipped; and also when it was committed already, because
 * brokers that manage the group refuse it. A member commits back on the loop: so it knows
 * that it still is one.
 */
static void
start_work(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;
	struct kafka_admin *admin = j->gs->env.admin;

	j->err = keep_led(j);
	if (j->err == KP_OK && j->n)
		j->err = kafka_admin_offsets(admin, j->group, j->topic, j->v, j->n, j->timeout_ms,
		    j->why);
	if (j->err || j->n == 0)
		return;
	for (size_t i = 0; i < j->n; i++)
		settle_start(j, &j->v[i]);
	if (!j->member)
		j->err = kafka_admin_commit(admin, j->group, j->topic, j->v, j->n, j->timeout_ms,
		    j->why);
}

static void
start_failed(struct gtopic *t, enum kp_err err, const char *why)
{
	if (err == KP_ECONFLICT)
		why = KAFKA_ADMIN_MANAGED;
	else if (why[0] == '\0')
		why = kp_err_text(err);
	if (t->why[0] == '\0')
		log_warn("partitions cannot start group=%s topic=%s: %s", t->g->name, t->name, why);
	t->err = err;
	snprintf(t->why, sizeof(t->why), "%s", why);
	t->retry_ms = loop_now_ms(t->g->gs->env.loop) +
	    (err == KP_ECONFLICT ? RETRY_MANAGED_MS : RETRY_MS);
}

static void
started(struct gtopic *t, const struct group_job *j)
{
	t->why[0] = '\0';
	if (j->member)
		t->g->why[0] = '\0';
	for (struct part *p = t->parts; p; p = p->next)
		if (p->state == PART_STARTING && p->partition < j->n_led)
			p->no_leader = !j->led[p->partition];
	for (size_t i = 0; i < j->n; i++) {
		struct part *p = part_find(t, j->v[i].partition);

		if (p && p->state == PART_STARTING)
			part_start_at(p, &j->v[i]);
	}
}

static void
start_parts(struct group_job *j)
{
	struct gtopic *t = j->t;
	struct group *g;

	if (t == NULL) {
		job_free(j);
		return;
	}
	g = t->g;
	t->start = NULL;
	if (j->err && !j->stale)
		start_failed(t, j->err, j->why);
	else if (t->holds == 0 && !j->stale)
		started(t, j);
	job_free(j);
	topic_start_parts(t);
	topic_retry_acks(t);
	topic_serve(t);
	topic_step(t);
	group_run_sets(g);
}

/* ---- commits of a member ---- */

/* `v` as they are; done(j, err) comes later. False without memory. */
static bool
commit_own(struct group *g, struct group_job *j, void (*done)(void *arg, enum kp_err err))
{
	struct consumer_commit *x = consumer_commit_begin(g->consumer, done, j);

	if (x == NULL)
		return false;
	for (size_t i = 0; i < j->n; i++)
		consumer_commit_add(x, j->topic, j->v[i].partition, j->v[i].committed,
		    kp_slice_str(j->v[i].metadata ? j->v[i].metadata : ""));
	consumer_commit_send(x);
	return true;
}

static void
fail_own(struct group_job *j, enum kp_err err)
{
	/* It may be the next generation already. */
	j->err = err == KP_ECONFLICT ? KP_EUNAVAIL : err;
	snprintf(j->why, sizeof(j->why), "%s", err == KP_ECONFLICT ?
	    "the group is being rebalanced" : kp_err_text(err));
}

static void
start_committed(void *arg, enum kp_err err)
{
	struct group_job *j = arg;

	if (err)
		fail_own(j, err);
	start_parts(j);
}

static void
start_done(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;

	if (j->err || j->n == 0 || j->t == NULL || !j->member || j->stale) {
		start_parts(j);
		return;
	}
	if (!group_usable(j->t->g))
		fail_own(j, KP_ECONFLICT);
	else if (commit_own(j->t->g, j, start_committed))
		return;
	else
		fail_own(j, KP_ENOMEM);
	start_parts(j);
}

void
topic_start_is_stale(struct gtopic *t)
{
	if (t->start)
		t->start->stale = true;
}

static bool
can_start(const struct part *p)
{
	return p->state == PART_STARTING && !p->no_leader;
}

/* Those that can start, and a place for each partition up to the last of them: brokers may
 * give one that we have not seen yet. */
static struct group_job *
start_new(struct gtopic *t)
{
	struct group_job *j = job_new(t->g->gs, t->g->name, t->name, start_work, start_done);
	size_t n = 0;

	if (j == NULL)
		return NULL;
	for (const struct part *p = t->parts; p; p = p->next)
		if (can_start(p)) {
			n++;
			if (j->n_led <= p->partition)
				j->n_led = p->partition + 1;
		}
	j->led = calloc((size_t)j->n_led, sizeof(*j->led));
	j->v = calloc(n, sizeof(*j->v));
	if (j->led == NULL || j->v == NULL) {
		job_free(j);
		return NULL;
	}
	for (const struct part *p = t->parts; p; p = p->next)
		if (can_start(p))
			j->v[j->n++].partition = p->partition;
	return j;
}

void
topic_start_parts(struct gtopic *t)
{
	struct groups *gs = t->g->gs;
	const struct part *p = t->parts;
	struct group_job *j;

	while (p && !can_start(p))
		p = p->next;
	if (p == NULL || t->start || t->holds || loop_now_ms(gs->env.loop) < t->retry_ms)
		return;
	j = start_new(t);
	if (j == NULL)
		return;
	j->t = t;
	j->timeout_ms = START_TIMEOUT_MS;
	j->oldest = gs->env.conf->initial_offset == INITIAL_OLDEST;
	j->member = group_is_member(t->g);
	j->first_new = t->first_new;
	if (loop_work(gs->env.loop, &j->job))
		t->start = j;
	else
		job_free(j);		/* the tick tries again */
}

/* ---- is Kafka there? ---- */

static void
probed(void *arg, enum kp_err err)
{
	struct group *g = arg;

	if (err != KP_EUNAVAIL)
		g->down = false;
}

/* By the group's own connections: a password that was changed keeps them out while older
 * ones live on. */
void
group_probe(struct group *g)
{
	if (g->topics && g->consumer)
		consumer_probe(g->consumer, probed);
}

/* ---- setting offsets ---- */

static void
set_work(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;

	j->err = kafka_admin_commit(j->gs->env.admin, j->group, j->topic, j->v, j->n,
	    j->timeout_ms, j->why);
}

static void
set_done(struct loop_job *job)
{
	struct group_job *j = (struct group_job *)job;
	struct gtopic *t = j->t;

	if (t)
		t->holds--;
	j->done(j->arg, j->err, j->why);
	job_free(j);
	if (t) {
		topic_start_parts(t);	/* from what is committed now */
		topic_step(t);
	}
}

static void
set_committed(void *arg, enum kp_err err)
{
	struct group_job *j = arg;
	struct group *g = j->g;

	if (err)
		fail_own(j, err);
	g->own_sets--;
	set_done(&j->job);
	group_step(g);
}

static void
set_start(struct group_job *j)
{
	if (j->g && j->g->consumer && !j->g->closing) {
		j->g->own_sets++;
		if (commit_own(j->g, j, set_committed))
			return;
		j->g->own_sets--;
		fail_own(j, KP_ENOMEM);
	} else if (loop_work(j->gs->env.loop, &j->job)) {
		return;
	} else {
		j->err = KP_EUNAVAIL;
		snprintf(j->why, sizeof(j->why), "too many requests wait for Kafka");
	}
	set_done(&j->job);
}

/* A commit or a start that is on its way would overwrite what is set now. */
static bool
set_must_wait(const struct group_job *j)
{
	return j->t && (j->t->g->committing || j->t->start);
}

void
group_run_sets(struct group *g)
{
	struct group_job **at = &g->sets;

	while (*at) {
		struct group_job *j = *at;

		if (set_must_wait(j)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		set_start(j);
	}
}

/* From now on nothing of these partitions is offered or committed. */
static void
hold_parts(struct gtopic *t, const struct partition_offsets *v, size_t n)
{
	t->holds++;
	for (size_t i = 0; i < n; i++) {
		struct part *p = part_find(t, v[i].partition);

		if (p == NULL || p->reader == NULL)
			continue;
		if (p->state == PART_ACTIVE)
			part_restart(p);
		else
			part_withdraw(p);
	}
}

void
groups_set_offsets(struct groups *gs, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms,
    void (*done)(void *arg, enum kp_err err, const char *why), void *arg)
{
	struct group_job *j = NULL;
	struct group *g = gs->list;

	if (!gs->closing)
		j = job_new(gs, group, topic, set_work, set_done);
	if (j == NULL) {
		partition_offsets_free(v, n);
		done(arg, gs->closing ? KP_EUNAVAIL : KP_ENOMEM,
		    gs->closing ? GROUPS_CLOSING : kp_err_text(KP_ENOMEM));
		return;
	}
	j->v = v;
	j->n = n;
	j->timeout_ms = timeout_ms;
	j->done = done;
	j->arg = arg;
	while (g && strcmp(g->name, group) != 0)
		g = g->next;
	j->t = g ? topic_find(g, topic) : NULL;
	j->g = g && group_is_member(g) ? g : NULL;
	if (j->t) {
		hold_parts(j->t, v, n);
		j->next = g->sets;
		g->sets = j;
		group_run_sets(g);
	} else {
		set_start(j);
	}
}
