/* One current handle of each kind, made when it is needed, and those that were replaced. */
#include "helper/kafka/kafka_admin_handles.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"

/* Past either a handle is replaced at once, and past the limit it is not used while it cannot
 * be. What it does for the unknown ones is a search of all by all. */
#define UNKNOWN_MAX 500
#define UNKNOWN_LIMIT (4 * UNKNOWN_MAX)
#define NAMES_MAX 20000
/* Those of a kind that cannot be destroyed yet; with so many the current one is kept. */
#define REPLACED_MAX 4
#define TICK_MS 1000

struct handle_name {
	struct names_entry by_name;	/* first */
	int64_t until_ms;
	bool unknown;
};

struct pool {
	struct handle *current;
	struct handle *replaced;
	unsigned n_replaced;
};

struct handles {
	struct kafka *kafka;
	struct late *late;
	pthread_mutex_t lock;		/* guards all below, and what is private in handles */
	pthread_cond_t wake;
	struct pool pools[HANDLE_KINDS];
	pthread_t keeper;
	bool started, stop;
};

static const struct kafka_property looks[] = {
	{ "allow.auto.create.topics", "false" },
	{ "enable.auto.commit", "false" },
	{ NULL, NULL },
};
static const struct kafka_property creates[] = {
	{ NULL, NULL },
};
static const struct kafka_property asks[] = {
	{ "allow.auto.create.topics", "false" },
	{ "enable.auto.commit", "false" },
	/* Never joined. librdkafka 2.0 takes for granted that there is one when a
	 * coordinator answers that it is none any more, and crashes without. */
	{ "group.id", "kafka-pixy-helper" },
	{ NULL, NULL },
};

static const struct kafka_property marks[] = {
	{ "!isolation.level", "read_uncommitted" },
	{ "allow.auto.create.topics", "false" },
	{ "enable.auto.commit", "false" },
	{ NULL, NULL },
};

/* forget_ms: how long a name is remembered that nobody uses, more than what is between two
 * questions about a topic that is in use; forget_unknown_ms: one that there is not. A handle
 * costs some threads and connections: there is no new one more often than that. */
static const struct {
	const char *name;
	rd_kafka_type_t type;
	const struct kafka_property *props;
	int64_t forget_ms, forget_unknown_ms;
} kinds[HANDLE_KINDS] = {
	[HANDLE_LOOKS] = { "looks", RD_KAFKA_CONSUMER, looks, 150 * 1000, 5000 },
	[HANDLE_CREATES] = { "creates", RD_KAFKA_PRODUCER, creates, 2500, 2500 },
	[HANDLE_ASKS] = { "asks", RD_KAFKA_CONSUMER, asks, 150 * 1000, 5000 },
	[HANDLE_MARKS] = { "marks", RD_KAFKA_CONSUMER, marks, 150 * 1000, 5000 },
};

static void
handle_free(struct handle *h)
{
	struct names_entry *n;

	if (h == NULL)
		return;
	while ((n = names_take(&h->names)) != NULL)
		free(n);
	if (h->rk)
		rd_kafka_destroy_flags(h->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	free(h);
}

static struct handle *
handle_new(struct kafka *k, enum handle_kind kind)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->kind = kind;
	h->born_ms = clock_mono_ms();
	h->peers = kafka_peers_generation(kafka_peers(k));
	h->rk = kafka_new(k, kinds[kind].type, kinds[kind].props, 0);
	if (h->rk == NULL) {
		handle_free(h);
		return NULL;
	}
	return h;
}

/* ---- which names a handle has ---- */

static struct handle_name *
find(const struct handle *h, const char *name)
{
	return (struct handle_name *)names_find(&h->names, kp_slice_str(name));
}

void
handle_use(struct handles *s, struct handle *h, const char *name)
{
	struct handle_name *n;

	pthread_mutex_lock(&s->lock);
	n = find(h, name);
	if (n == NULL)
		n = names_new(&h->names, sizeof(*n), kp_slice_str(name));
	/* Without memory it is not forgotten in time: that is all. */
	if (n)
		n->until_ms = clock_mono_ms() + (n->unknown ? kinds[h->kind].forget_unknown_ms :
		    kinds[h->kind].forget_ms);
	pthread_mutex_unlock(&s->lock);
}

void
handle_unknown(struct handles *s, struct handle *h, const char *name)
{
	struct handle_name *n;

	pthread_mutex_lock(&s->lock);
	n = find(h, name);
	if (n && !n->unknown) {
		n->unknown = true;
		n->until_ms = clock_mono_ms() + kinds[h->kind].forget_unknown_ms;
		h->n_unknown++;
	}
	pthread_mutex_unlock(&s->lock);
}

