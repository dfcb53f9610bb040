/* The directory of topics: one entry a name, one question at a time for each. */
#include "helper/topics.h"

#include <stdlib.h>
#include <string.h>

#define TOPICS_KNOWN_MAX 4096
#define ASK_TIMEOUT_MS 2500
#define BUCKETS 256

/* How long an answer is good for. Unknown topics may be created any moment, and
 * when Kafka is away nobody should wait for it again and again. */
#define KNOWN_MS (60 * 1000)
#define UNKNOWN_MS 1000
#define UNREACHABLE_MS 2000

struct topic {
	struct topic *next;
	struct topics *topics;
	char name[TOPIC_MAX + 1];
	bool asking;
	bool ever_known;
	int64_t good_until_ms;
	enum kp_err err;
	int32_t partitions;
	char why[WHY_MAX];
	struct topics_ask *first, *last;
	struct loop_job job;
	/* The worker's until its job is done. */
	struct {
		enum kp_err err;
		int32_t partitions;
		char why[WHY_MAX];
	} answer;
};

struct topics {
	struct loop *loop;
	struct kafka_admin *admin;
	struct topic *buckets[BUCKETS];
	size_t n;
};

static struct topic **
bucket_of(struct topics *t, struct kp_slice name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * 16777619u;
	return &t->buckets[h % BUCKETS];
}

static struct topic *
find(struct topics *t, struct kp_slice name)
{
	struct topic *e = *bucket_of(t, name);

	while (e && !kp_slice_eq(name, kp_slice_str(e->name)))
		e = e->next;
	return e;
}

/* Names come from outside, so there is a limit: the idle ones make room. */
static void
make_room(struct topics *t)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct topic **p = &t->buckets[i];

		while (*p) {
			struct topic *e = *p;

			if (e->asking) {
				p = &e->next;
				continue;
			}
			*p = e->next;
			free(e);
			t->n--;
		}
	}
}

static struct topic *
add(struct topics *t, struct kp_slice name)
{
	struct topic **bucket = bucket_of(t, name), *e;

	if (t->n >= TOPICS_KNOWN_MAX)
		make_room(t);
	e = t->n < TOPICS_KNOWN_MAX ? calloc(1, sizeof(*e)) : NULL;
	if (e == NULL)
		return NULL;
	e->topics = t;
	memcpy(e->name, name.p, name.n);
	e->next = *bucket;
	*bucket = e;
	t->n++;
	return e;
}

static void
ask_kafka(struct loop_job *job)
{
	struct topic *e = (struct topic *)((char *)job - offsetof(struct topic, job));

	e->answer.err = kafka_admin_partitions(e->topics->admin, e->name, true, ASK_TIMEOUT_MS,
	    &e->answer.partitions, e->answer.why);
}

/* What was known stays true while Kafka cannot be asked. */
static void
learn(struct topic *e, enum kp_err err)
{
	int64_t now = loop_now_ms(e->topics->loop);

	e->good_until_ms = now + (err == KP_OK ? KNOWN_MS :
	    err == KP_ENOTFOUND ? UNKNOWN_MS : UNREACHABLE_MS);
	if (err && err != KP_ENOTFOUND && e->ever_known)
		return;
	e->err = err;
	e->partitions = e->answer.partitions;
	e->ever_known = err == KP_OK;
	memcpy(e->why, e->answer.why, sizeof(e->why));
}

static void
answered(struct loop_job *job)
{
	struct topic *e = (struct topic *)((char *)job - offsetof(struct topic, job));

	learn(e, e->answer.err);
	/* `asking` stays set meanwhile, so that the entry does. */
	while (e->first) {
		struct topics_ask *ask = e->first;

		e->first = ask->next;
		ask->done(ask, e->err, e->partitions, e->why);
	}
	e->last = NULL;
	e->asking = false;
}

struct topics *
topics_new(struct loop *l, struct kafka_admin *a)
{
	struct topics *t = calloc(1, sizeof(*t));

	if (t) {
		t->loop = l;
		t->admin = a;
	}
	return t;
}

void
topics_free(struct topics *t)
{
	if (t == NULL)
		return;
	make_room(t);
	free(t);
}

/* Whoever comes while others wait queues behind them: order is kept. */
void
topics_ask(struct topics *t, struct kp_slice name, struct topics_ask *ask)
{
	struct topic *e = find(t, name);
	bool fresh;

	if (e == NULL)
		e = add(t, name);
	if (e == NULL) {
		ask->done(ask, KP_EUNAVAIL, 0, "too many topics are in use");
		return;
	}
	fresh = loop_now_ms(t->loop) < e->good_until_ms;
	if (!e->asking && !fresh) {
		e->job.work = ask_kafka;
		e->job.done = answered;
		e->asking = loop_work(t->loop, &e->job);
		if (!e->asking && !e->ever_known) {
			ask->done(ask, KP_EUNAVAIL, 0, "too many requests wait for Kafka");
			return;
		}
	}
	/* A topic that was there a while ago is not worth waiting for. */
	if (e->first == NULL && (fresh || e->ever_known)) {
		ask->done(ask, e->err, e->partitions, e->why);
		return;
	}
	ask->next = NULL;
	if (e->first)
		e->last->next = ask;
	else
		e->first = ask;
	e->last = ask;
}

void
topics_forget(struct topics *t, struct kp_slice name)
{
	struct topic *e = find(t, name);

	if (e) {
		e->ever_known = false;
		e->good_until_ms = 0;
	}
}
