/* From a queue of librdkafka to the loop: a descriptor that both know. */
#include "helper/kafka/kafka.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"

struct kafka_wake {
	int fd;
	struct loop_watch *watch;
	void (*fire)(void *arg);
	void *arg;
};

static void
woken(void *arg)
{
	struct kafka_wake *w = arg;
	uint64_t n;

	/* Emptied first: what comes while the queue is polled wakes us again. */
	if (read(w->fd, &n, sizeof(n)) == sizeof(n))
		w->fire(w->arg);
}

struct kafka_wake *
kafka_wake_new(struct loop *l, void (*fire)(void *arg), void *arg)
{
	struct kafka_wake *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fire = fire;
	w->arg = arg;
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd >= 0)
		w->watch = loop_watch_fd(l, w->fd, woken, w);
	if (w->watch == NULL) {
		kafka_wake_free(w);
		return NULL;
	}
	return w;
}

static const uint64_t one = 1;

void
kafka_wake_ring(struct kafka_wake *w)
{
	if (write(w->fd, &one, sizeof(one)) < 0)
		log_warn("kafka wake: %s", strerror(errno));
}

void
kafka_wake_add(struct kafka_wake *w, rd_kafka_queue_t *q)
{
	rd_kafka_queue_io_event_enable(q, w->fd, &one, sizeof(one));
	/* It tells when it is no longer empty. If it was not empty before it was told
	 * to, it never would: so it is looked at once in any case. */
	kafka_wake_ring(w);
}

void
kafka_wake_free(struct kafka_wake *w)
{
	if (w == NULL)
		return;
	loop_watch_end(w->watch);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}
