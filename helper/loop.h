/*
 * The event loop: one libuv loop whose thread owns all of the helper's state.
 *
 * Other threads (store, ZooKeeper client, workers) only post to it. Everything
 * here but loop_post() is for the loop's own thread.
 */
#ifndef KP_LOOP_H
#define KP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

struct loop;

struct loop *loop_new(void);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Closes what is left and frees it. No thread may post any more. */
void loop_free(struct loop *l);
uv_loop_t *loop_uv(struct loop *l);

/* Monotonic milliseconds, as of the start of this turn of the loop. */
int64_t loop_now_ms(struct loop *l);

/*
 * Calls paused(arg, ms) before anything else whenever this process stood still for more than
 * limit_ms, by SIGSTOP, with the whole machine, or in a call that took so long: what it
 * holds by a lease may be somebody else's now. It lives inside the object of whoever wants
 * to know, all zero at first; paused() sets and ends none but its own.
 */
struct loop_pause {
	LIST_ENTRY(loop_pause) link;
	struct loop *loop;		/* NULL unless set */
	int64_t limit_ms;		/* a second or more */
	void (*paused)(void *arg, int64_t ms);
	void *arg;
};
void loop_pause_set(struct loop *l, struct loop_pause *p, int64_t limit_ms,
    void (*paused)(void *arg, int64_t ms), void *arg);
void loop_pause_end(struct loop_pause *p);
/* Everything that the loop calls begins with it, here and where libuv is used directly. */
void loop_awake(struct loop *l);

/* What a task, a job or the like lives in. */
#define loop_owner(part, type, field) ((type *)((char *)(part) - offsetof(type, field)))

/*
 * One call on the loop's thread, from any thread, in the order posted. The task
 * lives inside the poster's own object, must stay alive until run() is called,
 * and may be freed or posted again from there.
 */
struct loop_task {
	STAILQ_ENTRY(loop_task) link;
	void (*run)(struct loop_task *t);
};
void loop_post(struct loop *l, struct loop_task *t);

/*
 * A blocking call on a worker thread: work() there, then done() on the loop. Whatever both
 * touch belongs to the job until done(). Each lane has its own workers and a queue with an
 * end: past it false, and nothing happens. Jobs with a key (of a topic, a group, …) that was
 * slow of late wait for each other, and the rest do not wait for them.
 */
#define LOOP_WORKERS 27
enum loop_lane {
	LOOP_OTHER,		/* ends of handles, of which many come at once; and the rest */
	LOOP_ZOOKEEPER,
	LOOP_HEALTH,
	LOOP_TOPICS,		/* which topics exist */
	LOOP_GROUPS,		/* what groups need to start and go on */
	LOOP_QUESTIONS,		/* what users ask */
	LOOP_LANES
};
struct loop_job {
	void (*work)(struct loop_job *j);
	void (*done)(struct loop_job *j);
	enum loop_lane lane;
	uint32_t keys[2];		/* what may make it slow; see loop_key(), 0: nothing */
	/* The loop's own. */
	uv_work_t req;
	struct loop_lanes *lanes;
	STAILQ_ENTRY(loop_job) link;
	int64_t begun_ms;
	bool slow;
};
bool loop_work(struct loop *l, struct loop_job *j) __attribute__((warn_unused_result));
/* The same for what ends an object, and must not be done on the loop in its place: it waits
 * behind all others, and is never refused. */
void loop_work_last(struct loop *l, struct loop_job *j);
/* Of a name of some kind, never 0. */
uint32_t loop_key(char kind, const char *name);
/* Jobs whose done() has not been called. */
unsigned loop_jobs(const struct loop *l);

/*
 * A timer inside the owner's object. Stopping or ending one that is not set is
 * fine. An ended timer's memory may be freed at once: libuv's part lives apart.
 */
struct loop_timer {
	struct loop_timer_impl *impl;
};
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ms, int64_t repeat_ms,
    void (*fire)(void *arg), void *arg);
void loop_timer_end(struct loop_timer *t);
/* Until it fires; 0 when it is not set. */
int64_t loop_timer_left_ms(const struct loop_timer *t);

/* Calls fire(arg) whenever fd becomes readable, until its end. The descriptor stays yours.
 * NULL without memory, or for a descriptor that cannot be waited for. */
struct loop_watch;
struct loop_watch *loop_watch_fd(struct loop *l, int fd, void (*fire)(void *arg), void *arg);
void loop_watch_end(struct loop_watch *w);

#endif
