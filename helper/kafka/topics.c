/*
 * Asking whether topics exist. One job looks and one creates, each for all names that have come
 * meanwhile. Under a flood of names a round asks for many; then it rests for longer than it
 * took. The states that a name goes through are those of topics_dir.h:
 *
 *	OTHER -> LOOK -> LOOKED -> KNOWN or OTHER
 *	           ^       |  \-> CREATE -> CREATED -> KNOWN or OTHER
 *	           |       v                  |
 *	           +--- COMING <--------------+
 */
#include "helper/kafka/topics.h"

#include <stdlib.h>

#include "helper/kafka/topics_dir.h"

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

#define CROWDED "too many topics are being looked for; try again"

struct round {
	struct topics *topics;
	enum topic_state from, to;
	struct loop_job job;
	bool out;
	int64_t begun_ms;
	size_t n;
	struct topic_look *v[ROUND_MAX];	/* of the topics in the state `to` */
};

struct topics {
	struct loop *loop;
	struct kafka_admin *admin;
	struct topics_dir dir;
	struct round look, create;
	struct loop_timer again;
	bool again_set;
	int64_t rest_ms;
	int64_t answered_ms;		/* when Kafka last answered */
	bool stopped;
};

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
	topics_dir_rest(&t->dir, e);
	answer(e, true, e->err, why);
}

/* Too many are on their way: nothing is learned, and who waits is told so. */
static void
turn_away(struct topics *t, struct topic *e)
{
	e->coming_until_ms = 0;
	topics_dir_rest(&t->dir, e);
	answer(e, true, KP_EBUSY, CROWDED);
}

static void
go(struct topics *t, struct topic *e, enum topic_state state)
{
	if (topics_dir_full(&t->dir, state) && !e->ever_known)
		turn_away(t, e);
	else
		topics_dir_move(&t->dir, e, state);
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
		return topics_dir_full(&t->dir, TOPIC_COMING) ? 0 : e->asked_ms + ASK_TIMEOUT_MS;
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
		go(t, e, TOPIC_CREATE);
	else if (loop_now_ms(t->loop) + AGAIN_MS < look_until_ms(t, e))
		go(t, e, TOPIC_COMING);
	else
		finish(t, e, err);
}

/* ---- rounds ---- */

static void
round_work(struct loop_job *job)
{
	struct round *r = loop_owner(job, struct round, job);

	kafka_admin_look(r->topics->admin, r->v, r->n, r->from == TOPIC_CREATE, ASK_TIMEOUT_MS);
}

static void
round_begin(struct round *r)
{
	struct topics *t = r->topics;
	struct topic *e;

	if (r->out || t->stopped)
		return;
	for (r->n = 0; r->n < ROUND_MAX; r->n++) {
		e = topics_dir_first(&t->dir, r->from);
		if (e == NULL)
			break;
		topics_dir_move(&t->dir, e, r->to);
		e->look = (struct topic_look){ .topic = e->by_name.name };
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
	while ((e = topics_dir_first(&t->dir, TOPIC_COMING)) != NULL)
		topics_dir_move(&t->dir, e, TOPIC_LOOK);
	round_begin(&t->look);
}

static void
go_on(struct topics *t)
{
	round_begin(&t->look);
	round_begin(&t->create);
	if (t->again_set || t->stopped || t->dir.n[TOPIC_COMING] == 0)
		return;
	t->again_set = true;
	loop_timer_set(t->loop, &t->again, t->rest_ms, 0, look_again, t);
}

static void
round_done(struct loop_job *job)
{
	struct round *r = loop_owner(job, struct round, job);
	struct topics *t = r->topics;
	int64_t now = loop_now_ms(t->loop), rest_ms = AGAIN_TIMES * (now - r->begun_ms);
	struct topic *e;

	t->rest_ms = rest_ms < AGAIN_MS ? AGAIN_MS : rest_ms > TOPIC_CREATE_MS / 4 ?
	    TOPIC_CREATE_MS / 4 : rest_ms;
	while ((e = topics_dir_first(&t->dir, r->to)) != NULL) {
		if (e->look.err != KP_EUNAVAIL || e->look.coming)
			t->answered_ms = now;
		if (r->from == TOPIC_CREATE) {
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
	go(t, e, TOPIC_LOOK);
	if (e->state == TOPIC_LOOK)
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
	topics_dir_init(&t->dir);
	t->look = (struct round){ .topics = t, .from = TOPIC_LOOK, .to = TOPIC_LOOKED };
	t->create = (struct round){ .topics = t, .from = TOPIC_CREATE, .to = TOPIC_CREATED };
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
	if (t == NULL)
		return;
	topics_dir_clear(&t->dir);
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
	struct topic *e = topics_dir_find(&t->dir, name);
	char why[WHY_MAX];
	bool fresh;

	if (e == NULL && !topics_dir_full(&t->dir, TOPIC_LOOK))
		e = topics_dir_add(&t->dir, name);
	if (e == NULL) {
		ask->done(ask, KP_EBUSY, 0, CROWDED);
		return;
	}
	fresh = is_fresh(t, e, ask);
	/* A topic that was there a while ago is not worth waiting for. */
	if (e->first == NULL && (fresh || e->ever_known)) {
		if (e->state == TOPIC_KNOWN || e->state == TOPIC_OTHER) {
			if (fresh)
				topics_dir_rest(&t->dir, e);
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
	if (e->state == TOPIC_KNOWN || e->state == TOPIC_OTHER)
		look_for(t, e);
}

void
topics_forget(struct topics *t, struct kp_slice name)
{
	struct topic *e = topics_dir_find(&t->dir, name);

	if (e == NULL)
		return;
	e->ever_known = false;
	e->good_until_ms = 0;
	if (e->state == TOPIC_KNOWN)
		topics_dir_rest(&t->dir, e);
}

bool
topics_answered(const struct topics *t)
{
	return loop_now_ms(t->loop) - t->answered_ms < ANSWERED_MS;
}
