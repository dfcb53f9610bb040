/*
 * Where the partitions that were given to us start: nothing is skipped because of anybody's
 * clock, and nothing comes again because of what a broker says for a moment.
 */
#include "helper/consume/group_start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sock.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_job.h"

#define START_TIMEOUT_MS 3000
#define RETRY_MANAGED_MS 2000
#define LEADER_WAIT_MS 500
#define LEADER_PAUSE_MS 50
/* Shorter than a long poll: a user may have set an offset that is not there yet. */
#define DOUBT_MS 1500
#define DOUBT_AGAIN_MS 200

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
await_leaders(struct group_job *j)
{
	int64_t until = clock_mono_ms() + LEADER_WAIT_MS;
	enum kp_err err;
	int32_t there;

	for (;;) {
		err = kafka_admin_leaders(j->gs->env.admin, j->topic, j->led, j->n_led, &there,
		    j->timeout_ms, j->why);
		if (err || all_led(j) || clock_mono_ms() >= until)
			return err;
		uv_sleep(LEADER_PAUSE_MS);
	}
}

/* Those that have a leader first. */
static void
part_led(struct group_job *j)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->led[j->v[i].partition]) {
			struct partition_offsets o = j->v[i];

			j->v[i] = j->v[j->n_start];
			j->v[j->n_start++] = o;
		}
}

/* A leader that stood still and goes on may answer for an instant as if it still led, with
 * the end that it knew. */
static bool
is_doubtful(struct group_job *j, const struct partition_offsets *o)
{
	int64_t *since = &j->doubt_ms[o->partition];

	if (o->committed <= o->end)
		return false;
	if (*since == 0) {
		log_warn("partition ends before its offset group=%s topic=%s partition=%d "
		    "offset=%lld end=%lld: asked again", j->group, j->topic, o->partition,
		    (long long)o->committed, (long long)o->end);
		*since = clock_mono_ms();
	}
	return clock_mono_ms() - *since < DOUBT_MS;
}

/* A group that had offsets here and has none is not a new one; one that has not started them
 * all still has the others. */
static enum kp_err
see_known(struct group_job *j)
{
	struct offset_look known = { .partition = j->known };
	bool any = false;
	enum kp_err err;

	for (size_t i = 0; i < j->n_start; i++)
		any |= j->v[i].committed < 0;
	if (!any || j->known < 0 || j->first_new == 0)
		return KP_OK;
	snprintf(known.topic, sizeof(known.topic), "%s", j->topic);
	err = kafka_admin_gone(j->gs->env.admin, j->group, &known, 1, j->timeout_ms, j->why);
	if (err == KP_OK && known.gone) {
		j->again = true;
		j->first_new = 0;
	}
	return err;
}

/* The committed offset, or the nearest one that exists; for a new group the end or the
 * beginning. One that has lost its offsets is none: see group_check.c. */
static void
settle_start(const struct group_job *j, struct partition_offsets *o)
{
	bool from_begin = j->oldest || o->partition >= j->first_new;
	int64_t start = o->committed >= 0 ? o->committed : from_begin ? o->begin : o->end;

	if (start < o->begin)
		start = o->begin;
	/* Before 0.10 brokers keep the offsets of a topic that they delete. */
	if (start > o->end)
		start = j->known >= 0 && kafka_is_old(j->gs->env.kafka) ? o->begin : o->end;
	if (start == o->committed)
		return;
	o->committed = start;
	/* Acknowledged ranges above it come again: too rare to matter. */
	free(o->metadata);
	o->metadata = NULL;
}

/* Those whose end is in doubt leave the list, and are asked again. */
static void
settle_led(struct group_job *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_start; i++) {
		if (is_doubtful(j, &j->v[i])) {
			free(j->v[i].metadata);
			continue;
		}
		settle_start(j, &j->v[i]);
		j->v[n++] = j->v[i];
	}
	memmove(j->v + n, j->v + j->n_start, (j->n - j->n_start) * sizeof(*j->v));
	j->n -= j->n_start - n;
	j->n_start = n;
}

/*
 * Without a leader nobody can tell where the partition ends, and once it has one, what was
 * written since the group came looks like what was there before, unless one believes the
 * clocks of producers. So a new group has it from its beginning: that is committed now, for
 * whoever starts it later. Those that have a commit keep it, and leave the list.
 */
