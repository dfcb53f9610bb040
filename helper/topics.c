/*
 * The directory of topics: one entry a name, on one list, which says what becomes of it:
 *
 *   KNOWN, OTHER      nothing: idle, the least recently used first
 *     LOOK            a job is to ask whether it exists
 *     LOOKED            does so
 *     CREATE          it does not, but brokers may make it: a job is to ask for that
 *     CREATED           does so
 *     COMING          they may be making it: back to LOOK in a moment
 *
 * One job looks and one creates, each for all names that have come meanwhile. Under a flood
 * of names a round asks for many; then it rests for longer than it took.
 */
#include "helper/topics.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 4096
#define ROUND_MAX 1024
#define ASK_TIMEOUT_MS 2500
#define ANSWERED_MS 1000

/* How long an answer is good for. Unknown topics may be created any moment, and
 * when Kafka is away nobody should wait for it again and again. */
#define KNOWN_MS (60 * 1000)
#define UNKNOWN_MS 1000
#define UNREACHABLE_MS 2000

/* Before a name that is coming is looked for again: at least, and times what that took. */
#define AGAIN_MS 100
#define AGAIN_TIMES 10

enum list { KNOWN, OTHER, LOOK, LOOKED, CREATE, CREATED, COMING, LISTS };

/* Names come from outside, so there are limits. */
static const size_t limits[LISTS] = {
	[KNOWN] = 16384,
	[OTHER] = 1024,
	[LOOK] = 4096,
	[CREATE] = 1024,
	[COMING] = 1024,
};
#define CROWDED "too many topics are being looked for; try again"

struct topic {
	TAILQ_ENTRY(topic) link;
	struct topic *next;		/* of its bucket */
	enum list list;
	bool ever_known;
	bool created;			/* brokers were asked to make it */
	int64_t good_until_ms;
	int64_t asked_ms;		/* what is being found out now, since then */
	int64_t coming_until_ms;	/* 0: it is not known to be coming */
	enum kp_err err;
	int32_t partitions;
	int code;			/* why, for kafka_admin_why() */
	struct topics_ask *first, **last;
	struct topic_look look;		/* the worker's while LOOKED or CREATED */
	char name[];
};
TAILQ_HEAD(topic_list, topic);

struct round {
	struct topics *topics;
	enum list from, to;
	struct loop_job job;
	bool out;
	int64_t begun_ms;
	size_t n;
	struct topic_look *v[ROUND_MAX];	/* of the topics on the list `to` */
};

struct topics {
	struct loop *loop;
	struct kafka_admin *admin;
	struct topic *buckets[BUCKETS];
	struct topic_list lists[LISTS];
	size_t n[LISTS];
	struct round look, create;
	struct loop_timer again;
	bool again_set;
	int64_t rest_ms;
	int64_t answered_ms;		/* when Kafka last answered */
	bool stopped;
};

/* The only place that changes a topic's list. */
static void
move(struct topics *t, struct topic *e, enum list list)
{
	TAILQ_REMOVE(&t->lists[e->list], e, link);
	t->n[e->list]--;
	e->list = list;
	TAILQ_INSERT_TAIL(&t->lists[list], e, link);
	t->n[list]++;
}

static bool
is_full(const struct topics *t, enum list list)
{
	return t->n[list] >= limits[list];
}

static struct topic **
find(struct topics *t, struct kp_slice name)
{
	uint32_t h = 2166136261u;
	struct topic **at;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * 16777619u;
	at = &t->buckets[h % BUCKETS];
	while (*at && !kp_slice_eq(name, kp_slice_str((*at)->name)))
		at = &(*at)->next;
	return at;
}

static void
drop(struct topics *t, struct topic *e)
{
	struct topic **at = find(t, kp_slice_str(e->name));

	*at = e->next;
	TAILQ_REMOVE(&t->lists[e->list], e, link);
	t->n[e->list]--;
	free(e);
}

/* It is on the list OTHER. NULL without memory. */
static struct topic *
add(struct topics *t, struct kp_slice name)
{
	struct topic *e = calloc(1, sizeof(*e) + name.n + 1);

	if (e == NULL)
		return NULL;
	memcpy(e->name, name.p, name.n);
	e->last = &e->first;
	*find(t, name) = e;
	e->list = OTHER;
	TAILQ_INSERT_TAIL(&t->lists[OTHER], e, link);
	t->n[OTHER]++;
	return e;
}

/* It is idle; of the idle ones of its kind it is the last to be dropped. */
static void
rest(struct topics *t, struct topic *e)
{
	enum list list = e->ever_known ? KNOWN : OTHER;

	move(t, e, list);
	while (t->n[list] > limits[list])
		drop(t, TAILQ_FIRST(&t->lists[list]));
}

