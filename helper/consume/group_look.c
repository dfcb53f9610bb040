/*
 * While somebody waits for a topic and nothing comes, Kafka is asked now and then whether
 * that is because there is nothing: a partition without a leader and a group that brokers
 * manage are not told to a consumer of the old kind; nor are new partitions.
 *
 * Few looks are under way at a time, those that have waited longest first, so that a
 * Kafka that hangs does not hold up all workers.
 */
#include "helper/consume/group_look.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "helper/consume/group_check.h"
#include "helper/consume/group_job.h"
#include "helper/consume/group_set.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_state.h"

#define LOOK_MS 2000
#define LOOK_AGAIN_MS 500		/* while a partition has no leader */
#define LOOK_IDLY_MS 30000		/* while nobody waits */
#define LOOK_TIMEOUT_MS 1500
#define PROBE_MS 4000
#define PROBE_QUICK_MS 500
#define LOOKS_MAX 2
#define FEWER_TIMES 2

struct group_look {
	struct group_job j;		/* first; .v, if any: the ends to be asked for */
	struct groups *gs;
	struct group *g;		/* of a probe; NULL: has gone, or there is none */
	int32_t there;			/* partitions that the topic has by now */
	int32_t probe;			/* a partition of ours, -1: none */
	bool member;			/* it is not to be committed */
	bool gone;			/* it has no offset any more */
	bool refused;			/* its commit was */
	bool ended;			/* the ends are known */
};

/*
 * What is committed already is committed once more: brokers refuse it while they manage
 * the group. The group commits nothing else meanwhile. DescribeConsumerGroups would be the
 * question to ask, but librdkafka 2.0 blocks a handle for ever on it when a broker does not
 * know the request. A coordinator that is slow must not be left with a commit that comes
 * late, so it is not asked then.
 */
static void
probe(struct group_look *k)
{
	struct partition_offsets v = { .partition = k->probe, .committed = -1 };
	int64_t begin = clock_mono_ms();
	char why[WHY_MAX];

	if (kafka_admin_committed(k->j.env->admin, k->j.group, k->j.topic, &v, 1,
	    LOOK_TIMEOUT_MS, why) == KP_OK)
		k->gone = v.committed < 0;
	if (!k->member && v.committed >= 0 && clock_mono_ms() - begin < PROBE_QUICK_MS)
		k->refused = kafka_admin_commit(k->j.env->admin, k->j.group, k->j.topic, &v, 1,
		    LOOK_TIMEOUT_MS, why) == KP_ECONFLICT;
	free(v.metadata);
}

static void
look_work(struct loop_job *job)
{
	struct group_look *k = (struct group_look *)job;
	struct group_job *j = &k->j;

	j->err = kafka_admin_leaders(j->env->admin, j->topic, j->led, j->n_led, &k->there,
	    LOOK_TIMEOUT_MS, j->why);
	if (j->err == KP_OK && j->v)
		k->ended = kafka_admin_ends(j->env->admin, j->topic, j->v, j->n,
		    LOOK_TIMEOUT_MS, j->why) == KP_OK;
	if (j->err == KP_OK && k->probe >= 0)
		probe(k);
}

static void
see_leaders(struct gtopic *t, const struct group_look *k)
{
	for (struct gpart *p = t->parts; p; p = p->next) {
		bool led = p->partition >= k->j.n_led || k->j.led[p->partition];

		if (!led && !p->no_leader)
			log_warn("partition has no leader group=%s topic=%s partition=%d",
			    t->group, t->name, p->partition);
		gpart_note_leader(p, led);
	}
}

/* Topics only grow: one that has fewer partitions than before, and not just for a broker that
 * is behind, is another one, to be joined anew. It may be freed. */
static void
see_size(struct gtopic *t, int32_t there)
{
	if (t->state != TOPIC_ACTIVE || there == 0)
		return;
	if (there > t->n_partitions)
		topic_join(t, there);
	t->look.fewer = there < t->n_partitions ? t->look.fewer + 1 : 0;
	if (t->look.fewer < FEWER_TIMES)
		return;
	log_warn("topic has fewer partitions group=%s topic=%s partitions=%d before=%d: it is "
	    "joined anew", t->group, t->name, there, t->n_partitions);
	t->look.fewer = 0;
	topics_forget(t->env->topics, kp_slice_str(t->name));
	topic_leave(t);
}

/* The only place that changes whether a probe is on its way: `k`; NULL: none. */
static void
probe_enter(struct group *g, struct group_look *k)
{
	const char *next = k ? "out" : "none";

	if (k ? group_commit_busy(g) : g->probe.job == NULL)
		log_error("probe group=%s next=%s: no such step", g->name, next);
	else
		log_debug("probe group=%s next=%s", g->name, next);
	g->probe.job = k;
}

