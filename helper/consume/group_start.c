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
#include "helper/consume/group.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_set.h"
#include "helper/consume/group_topic.h"
#include "helper/consume/group_wait.h"

#define START_TIMEOUT_MS 3000
#define RETRY_MANAGED_MS 2000
#define LEADER_WAIT_MS 500
#define LEADER_PAUSE_MS 50
/* Shorter than a long poll: a user may have set an offset that is not there yet. */
#define DOUBT_MS 1500
#define DOUBT_AGAIN_MS 200

/* Its topic does not go before it is done. */
struct group_start {
	struct group_job j;		/* first */
	size_t n_start;			/* that many of .v have a leader; they come first */
	int timeout_ms;
	int64_t *doubt_ms;		/* as .led: see gpart.doubt_ms */
	bool oldest;
	bool member;			/* the group's own consumer commits */
	int32_t known;			/* see gtopic.known */
	bool again;			/* the topic was made again */
	bool stale;			/* others may have had the partitions meanwhile */
	int32_t first_new;
};

static void
start_free(struct group_start *s)
{
	free(s->doubt_ms);
	job_free(&s->j);
}

static bool
all_led(const struct group_start *s)
{
	for (size_t i = 0; i < s->j.n; i++)
		if (!s->j.led[s->j.v[i].partition])
			return false;
	return true;
}

/* A partition without a leader must not keep the others from starting; one that was just
 * made gets its own in a moment. */
static enum kp_err
await_leaders(struct group_start *s)
{
	int64_t until = clock_mono_ms() + LEADER_WAIT_MS;
	enum kp_err err;
	int32_t there;

	for (;;) {
		err = kafka_admin_leaders(s->j.env->admin, s->j.topic, s->j.led, s->j.n_led, &there,
		    s->timeout_ms, s->j.why);
		if (err || all_led(s) || clock_mono_ms() >= until)
			return err;
		uv_sleep(LEADER_PAUSE_MS);
	}
}

/* Those that have a leader first. */
static void
part_led(struct group_start *s)
{
	for (size_t i = 0; i < s->j.n; i++)
		if (s->j.led[s->j.v[i].partition]) {
			struct partition_offsets o = s->j.v[i];

			s->j.v[i] = s->j.v[s->n_start];
			s->j.v[s->n_start++] = o;
		}
}

/* A group that had offsets here and has none is not a new one; one that has not started them
 * all still has the others. */
static enum kp_err
see_known(struct group_start *s)
{
	struct offset_look known = { .partition = s->known };
	bool any = false;
	enum kp_err err;

	for (size_t i = 0; i < s->n_start; i++)
		any |= s->j.v[i].committed < 0;
	if (!any || s->known < 0 || s->first_new == 0)
		return KP_OK;
	snprintf(known.topic, sizeof(known.topic), "%s", s->j.topic);
	err = kafka_admin_gone(s->j.env->admin, s->j.group, &known, 1, s->timeout_ms, s->j.why);
	if (err == KP_OK && known.gone) {
		s->again = true;
		s->first_new = 0;
	}
	return err;
}

/* The committed offset, or the nearest one that exists; for a new group the end or the
 * beginning. One that has lost its offsets is none: see group_check.c. */
static void
settle_start(const struct group_start *s, struct partition_offsets *o)
{
	bool from_begin = s->oldest || o->partition >= s->first_new;
	int64_t start = o->committed >= 0 ? o->committed : from_begin ? o->begin : o->end;

	if (start < o->begin)
		start = o->begin;
	/* Before 0.10 brokers keep the offsets of a topic that they delete. */
	if (start > o->end)
		start = s->known >= 0 && kafka_is_old(s->j.env->kafka) ? o->begin : o->end;
	if (start == o->committed)
		return;
	o->committed = start;
	/* Acknowledged ranges above it come again: too rare to matter. */
	free(o->metadata);
	o->metadata = NULL;
}

/* Those whose end is in doubt leave the list, and are asked again. */
static void
settle_led(struct group_start *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_start; i++) {
		struct partition_offsets *o = &s->j.v[i];

		if (job_doubts(&s->j, o, o->committed, &s->doubt_ms[o->partition], DOUBT_MS)) {
			free(o->metadata);
			continue;
		}
		settle_start(s, o);
		s->j.v[n++] = *o;
	}
	memmove(s->j.v + n, s->j.v + s->n_start, (s->j.n - s->n_start) * sizeof(*s->j.v));
	s->j.n -= s->n_start - n;
	s->n_start = n;
}

/*
 * Without a leader nobody can tell where the partition ends, and once it has one, what was
 * written since the group came looks like what was there before, unless one believes the
 * clocks of producers. So a new group has it from its beginning: that is committed now, for
 * whoever starts it later. Those that have a commit keep it, and leave the list.
 */
