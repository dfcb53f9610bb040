/*
 * A ring of bytes: each line behind its length. The write end is not made non-blocking,
 * since other processes have the same open file, and would have to live with it; so it
 * is a thread that waits. The thread starts with the first line, and has all signals
 * blocked: who waits for them is somebody else.
 */
#include "common/log_out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define STACK_BYTES (128 * 1024)
#define FEW_BYTES (LOG_OUT_BYTES / 4 * 3)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;		/* a line was put in */
	pthread_cond_t done;		/* one was written or dropped */
	bool hooked, started;		/* for exit and fork; the thread */
	bool full;			/* since it was empty */
	uint64_t put, taken;		/* bytes */
	uint64_t lines, ended;		/* put in; written or dropped since */
	unsigned long dropped;		/* since the last line that told */
	char ring[LOG_OUT_BYTES];
} q = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.done = PTHREAD_COND_INITIALIZER,
};

/* ---- the ring ---- */

static void
ring_put(const void *bytes, size_t n)
{
	size_t at = q.put % LOG_OUT_BYTES, first = LOG_OUT_BYTES - at;

	if (first > n)
		first = n;
	memcpy(q.ring + at, bytes, first);
	memcpy(q.ring, (const char *)bytes + first, n - first);
	q.put += n;
}

static void
ring_take(void *bytes, size_t n)
{
	size_t at = q.taken % LOG_OUT_BYTES, first = LOG_OUT_BYTES - at;

	if (first > n)
		first = n;
	memcpy(bytes, q.ring + at, first);
	memcpy((char *)bytes + first, q.ring, n - first);
	q.taken += n;
}

static bool
line_put(enum log_level level, const char *line, size_t n)
{
	size_t room = level <= LOG_WARN ? LOG_OUT_BYTES : FEW_BYTES;
	uint16_t length = (uint16_t)n;

	/* What was dropped is one gap, until all before it is out. */
	q.full = q.full || q.put - q.taken + sizeof(length) + n > room;
	if (q.put - q.taken + sizeof(length) + n > room || (q.full && level > LOG_WARN))
		return false;
	ring_put(&length, sizeof(length));
	ring_put(line, n);
	q.lines++;
	return true;
}

static size_t
line_take(char line[LOG_LINE_MAX])
{
	uint16_t length;

	ring_take(&length, sizeof(length));
	ring_take(line, length);
	/* From the beginning again: a quiet log touches little memory. */
	if (q.taken == q.put)
		q.taken = q.put = 0;
	return length;
}

/* ---- the thread ---- */

/* Writes all of it, however long that takes. How much there was no place for. */
static size_t
write_out(const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(STDERR_FILENO, p, n);

		if (k > 0) {
			p += k;
			n -= (size_t)k;
		} else if (k < 0 && errno == EAGAIN) {
			/* Whoever we have it from made it non-blocking. */
			poll(&(struct pollfd){ STDERR_FILENO, POLLOUT, 0 }, 1, -1);
		} else if (k == 0 || errno != EINTR) {
			break;
		}
	}
	return n;
}

/* The gap is told of where it is: after all that came before it. */
static void
tell_dropped(void)
{
	char line[LOG_LINE_MAX];
	size_t n = log_format(line, LOG_WARN, "log lines dropped=%lu: standard error took "
	    "none for a while", q.dropped);

	if (line_put(LOG_WARN, line, n))
		q.dropped = 0;
}

/* One byte of room in front: a line that was cut off ends before the next begins. */
static void *
run(void *arg)
{
	char line[1 + LOG_LINE_MAX] = "\n";
	bool cut = false;

	(void)arg;
	pthread_mutex_lock(&q.lock);
	for (;;) {
		size_t n, left;

		while (q.put == q.taken)
			pthread_cond_wait(&q.more, &q.lock);
		n = line_take(line + 1);
		pthread_mutex_unlock(&q.lock);
		left = write_out(cut ? line : line + 1, cut + n);
		pthread_mutex_lock(&q.lock);
		q.ended++;
		q.full = q.full && q.put != q.taken;
		/* At n it ended where a line begins, in front of this one. */
		cut = left && left != n;
		if (left)
			q.dropped++;
		else if (q.dropped && q.put == q.taken)
			tell_dropped();	/* after a failure it would fail as well */
		pthread_cond_broadcast(&q.done);
	}
	return NULL;
}

static void
before_fork(void)
{
	pthread_mutex_lock(&q.lock);
}

static void
in_parent(void)
{
	pthread_mutex_unlock(&q.lock);
}

/* The thread and its waiters are the parent's, and so is what they have to write. */
static void
in_child(void)
{
	q.started = q.full = false;
	q.put = q.taken = 0;
	q.lines = q.ended = 0;
	q.dropped = 0;
	q.more = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	q.done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	pthread_mutex_unlock(&q.lock);
}

static void
at_exit(void)
{
	log_flush(LOG_FLUSH_MS);
}

static bool
start(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;

	if (!q.hooked)
		q.hooked = pthread_atfork(before_fork, in_parent, in_child) == 0 &&
		    atexit(at_exit) == 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	q.started = pthread_create(&thread, &attr, run, NULL) == 0;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return q.started;
}

/* ---- those who log ---- */

/* Until so many have ended, or, of q.lines, all; false when time is up before. */
static bool
await_ended(const uint64_t *lines, int timeout_ms)
{
	struct timespec until = clock_mono_after(timeout_ms);

	while (q.ended < *lines)
		if (pthread_cond_clockwait(&q.done, &q.lock, CLOCK_MONOTONIC, &until))
			return q.ended >= *lines;
	return true;
}

/* No thread can be had: the line goes out if nothing is in its way. */
static void
write_now(const char *line, size_t n)
{
	struct pollfd p = { STDERR_FILENO, POLLOUT, 0 };

	if (poll(&p, 1, 0) <= 0 || write_out(line, n))
		q.dropped++;
}

void
log_out_put(enum log_level level, const char *line, size_t n)
{
	uint64_t own;
	bool idle;

	pthread_mutex_lock(&q.lock);
	if (!q.started && !start()) {
		write_now(line, n);
		pthread_mutex_unlock(&q.lock);
		return;
	}
	idle = q.ended == q.lines;
	if (line_put(level, line, n))
		pthread_cond_signal(&q.more);
	else
		q.dropped++;
	/* Of a log that stands still only the first one waits. */
	own = q.lines;
	if (level == LOG_ERROR && idle)
		await_ended(&own, LOG_OUT_WAIT_MS);
	pthread_mutex_unlock(&q.lock);
}

bool
log_flush(int timeout_ms)
{
	bool all;

	pthread_mutex_lock(&q.lock);
	all = await_ended(&q.lines, timeout_ms);
	pthread_mutex_unlock(&q.lock);
	return all;
}