/* ---- answers ---- */

/* To all who wait, or only to those for whom it is not to be made. */
static void
answer(struct topic *e, bool all, enum kp_err err, const char *why)
{
	struct topics_ask *ask, *waiting = e->first, **at = &waiting;
	int32_t partitions = e->partitions;

	e->first = NULL;
	e->last = &e->first;
	while (!all && (ask = *at) != NULL) {
		if (ask->only_look) {
			at = &ask->next;
			continue;
		}
		*at = ask->next;
		ask->next = NULL;
		*e->last = ask;
		e->last = &ask->next;
	}
	while ((ask = waiting) != NULL) {
		waiting = ask->next;
		ask->done(ask, err, partitions, why);
	}
}

static int64_t
good_for_ms(enum kp_err err)
{
	switch (err) {
	case KP_OK:
		return KNOWN_MS;
	case KP_ENOTFOUND:
		return UNKNOWN_MS;
	case KP_EBUSY:
		return 0;
	default:
		return UNREACHABLE_MS;
	}
}

/* What was known stays true while Kafka cannot be asked. */
static void
learn(struct topics *t, struct topic *e, enum kp_err err)
{
	e->coming_until_ms = 0;
	e->good_until_ms = loop_now_ms(t->loop) + good_for_ms(err);
	if (err && err != KP_ENOTFOUND && e->ever_known)
		return;
	e->err = err;
	e->code = e->look.code;
	e->partitions = e->look.partitions;
	e->ever_known = err == KP_OK;
}

/* It is idle before anybody is told, who may ask for it again at once. */
static void
finish(struct topics *t, struct topic *e, enum kp_err err)
{
	char why[WHY_MAX];

	learn(t, e, err);
	kafka_admin_why(t->admin, e->err ? e->code : 0, why);
	rest(t, e);
	answer(e, true, e->err, why);
}

/* Too many are on their way: nothing is learned, and who waits is told so. */
static void
turn_away(struct topics *t, struct topic *e)
{
	e->coming_until_ms = 0;
	rest(t, e);
	answer(e, true, KP_EBUSY, CROWDED);
}

static void
go(struct topics *t, struct topic *e, enum list list)
{
	if (is_full(t, list) && !e->ever_known)
		turn_away(t, e);
	else
		move(t, e, list);
}

/* Until when it is worth another look; 0: not at all. One who was known is not taken for
 * unknown because of one broker that has just started, and says so; and a connection that has
 * just ended is no sign that Kafka cannot be reached. */
static int64_t
look_until_ms(struct topics *t, struct topic *e)
{
	bool unknown = e->look.err == KP_ENOTFOUND, away = e->look.err == KP_EUNAVAIL;

	if (e->first == NULL && !(unknown && e->ever_known))
		return 0;
	if (away && !e->look.coming)
		return is_full(t, COMING) ? 0 : e->asked_ms + ASK_TIMEOUT_MS;
	if (!unknown && !away)
		return 0;
	if (e->coming_until_ms == 0)
		e->coming_until_ms = loop_now_ms(t->loop) + TOPIC_CREATE_MS;
	return e->coming_until_ms;
}

/* An answer has come for it, which may not be the last. */
static void
settle(struct topics *t, struct topic *e)
{
	enum kp_err err = e->look.err;
	char why[WHY_MAX];

	if (err == KP_ENOTFOUND && !e->ever_known) {
		kafka_admin_why(t->admin, e->look.code, why);
		answer(e, false, err, why);
	}
	if (err == KP_ENOTFOUND && !e->ever_known && !e->created && e->first)
		go(t, e, CREATE);
	else if (loop_now_ms(t->loop) + AGAIN_MS < look_until_ms(t, e))
		go(t, e, COMING);
	else
		finish(t, e, err);
}

/* ---- rounds ---- */

static void
round_work(struct loop_job *job)
{
	struct round *r = (struct round *)((char *)job - offsetof(struct round, job));

	kafka_admin_look(r->topics->admin, r->v, r->n, r->from == CREATE, ASK_TIMEOUT_MS);
}

static void
round_begin(struct round *r)
{
	struct topics *t = r->topics;
	struct topic *e;

	if (r->out || t->stopped)
		return;
	for (r->n = 0; r->n < ROUND_MAX && (e = TAILQ_FIRST(&t->lists[r->from])) != NULL; r->n++) {
		move(t, e, r->to);
		e->look = (struct topic_look){ .topic = e->name };
		r->v[r->n] = &e->look;
	}
	r->begun_ms = loop_now_ms(t->loop);
	/* Its lane has room for both. */
	r->out = r->n > 0 && loop_work(t->loop, &r->job);
}