static void
look_done(struct loop_job *job)
{
	struct group_look *k = (struct group_look *)job;
	struct gtopic *t = k->j.t;
	struct group *g = k->g;

	k->gs->look.n--;
	if (g) {
		probe_enter(g, NULL);
		if (k->refused)
			group_fence(g);
	}
	if (k->j.err == KP_OK || k->j.err == KP_EUNAVAIL)
		k->gs->look.away = k->j.err == KP_EUNAVAIL;
	if (t && k->j.err == KP_OK) {
		see_leaders(t, k);
		if (k->gone)
			topic_made_again(t);
		if (k->ended)
			stall_end(t, k->j.v, k->j.n);
		topic_start_parts(t);
	}
	if (g) {
		group_run_sets(g);
		group_tick_soon(g);
	}
	t = k->j.t;			/* unless it has gone in between */
	if (t)
		t->look.job = NULL;
	if (t && k->j.err == KP_OK)
		see_size(t, k->there);
	job_free(&k->j);
}

/* A partition to probe, while all goes well and nothing is committed or set. */
static int32_t
to_probe(struct gtopic *t, int64_t now)
{
	struct group *g = t->g;
	uint32_t retry_s;

	if (now - g->probe.began_ms < PROBE_MS || t->waiting.n == 0 ||
	    group_commit_busy(g) || g->sets || t->holds || topic_trouble(t, &retry_s))
		return -1;
	for (const struct gpart *p = t->parts; p; p = p->next)
		if (p->state == GPART_ACTIVE)
			return p->partition;
	return -1;
}

static void
look(struct gtopic *t, int64_t now)
{
	struct group *g = t->g;
	struct group_look *k = job_new(sizeof(*k), t->env, t->group, t->name, look_work,
	    look_done);

	if (k == NULL || (k->j.led = calloc((size_t)t->n_partitions + 1, sizeof(bool))) == NULL) {
		free(k);
		return;
	}
	k->j.job.keys[0] = 0;		/* a topic that is slow does not hold up the others */
	k->j.t = t;
	k->gs = g->gs;
	k->j.n_led = t->n_partitions;
	k->probe = to_probe(t, now);
	k->member = group_is_member(g);
	k->j.v = stall_begin(t, now, &k->j.n);
	if (!loop_work(t->env->loop, &k->j.job)) {
		job_free(&k->j);
		return;
	}
	if (k->probe >= 0) {
		k->g = g;
		probe_enter(g, k);
		g->probe.began_ms = now;
	}
	t->look.began_ms = now;
	t->look.job = &k->j;
	k->gs->look.n++;
}

static int64_t
due_ms(const struct gtopic *t)
{
	if (t->waiting.n == 0 && t->acks.n == 0)
		return t->look.began_ms + LOOK_IDLY_MS;
	for (const struct gpart *p = t->parts; p; p = p->next)
		if (p->no_leader)
			return t->look.began_ms + LOOK_AGAIN_MS;
	return t->look.began_ms + LOOK_MS;
}

static struct gtopic *
most_due(struct groups *gs, int64_t now)
{
	struct gtopic *due = NULL;

	for (struct group *g = gs->list; g; g = g->next)
		for (struct gtopic *t = g->topics; t; t = t->next)
			if (t->state == TOPIC_ACTIVE && t->look.job == NULL &&
			    now >= due_ms(t) &&
			    (due == NULL || t->look.began_ms < due->look.began_ms))
				due = t;
	return due;
}

void
groups_look(struct groups *gs)
{
	int64_t now = loop_now_ms(gs->env.loop);
	struct gtopic *t;

	while (gs->look.n < LOOKS_MAX && (t = most_due(gs, now)) != NULL) {
		look(t, now);
		if (t->look.job == NULL)
			break;
	}
}

bool
group_is_probed(const struct group *g)
{
	return g->probe.job != NULL;
}

void
group_forget_probe(struct group *g)
{
	if (g->probe.job == NULL)
		return;
	g->probe.job->g = NULL;
	probe_enter(g, NULL);
}

/* ---- a group that brokers manage ---- */

bool
group_is_fenced(const struct group *g)
{
	return g->probe.fenced;
}

void
group_fence(struct group *g)
{
	g->probe.fenced = true;
}

void
group_tick_fenced(struct group *g)
{
	bool any = false;

	if (!g->probe.fenced)
		return;
	g->probe.fenced = false;
	for (struct gtopic *t = g->topics; t; t = t->next)
		for (struct gpart *p = t->parts; p; p = p->next)
			if (p->state == GPART_ACTIVE) {
				any = true;
				gpart_restart(p);
			}
	if (any)
		log_warn("group is managed by the broker protocol group=%s: nothing is offered "
		    "until its members there have left", g->name);
}
