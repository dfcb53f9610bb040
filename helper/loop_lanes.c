/*
 * Each lane has workers of its own, so that no kind of question takes those of another;
 * and within a lane the questions about what was slow of late share a few of them, so that
 * a broker that hangs holds up its own topics and groups only.
 */
#include "helper/loop_lanes.h"

#include <stdlib.h>

/* A job that took so long makes its keys slow, for so long. */
#define SLOW_MS 1000
#define SLOW_FOR_MS 10000
#define KEYS 1024

/* `workers` of all lanes are LOOP_WORKERS together. */
static const struct {
	unsigned workers;
	unsigned slow;			/* of them, for what is slow */
	unsigned waiting;
} limits[LOOP_LANES] = {
	[LOOP_OTHER] = { 12, 12, 1024 },
	[LOOP_ZOOKEEPER] = { 1, 1, 4 },
	[LOOP_HEALTH] = { 1, 1, 4 },
	[LOOP_TOPICS] = { 2, 2, 4 },
	[LOOP_GROUPS] = { 6, 3, 512 },
	[LOOP_QUESTIONS] = { 5, 2, 256 },
};

struct queue {
	STAILQ_HEAD(, loop_job) jobs;
	unsigned n;
};

struct lane {
	unsigned running, slow_running;
	struct queue ready, slow;
};

struct loop_lanes {
	struct loop *loop;
	struct lane lanes[LOOP_LANES];
	int64_t slow_until_ms[KEYS];
};

static void
push(struct queue *q, struct loop_job *j)
{
	STAILQ_INSERT_TAIL(&q->jobs, j, link);
	q->n++;
}

static struct loop_job *
pop(struct queue *q)
{
	struct loop_job *j = STAILQ_FIRST(&q->jobs);

	if (j == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&q->jobs, link);
	q->n--;
	return j;
}

static bool
is_slow(const struct loop_lanes *s, const struct loop_job *j)
{
	for (int i = 0; i < 2; i++)
		if (j->keys[i] && loop_now_ms(s->loop) < s->slow_until_ms[j->keys[i] % KEYS])
			return true;
	return false;
}

/* What is slow first, in its share: the rest of the workers are for the others anyway. */
static struct loop_job *
next_job(struct loop_lanes *s, enum loop_lane i)
{
	struct lane *lane = &s->lanes[i];
	struct loop_job *j;

	if (lane->running >= limits[i].workers)
		return NULL;
	while ((j = STAILQ_FIRST(&lane->ready.jobs)) != NULL && is_slow(s, j))
		push(&lane->slow, pop(&lane->ready));
	j = lane->slow_running < limits[i].slow ? pop(&lane->slow) : NULL;
	if (j) {
		j->slow = true;
		lane->slow_running++;
		return j;
	}
	return pop(&lane->ready);
}

static void
work(uv_work_t *req)
{
	struct loop_job *j = req->data;

	j->work(j);
}

static void run(struct loop_lanes *s, enum loop_lane i);

static void
done(uv_work_t *req, int status)
{
	struct loop_job *j = req->data;
	struct loop_lanes *s = j->lanes;
	struct lane *lane = &s->lanes[j->lane];
	int64_t now;

	(void)status;			/* jobs are never cancelled */
	loop_awake(s->loop);
	now = loop_now_ms(s->loop);
	for (int i = 0; i < 2; i++)
		if (j->keys[i])
			s->slow_until_ms[j->keys[i] % KEYS] = now - j->begun_ms > SLOW_MS ?
			    now + SLOW_FOR_MS : 0;
	lane->running--;
	lane->slow_running -= j->slow;
	run(s, j->lane);
	j->done(j);
}

static void
run(struct loop_lanes *s, enum loop_lane i)
{
	struct loop_job *j;

	while ((j = next_job(s, i)) != NULL) {
		s->lanes[i].running++;
		j->begun_ms = loop_now_ms(s->loop);
		j->req.data = j;
		if (uv_queue_work(loop_uv(s->loop), &j->req, work, done) != 0)
			abort();	/* only without work() */
	}
}

struct loop_lanes *
loop_lanes_new(struct loop *l)
{
	struct loop_lanes *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	for (int i = 0; i < LOOP_LANES; i++) {
		STAILQ_INIT(&s->lanes[i].ready.jobs);
		STAILQ_INIT(&s->lanes[i].slow.jobs);
	}
	return s;
}

void
loop_lanes_free(struct loop_lanes *s)
{
	free(s);
}

static void
add(struct loop_lanes *s, struct loop_job *j, struct queue *q)
{
	j->lanes = s;
	j->slow = false;
	push(q, j);
	run(s, j->lane);
}

void
loop_lanes_add_last(struct loop_lanes *s, struct loop_job *j)
{
	add(s, j, &s->lanes[j->lane].ready);
}

bool
loop_lanes_add(struct loop_lanes *s, struct loop_job *j)
{
	struct lane *lane = &s->lanes[j->lane];
	bool slow = is_slow(s, j);

	/* What is slow leaves half of the queue to the others, too. */
	if (lane->ready.n + lane->slow.n >= limits[j->lane].waiting ||
	    (slow && lane->slow.n >= limits[j->lane].waiting / 2))
		return false;
	add(s, j, slow ? &lane->slow : &lane->ready);
	return true;
}

unsigned
loop_lanes_jobs(const struct loop_lanes *s)
{
	unsigned n = 0;

	for (int i = 0; i < LOOP_LANES; i++)
		n += s->lanes[i].running + s->lanes[i].ready.n + s->lanes[i].slow.n;
	return n;
}