static enum kp_err
settle_unled(struct group_job *j)
{
	size_t n = j->n_start;
	enum kp_err err;

	if (n == j->n)
		return KP_OK;
	err = kafka_admin_committed(j->gs->env.admin, j->group, j->topic, j->v + n, j->n - n,
	    j->timeout_ms, j->why);
	for (size_t i = n; i < j->n && err == KP_OK; i++) {
		if (j->v[i].committed >= 0) {
			free(j->v[i].metadata);
			continue;
		}
		log_info("partition without a leader begins at its oldest message group=%s "
		    "topic=%s partition=%d", j->group, j->topic, j->v[i].partition);
		j->v[i].committed = 0;
		j->v[n++] = j->v[i];
	}
	if (err == KP_OK)
		j->n = n;
	return err;
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

	j->err = await_leaders(j);
	if (j->err)
		return;
	part_led(j);
	if (j->n_start)
		j->err = kafka_admin_offsets(admin, j->group, j->topic, j->v, j->n_start,
		    j->timeout_ms, j->why);
	if (j->err == KP_OK)
		j->err = see_known(j);
	if (j->err)
		return;
	settle_led(j);
	j->err = settle_unled(j);
	if (j->err == KP_OK && j->n && !j->member)
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
	if (j->again)
		topic_begins_again(t);
	t->why[0] = '\0';
	topic_commit_is_well(t);
	for (struct gpart *p = t->parts; p; p = p->next) {
		if (p->state != GPART_STARTING || p->partition >= j->n_led)
			continue;
		gpart_note_leader(p, j->led[p->partition]);
		p->placed |= p->placing;
		gpart_doubt(p, j->doubt_ms[p->partition]);
		if (p->doubt_ms)
			t->retry_ms = loop_now_ms(t->g->gs->env.loop) + DOUBT_AGAIN_MS;
	}
	for (size_t i = 0; i < j->n_start; i++) {
		struct gpart *p = gpart_find(t, j->v[i].partition);

		if (p == NULL || p->state != GPART_STARTING)
			continue;
		gpart_start_at(p, &j->v[i]);
		if (p->state == GPART_ACTIVE)
			p->placing = p->placed = false;
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
	if (j->err && !j->stale && topic_any_starting(t))
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

static void
start_committed(void *arg, enum kp_err err, const struct consumer_commit *x)
{
	struct group_job *j = arg;

	(void)x;
	if (err)
		job_fail_own(j, err);
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
		job_fail_own(j, KP_ECONFLICT);
	else if (job_commit_own(j->t->g, j, start_committed))
		return;
	else
		job_fail_own(j, KP_ENOMEM);
	start_parts(j);
}

void
topic_start_is_stale(struct gtopic *t)
{
	if (t->start)
		t->start->stale = true;
}

bool
topic_any_starting(const struct gtopic *t)
{
	const struct gpart *p = t->parts;

	while (p && p->state != GPART_STARTING)
		p = p->next;
	return p != NULL;
}

/* Without a leader it has a place all the same: what is produced once it has one must not be
 * skipped. */
static bool
can_start(const struct gpart *p)
{
	return p->state == GPART_STARTING && (!p->no_leader || !p->placed);
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
	for (const struct gpart *p = t->parts; p; p = p->next)
		if (can_start(p)) {
			n++;
			if (j->n_led <= p->partition)
				j->n_led = p->partition + 1;
		}
	j->led = calloc((size_t)j->n_led, sizeof(*j->led));
	j->doubt_ms = calloc((size_t)j->n_led, sizeof(*j->doubt_ms));
	j->v = calloc(n, sizeof(*j->v));
	if (j->led == NULL || j->doubt_ms == NULL || j->v == NULL) {
		job_free(j);
		return NULL;
	}
	for (struct gpart *p = t->parts; p; p = p->next) {
		p->placing = can_start(p);
		if (p->placing) {
			j->v[j->n++].partition = p->partition;
			j->doubt_ms[p->partition] = p->doubt_ms;
		}
	}
	return j;
}

void
topic_start_parts(struct gtopic *t)
{
	struct groups *gs = t->g->gs;
	const struct gpart *p = t->parts;
	struct group_job *j;

	while (p && !can_start(p))
		p = p->next;
	if (p == NULL || t->start || t->holds || loop_now_ms(gs->env.loop) < t->retry_ms)
		return;
	j = start_new(t);
	if (j == NULL)
		return;
	j->t = t;
	/* Thousands take librdkafka some time. */
	j->timeout_ms = START_TIMEOUT_MS + (int)j->n;
	j->oldest = gs->env.conf->initial_offset == INITIAL_OLDEST;
	j->member = group_is_member(t->g);
	j->known = t->known;
	j->first_new = t->first_new;
	if (loop_work(gs->env.loop, &j->job))
		t->start = j;
	else
		job_free(j);		/* the tick tries again */
}
