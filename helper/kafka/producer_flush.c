/* A thread that waits in rd_kafka_flush() when it is told to. */
#include "helper/kafka/producer_flush.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* Ends earlier when Kafka has taken everything. Who does not wake up in this time sends
 * after linger.ms. */
#define FLUSH_MS 2
/* From one flush to the next: what comes meanwhile travels together. */
#define PACE_US 5000

struct producer_flush {
	rd_kafka_t *rk;
	struct kafka_wake *wake;
	pthread_t thread;
	sem_t start;
	atomic_bool ending;
};

static void
wait_until(const struct timespec *start, long us)
{
	struct timespec t = { start->tv_sec, start->tv_nsec + us * 1000 };

	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		continue;
}

static void *
run(void *arg)
{
	struct producer_flush *f = arg;
	struct timespec start;

	for (;;) {
		while (sem_wait(&f->start) != 0)
			continue;
		if (atomic_load(&f->ending))
			return NULL;
		clock_gettime(CLOCK_MONOTONIC, &start);
		rd_kafka_flush(f->rk, FLUSH_MS);
		wait_until(&start, PACE_US);
		kafka_wake_ring(f->wake);
	}
}

struct producer_flush *
producer_flush_new(struct loop *l, void (*done)(void *arg), void *arg)
{
	struct producer_flush *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->wake = kafka_wake_new(l, done, arg);
	sem_init(&f->start, 0, 0);
	if (f->wake && pthread_create(&f->thread, NULL, run, f) == 0)
		return f;
	kafka_wake_free(f->wake);
	free(f);
	return NULL;
}

void
producer_flush_start(struct producer_flush *f, rd_kafka_t *rk)
{
	f->rk = rk;			/* the semaphore hands it over */
	sem_post(&f->start);
}

void
producer_flush_free(struct producer_flush *f)
{
	if (f == NULL)
		return;
	atomic_store(&f->ending, true);
	sem_post(&f->start);
	pthread_join(f->thread, NULL);
	sem_destroy(&f->start);
	kafka_wake_free(f->wake);
	free(f);
}
