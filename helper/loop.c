/* Thin over libuv: posting, workers, timers and descriptors, with handles that
 * outlive their owners just as long as libuv needs them. */
#include "helper/loop.h"

#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "helper/loop_lanes.h"

#define BEAT_MS 250			/* a fraction of what anybody takes for standing still */

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_mutex_t lock;		/* guards what is posted */
	STAILQ_HEAD(tasks, loop_task) posted;
	struct loop_lanes *lanes;
	LIST_HEAD(, loop_pause) pauses;	/* who is told that we stood still */
	int64_t awake_ms;		/* when we last knew that we run, CLOCK_BOOTTIME */
	struct loop_timer beat;		/* so that we do when there is nothing to do */
};

struct loop_timer_impl {
	uv_timer_t uv;
	void (*fire)(void *arg);
	void *arg;
};

struct loop_watch {
	uv_poll_t uv;
	void (*fire)(void *arg);
	void *arg;
};

void
loop_awake(struct loop *l)
{
	struct loop_pause *p, *next;
	int64_t now, stood_ms;

	if (LIST_EMPTY(&l->pauses))
		return;
	now = clock_boot_ms();
	stood_ms = now - l->awake_ms;
	l->awake_ms = now;
	for (p = LIST_FIRST(&l->pauses); p; p = next) {
		next = LIST_NEXT(p, link);
		if (stood_ms > p->limit_ms)
			p->paused(p->arg, stood_ms);
	}
}

static void
beat(void *arg)
{
	(void)arg;			/* that it came is enough */
}

void
loop_pause_set(struct loop *l, struct loop_pause *p, int64_t limit_ms,
    void (*paused)(void *arg, int64_t ms), void *arg)
{
	loop_pause_end(p);
	if (LIST_EMPTY(&l->pauses)) {
		l->awake_ms = clock_boot_ms();
		loop_timer_set(l, &l->beat, BEAT_MS, BEAT_MS, beat, l);
	}
	p->loop = l;
	p->limit_ms = limit_ms;
	p->paused = paused;
	p->arg = arg;
	LIST_INSERT_HEAD(&l->pauses, p, link);
}

void
loop_pause_end(struct loop_pause *p)
{
	struct loop *l = p->loop;

	if (l == NULL)
		return;
	LIST_REMOVE(p, link);
	p->loop = NULL;
	if (LIST_EMPTY(&l->pauses))
		loop_timer_end(&l->beat);
}

/* Runs what was posted until now; what these post waits for the next turn. */
static void
run_posted(uv_async_t *wake)
{
	struct loop *l = wake->data;
	struct tasks now = STAILQ_HEAD_INITIALIZER(now);
	struct loop_task *t;

	loop_awake(l);
	uv_mutex_lock(&l->lock);
	STAILQ_CONCAT(&now, &l->posted);
	uv_mutex_unlock(&l->lock);
	while ((t = STAILQ_FIRST(&now)) != NULL) {
		STAILQ_REMOVE_HEAD(&now, link);
		t->run(t);
	}
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL || (l->lanes = loop_lanes_new(l)) == NULL || uv_loop_init(&l->uv) != 0) {
		if (l)
			loop_lanes_free(l->lanes);
		free(l);
		return NULL;
	}
	uv_mutex_init(&l->lock);
	STAILQ_INIT(&l->posted);
	uv_async_init(&l->uv, &l->wake, run_posted);
	l->wake.data = l;
	l->uv.data = l;
	return l;
}

void
loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

static void
close_leftover(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void
loop_free(struct loop *l)
{
	uv_walk(&l->uv, close_leftover, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	uv_loop_close(&l->uv);
	uv_mutex_destroy(&l->lock);
	loop_lanes_free(l->lanes);
	free(l);
}

uv_loop_t *
loop_uv(struct loop *l)
{
	return &l->uv;
}

int64_t
loop_now_ms(struct loop *l)
{
	return (int64_t)uv_now(&l->uv);
}

void
loop_post(struct loop *l, struct loop_task *t)
{
	bool first;

	uv_mutex_lock(&l->lock);
	first = STAILQ_EMPTY(&l->posted);
	STAILQ_INSERT_TAIL(&l->posted, t, link);
	uv_mutex_unlock(&l->lock);
	if (first)
		uv_async_send(&l->wake);
}

bool
loop_work(struct loop *l, struct loop_job *j)
{
	return loop_lanes_add(l->lanes, j);
}

void
loop_work_last(struct loop *l, struct loop_job *j)
{
	loop_lanes_add_last(l->lanes, j);
}

uint32_t
loop_key(char kind, const char *name)
{
	uint32_t h = (kp_slice_hash(kp_slice_str(name)) ^ (uint8_t)kind) * 16777619u;

	return h ? h : 1;
}

unsigned
loop_jobs(const struct loop *l)
{
	return loop_lanes_jobs(l->lanes);
}

static void
timer_fired(uv_timer_t *uv)
{
	struct loop_timer_impl *impl = uv->data;

	loop_awake(uv->loop->data);
	impl->fire(impl->arg);
}

static void
free_data(uv_handle_t *h)
{
	free(h->data);
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ms, int64_t repeat_ms,
    void (*fire)(void *arg), void *arg)
{
	if (t->impl == NULL) {
		t->impl = calloc(1, sizeof(*t->impl));
		if (t->impl == NULL)
			abort();	/* a wait without a deadline is worse */
		uv_timer_init(&l->uv, &t->impl->uv);
		t->impl->uv.data = t->impl;
	}
	t->impl->fire = fire;
	t->impl->arg = arg;
	uv_timer_start(&t->impl->uv, timer_fired, (uint64_t)(after_ms > 0 ? after_ms : 0),
	    (uint64_t)repeat_ms);
}

void
loop_timer_end(struct loop_timer *t)
{
	if (t->impl == NULL)
		return;
	uv_close((uv_handle_t *)&t->impl->uv, free_data);
	t->impl = NULL;
}

int64_t
loop_timer_left_ms(const struct loop_timer *t)
{
	return t->impl ? (int64_t)uv_timer_get_due_in(&t->impl->uv) : 0;
}

static void
watch_fired(uv_poll_t *uv, int status, int events)
{
	struct loop_watch *w = uv->data;

	(void)status;
	(void)events;
	loop_awake(uv->loop->data);
	w->fire(w->arg);
}

struct loop_watch *
loop_watch_fd(struct loop *l, int fd, void (*fire)(void *arg), void *arg)
{
	struct loop_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fire = fire;
	w->arg = arg;
	if (uv_poll_init(&l->uv, &w->uv, fd) != 0) {
		free(w);
		return NULL;
	}
	w->uv.data = w;
	uv_poll_start(&w->uv, UV_READABLE, watch_fired);
	return w;
}

void
loop_watch_end(struct loop_watch *w)
{
	if (w) {
		uv_poll_stop(&w->uv);
		uv_close((uv_handle_t *)&w->uv, free_data);
	}
}
