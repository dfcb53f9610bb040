/* Whether another handle fits is tried out, with all the threads that are promised to those
 * which were just made. */
#include "helper/kafka/kafka_threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "helper/threads.h"

/* Its own, the internal one, the coordinator's. */
#define HANDLE_THREADS 3
/* What many leave: handles for questions, and to produce, are made anew now and then. */
#define SPARE_HANDLES 2
/* For what is not ours: it may start some between the trial and the handle. */
#define SPARE_THREADS 2
/* How long a handle may take to have a thread for each broker. */
#define GROW_MS 5000
/* After a refusal nothing is tried, so that a flood of groups costs nothing. */
#define REFUSED_MS 1000
#define SAID_MS 10000
#define ADDRESS_MAX 300

struct kafka_threads {
	const char *peers;
	unsigned listed;		/* brokers in there */
	atomic_uint learned;		/* brokers that are not */
	pthread_mutex_t lock;		/* held while a handle is made */
	int64_t grow_ms;		/* since when the first of these count */
	unsigned grow[2];		/* threads to come: of now, of the time before */
	unsigned made[2];		/* handles, likewise */
	pthread_mutex_t why_lock;
	int64_t refused_ms;		/* 0: never */
	int64_t said_ms;
	char why[THREADS_WHY_MAX];
};

static unsigned
count_listed(const char *peers)
{
	unsigned n = 1;

	for (; *peers; peers++)
		n += *peers == ',';
	return n;
}

struct kafka_threads *
kafka_threads_new(const char *peers)
{
	struct kafka_threads *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->peers = peers;
	t->listed = count_listed(peers);
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->why_lock, NULL);
	return t;
}

void
kafka_threads_free(struct kafka_threads *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->why_lock);
	free(t);
}

/* Threads that handles made of late will start when they hear of all brokers. */
static unsigned
growing(struct kafka_threads *t, int64_t now_ms)
{
	if (now_ms - t->grow_ms >= GROW_MS) {
		bool lately = now_ms - t->grow_ms < 2 * GROW_MS;

		t->grow[1] = lately ? t->grow[0] : 0;
		t->made[1] = lately ? t->made[0] : 0;
		t->grow[0] = t->made[0] = 0;
		t->grow_ms = now_ms;
	}
	return t->grow[0] + t->grow[1];
}

static bool
was_refused(struct kafka_threads *t, int64_t within_ms)
{
	bool was;

	pthread_mutex_lock(&t->why_lock);
	was = t->refused_ms && clock_mono_ms() - t->refused_ms < within_ms;
	pthread_mutex_unlock(&t->why_lock);
	return was;
}

static void
refuse(struct kafka_threads *t, unsigned need)
{
	char why[THREADS_WHY_MAX];
	int64_t now_ms = clock_mono_ms();
	bool say;

	threads_limit(need, why, sizeof(why));
	pthread_mutex_lock(&t->why_lock);
	t->refused_ms = now_ms;
	memcpy(t->why, why, sizeof(why));
	say = t->said_ms == 0 || now_ms - t->said_ms >= SAID_MS;
	if (say)
		t->said_ms = now_ms;
	pthread_mutex_unlock(&t->why_lock);
	if (say)
		log_warn("kafka no threads for another client wanted=%u: %s", need, why);
}

bool
kafka_threads_begin(struct kafka_threads *t, bool many)
{
	unsigned own, need;

	if (many && was_refused(t, REFUSED_MS))
		return false;
	pthread_mutex_lock(&t->lock);
	own = HANDLE_THREADS + t->listed + atomic_load(&t->learned);
	need = own + growing(t, clock_mono_ms()) + SPARE_THREADS + (many ? SPARE_HANDLES * own : 0);
	if (threads_fit(need)) {
		t->grow[0] += atomic_load(&t->learned);
		t->made[0]++;
		return true;
	}
	pthread_mutex_unlock(&t->lock);
	refuse(t, need);
	return false;
}

void
kafka_threads_end(struct kafka_threads *t)
{
	pthread_mutex_unlock(&t->lock);
}

/* In "host:port,…", as it stands. */
static bool
is_listed(const char *peers, const char *address)
{
	size_t n = strlen(address), len;

	for (;; peers += len + 1) {
		len = strcspn(peers, ",");
		if (len == n && strncmp(peers, address, n) == 0)
			return true;
		if (peers[len] == '\0')
			return false;
	}
}

void
kafka_threads_brokers(struct kafka_threads *t, const struct rd_kafka_metadata *md)
{
	char address[ADDRESS_MAX];
	unsigned learned = 0, before;

	for (int i = 0; i < md->broker_cnt; i++) {
		snprintf(address, sizeof(address), "%s:%d", md->brokers[i].host,
		    md->brokers[i].port);
		learned += !is_listed(t->peers, address);
	}
	pthread_mutex_lock(&t->lock);
	before = atomic_exchange(&t->learned, learned);
	growing(t, clock_mono_ms());
	/* Handles that were made without these hear of them, too. */
	if (learned > before)
		t->grow[0] += (learned - before) * (t->made[0] + t->made[1]);
	pthread_mutex_unlock(&t->lock);
}

bool
kafka_threads_are_used_up(struct kafka_threads *t, char *out, size_t cap)
{
	if (!was_refused(t, 2 * REFUSED_MS))
		return false;
	pthread_mutex_lock(&t->why_lock);
	snprintf(out, cap, "no threads for another group: %s", t->why);
	pthread_mutex_unlock(&t->why_lock);
	return true;
}