static enum kp_err
settle_unled(struct group_start *s)
{
	size_t n = s->n_start;
	enum kp_err err;

	if (n == s->j.n)
		return KP_OK;
	err = kafka_admin_committed(s->j.env->admin, s->j.group, s->j.topic, s->j.v + n, s->j.n - n,
	    s->timeout_ms, s->j.why);
	for (size_t i = n; i < s->j.n && err == KP_OK; i++) {
		if (s->j.v[i].committed >= 0) {
			free(s->j.v[i].metadata);
			continue;
		}
		log_info("partition without a leader begins at its oldest message group=%s "
		    "topic=%s partition=%d", s->j.group, s->j.topic, s->j.v[i].partition);
		s->j.v[i].committed = 0;
		s->j.v[n++] = s->j.v[i];
	}
	if (err == KP_OK)
		s->j.n = n;
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
	struct group_start *s = (struct group_start *)job;
	struct kafka_admin *admin = s->j.env->admin;

	s->j.err = await_leaders(s);
	if (s->j.err)
		return;
	part_led(s);
	if (s->n_start)
		s->j.err = kafka_admin_offsets(admin, s->j.group, s->j.topic, s->j.v, s->n_start,
		    s->timeout_ms, s->j.why);
	if (s->j.err == KP_OK)
		s->j.err = see_known(s);
	if (s->j.err)
		return;
	settle_led(s);
	s->j.err = settle_unled(s);
	if (s->j.err == KP_OK && s->j.n && !s->member)
		s->j.err = kafka_admin_commit(admin, s->j.group, s->j.topic, s->j.v, s->j.n,
		    s->timeout_ms, s->j.why);
}

static void
start_failed(struct gtopic *t, enum kp_err err, const char *why)
{
	if (err == KP_ECONFLICT)
		why = KAFKA_ADMIN_MANAGED;
	else if (why[0] == '\0')
		why = kp_err_text(err);
	if (t->why[0] == '\0')
		log_warn("partitions cannot start group=%s topic=%s: %s", t->group, t->name, why);
	t->err = err;
	snprintf(t->why, sizeof(t->why), "%s", why);
	t->retry_ms = topic_now_ms(t) +
	    (err == KP_ECONFLICT ? RETRY_MANAGED_MS : RETRY_MS);
}

static void
started(struct gtopic *t, const struct group_start *s)
{
	if (s->again)
		topic_begins_again(t);
	t->why[0] = '\0';
	topic_commit_is_well(t);
	for (struct gpart *p = t->parts; p; p = p->next) {
		if (p->state != GPART_STARTING || p->partition >= s->j.n_led)
			continue;
		gpart_note_leader(p, s->j.led[p->partition]);
		p->placed |= p->placing;
		gpart_doubt(p, s->doubt_ms[p->partition]);
		if (p->doubt_ms)
			t->retry_ms = topic_now_ms(t) + DOUBT_AGAIN_MS;
	}
	for (size_t i = 0; i < s->n_start; i++) {
		struct gpart *p = gpart_find(t, s->j.v[i].partition);

		if (p == NULL || p->state != GPART_STARTING)
			continue;
		gpart_start_at(p, &s->j.v[i]);
		if (p->state == GPART_ACTIVE)
			p->placing = p->placed = false;
	}
}

static void
start_parts(struct group_start *s)
{
	struct gtopic *t = s->j.t;
	struct group *g = t->g;

	t->start = NULL;
	if (s->j.err && !s->stale && topic_any_starting(t))
		start_failed(t, s->j.err, s->j.why);
	else if (t->holds == 0 && !s->stale)
		started(t, s);
	start_free(s);
	topic_start_parts(t);
	topic_retry_acks(t);
	topic_serve(t);
	topic_step(t);
	group_run_sets(g);
}

static void
start_committed(void *arg, enum kp_err err, const struct consumer_commit *x)
{
	struct group_start *s = arg;

	(void)x;
	if (err)
		job_fail_own(&s->j, err);
	start_parts(s);
}

static void
start_done(struct loop_job *job)
{
	struct group_start *s = (struct group_start *)job;
	bool commits = s->j.err == KP_OK && s->j.n && s->member && !s->stale;

	if (commits && !group_usable(s->j.t->g))
		job_fail_own(&s->j, KP_ECONFLICT);
	else if (commits && job_commit_own(s->j.t->g, &s->j, start_committed))
		return;
	start_parts(s);
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
static struct group_start *
start_new(struct gtopic *t)
{
	struct group_start *s = job_new(sizeof(*s), t->env, t->group, t->name, start_work,
	    start_done);

	if (s == NULL)
		return NULL;
	s->j.v = topic_pick(t, can_start, &s->j.n);
	if (s->j.v)
		s->j.n_led = s->j.v[s->j.n - 1].partition + 1;
	s->j.led = calloc((size_t)s->j.n_led, sizeof(*s->j.led));
	s->doubt_ms = calloc((size_t)s->j.n_led, sizeof(*s->doubt_ms));
	if (s->j.led == NULL || s->doubt_ms == NULL || s->j.v == NULL) {
		start_free(s);
		return NULL;
	}
	for (struct gpart *p = t->parts; p; p = p->next) {
		p->placing = can_start(p);
		if (p->placing)
			s->doubt_ms[p->partition] = p->doubt_ms;
	}
	return s;
}

void
topic_start_parts(struct gtopic *t)
{
	const struct gpart *p = t->parts;
	struct group_start *s;

	while (p && !can_start(p))
		p = p->next;
	if (p == NULL || t->start || t->holds || topic_now_ms(t) < t->retry_ms)
		return;
	s = start_new(t);
	if (s == NULL)
		return;
	s->j.t = t;
	/* Thousands take librdkafka some time. */
	s->timeout_ms = START_TIMEOUT_MS + (int)s->j.n;
	s->oldest = t->env->conf->initial_offset == INITIAL_OLDEST;
	s->member = group_is_member(t->g);
	s->known = t->known;
	s->first_new = t->first_new;
	if (loop_work(t->env->loop, &s->j.job))
		t->start = s;
	else
		start_free(s);		/* the tick tries again */
}