bool
handle_any(struct handles *s, struct handle *h, char *name, size_t cap)
{
	const struct names_entry *n;

	pthread_mutex_lock(&s->lock);
	n = names_next(&h->names, NULL);
	if (n)
		snprintf(name, cap, "%s", n->name);
	pthread_mutex_unlock(&s->lock);
	return n != NULL;
}

static bool
is_full(const struct handle *h)
{
	return h->n_unknown >= UNKNOWN_MAX || h->names.n >= NAMES_MAX;
}

/* One that is new has had no time to find a broker. */
static bool
is_lost(const struct handles *s, const struct handle *h)
{
	return h->peers != kafka_peers_generation(kafka_peers(s->kafka)) ||
	    (h->lost && clock_mono_ms() - h->born_ms >= KAFKA_LOST_MS / 2);
}

static bool
is_stale(const struct handle *h, int64_t now)
{
	if (now - h->born_ms < kinds[h->kind].forget_unknown_ms)
		return false;
	for (const struct names_entry *n = names_next(&h->names, NULL); n;
	    n = names_next(&h->names, n))
		if (((const struct handle_name *)n)->until_ms < now)
			return true;
	return false;
}

/* ---- replacing them ---- */

/* The next question makes another one. */
static void
replace(struct handles *s, struct pool *p)
{
	struct handle *h = p->current;

	if (h == NULL || p->n_replaced >= REPLACED_MAX)
		return;
	log_debug("kafka handle replaced kind=%s names=%zu unknown=%zu age_ms=%lld",
	    kinds[h->kind].name, h->names.n, h->n_unknown,
	    (long long)(clock_mono_ms() - h->born_ms));
	h->next = p->replaced;
	p->replaced = h;
	p->n_replaced++;
	p->current = NULL;
	pthread_cond_signal(&s->wake);
}

/* One that nobody asks through any more, taken off the list. */
static struct handle *
next_over(struct handles *s)
{
	for (int i = 0; i < HANDLE_KINDS; i++)
		for (struct handle **at = &s->pools[i].replaced, *h; (h = *at) != NULL;
		    at = &h->next)
			if (h->users == 0 && !late_any(s->late, h->rk)) {
				*at = h->next;
				return h;
			}
	return NULL;
}

static void
wait_a_tick(struct handles *s)
{
	struct timespec until = clock_mono_after(TICK_MS);

	pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *
keep(void *arg)
{
	struct handles *s = arg;
	enum handle_kind kind;
	struct handle *h;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		int64_t now = clock_mono_ms();

		for (int i = 0; i < HANDLE_KINDS; i++)
			if (s->pools[i].current && is_stale(s->pools[i].current, now))
				replace(s, &s->pools[i]);
		h = next_over(s);
		if (h == NULL) {
			wait_a_tick(s);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		/* Waits for its threads, of which one may wait for a name server. */
		kind = h->kind;
		handle_free(h);
		pthread_mutex_lock(&s->lock);
		s->pools[kind].n_replaced--;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct handles *
handles_new(struct kafka *k, struct late *late)
{
	struct handles *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;

	if (s == NULL)
		return NULL;
	s->kafka = k;
	s->late = late;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->started = pthread_create(&s->keeper, NULL, keep, s) == 0;
	if (!s->started) {
		handles_free(s);
		return NULL;
	}
	return s;
}

void
handles_stop(struct handles *s)
{
	if (s == NULL || !s->started)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->keeper, NULL);
	s->started = false;
}

void
handles_free(struct handles *s)
{
	if (s == NULL)
		return;
	handles_stop(s);
	for (int i = 0; i < HANDLE_KINDS; i++) {
		struct pool *p = &s->pools[i];

		handle_free(p->current);
		while (p->replaced) {
			struct handle *h = p->replaced;

			p->replaced = h->next;
			handle_free(h);
		}
	}
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct handle *
handle_take(struct handles *s, enum handle_kind kind)
{
	struct pool *p = &s->pools[kind];
	struct handle *h;

	pthread_mutex_lock(&s->lock);
	if (p->current && (is_full(p->current) || is_lost(s, p->current)))
		replace(s, p);
	if (p->current == NULL)
		p->current = handle_new(s->kafka, kind);
	h = p->current && p->current->n_unknown < UNKNOWN_LIMIT ? p->current : NULL;
	if (h)
		h->users++;
	pthread_mutex_unlock(&s->lock);
	return h;
}

void
handle_give(struct handles *s, struct handle *h, rd_kafka_resp_err_t err)
{
	pthread_mutex_lock(&s->lock);
	h->lost = kafka_err_unreachable(err);
	if (--h->users == 0 && h != s->pools[h->kind].current)
		pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}