static void
look_again(void *arg)
{
	struct topics *t = arg;
	struct topic *e;

	t->again_set = false;
	while ((e = TAILQ_FIRST(&t->lists[COMING])) != NULL)
		move(t, e, LOOK);
	round_begin(&t->look);
}

static void
go_on(struct topics *t)
{
	round_begin(&t->look);
	round_begin(&t->create);
	if (t->again_set || t->stopped || t->n[COMING] == 0)
		return;
	t->again_set = true;
	loop_timer_set(t->loop, &t->again, t->rest_ms, 0, look_again, t);
}

static void
round_done(struct loop_job *job)
{
	struct round *r = (struct round *)((char *)job - offsetof(struct round, job));
	struct topics *t = r->topics;
	int64_t now = loop_now_ms(t->loop), rest_ms = AGAIN_TIMES * (now - r->begun_ms);
	struct topic *e;

	t->rest_ms = rest_ms < AGAIN_MS ? AGAIN_MS : rest_ms > TOPIC_CREATE_MS / 4 ?
	    TOPIC_CREATE_MS / 4 : rest_ms;
	while ((e = TAILQ_FIRST(&t->lists[r->to])) != NULL) {
		if (e->look.err != KP_EUNAVAIL || e->look.coming)
			t->answered_ms = now;
		if (r->from == CREATE) {
			e->created = true;
			e->coming_until_ms = now + TOPIC_CREATE_MS;
		}
		settle(t, e);
	}
	r->out = false;
	go_on(t);
}

static void
look_for(struct topics *t, struct topic *e)
{
	e->created = false;
	e->asked_ms = loop_now_ms(t->loop);
	go(t, e, LOOK);
	if (e->list == LOOK)
		round_begin(&t->look);
}

/* ---- */

struct topics *
topics_new(struct loop *l, struct kafka_admin *a)
{
	struct topics *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->loop = l;
	t->admin = a;
	t->rest_ms = AGAIN_MS;
	t->answered_ms = INT64_MIN / 2;
	for (int i = 0; i < LISTS; i++)
		TAILQ_INIT(&t->lists[i]);
	t->look = (struct round){ .topics = t, .from = LOOK, .to = LOOKED };
	t->create = (struct round){ .topics = t, .from = CREATE, .to = CREATED };
	t->look.job = t->create.job = (struct loop_job){ .lane = LOOP_TOPICS,
	    .work = round_work, .done = round_done };
	return t;
}

void
topics_stop(struct topics *t)
{
	if (t == NULL)
		return;
	t->stopped = true;
	loop_timer_end(&t->again);
}

void
topics_free(struct topics *t)
{
	struct topic *e;

	if (t == NULL)
		return;
	for (int i = 0; i < LISTS; i++)
		while ((e = TAILQ_FIRST(&t->lists[i])) != NULL)
			drop(t, e);
	free(t);
}

/* What was asked about a topic that is not to be made says nothing to whom it is. */
static bool
is_fresh(const struct topics *t, const struct topic *e, const struct topics_ask *ask)
{
	return loop_now_ms(t->loop) < e->good_until_ms &&
	    (e->err != KP_ENOTFOUND || e->created || ask->only_look);
}

/* Whoever comes while others wait queues behind them: order is kept. */
void
topics_ask(struct topics *t, struct kp_slice name, struct topics_ask *ask)
{
	struct topic *e = *find(t, name);
	char why[WHY_MAX];
	bool fresh;

	if (e == NULL && (e = is_full(t, LOOK) ? NULL : add(t, name)) == NULL) {
		ask->done(ask, KP_EBUSY, 0, CROWDED);
		return;
	}
	fresh = is_fresh(t, e, ask);
	/* A topic that was there a while ago is not worth waiting for. */
	if (e->first == NULL && (fresh || e->ever_known)) {
		if (e->list == KNOWN || e->list == OTHER) {
			if (fresh)
				rest(t, e);
			else
				look_for(t, e);
		}
		kafka_admin_why(t->admin, e->err ? e->code : 0, why);
		ask->done(ask, e->err, e->partitions, why);
		return;
	}
	ask->next = NULL;
	*e->last = ask;
	e->last = &ask->next;
	if (e->list == KNOWN || e->list == OTHER)
		look_for(t, e);
}

void
topics_forget(struct topics *t, struct kp_slice name)
{
	struct topic *e = *find(t, name);

	if (e == NULL)
		return;
	e->ever_known = false;
	e->good_until_ms = 0;
	if (e->list == KNOWN)
		rest(t, e);
}

bool
topics_answered(const struct topics *t)
{
	return loop_now_ms(t->loop) - t->answered_ms < ANSWERED_MS;
}
