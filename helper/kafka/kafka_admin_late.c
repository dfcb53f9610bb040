/* A list of queues, looked through before the next request: nothing here is urgent. */
#include "helper/kafka/kafka_admin_late.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What a group leaves in two minutes. One can be stuck, for as long as no broker comes
 * or goes, while the next works: so it is not one. */
#define GROUP_MAX_LATE 32
#define LATE_MAX 1024

struct late_request {
	struct late_request *next;
	rd_kafka_queue_t *q;
	const rd_kafka_t *rk;
	char *group;
};

struct late {
	pthread_mutex_t lock;
	struct late_request *list;
};

struct late *
late_new(void)
{
	struct late *l = calloc(1, sizeof(*l));

	if (l)
		pthread_mutex_init(&l->lock, NULL);
	return l;
}

static void
request_free(struct late_request *r)
{
	rd_kafka_queue_destroy(r->q);
	free(r->group);
	free(r);
}

void
late_free(struct late *l)
{
	if (l == NULL)
		return;
	while (l->list) {
		struct late_request *r = l->list;

		l->list = r->next;
		request_free(r);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void
late_keep(struct late *l, const rd_kafka_t *rk, const char *group, rd_kafka_queue_t *q)
{
	struct late_request *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->group = strdup(group)) == NULL) {
		rd_kafka_queue_destroy(q);
		free(r);
		return;
	}
	r->q = q;
	r->rk = rk;
	pthread_mutex_lock(&l->lock);
	r->next = l->list;
	l->list = r;
	pthread_mutex_unlock(&l->lock);
}

static bool
is_over(struct late_request *r)
{
	rd_kafka_event_t *ev = rd_kafka_queue_poll(r->q, 0);

	if (ev)
		rd_kafka_event_destroy(ev);
	return ev != NULL;
}

/* Drops what has been answered, and counts the rest. */
static void
count(struct late *l, const rd_kafka_t *rk, const char *group, size_t *of_handle,
    size_t *of_group, size_t *all)
{
	struct late_request **at = &l->list, *r;

	*of_handle = *of_group = *all = 0;
	pthread_mutex_lock(&l->lock);
	while ((r = *at) != NULL) {
		if (is_over(r)) {
			*at = r->next;
			request_free(r);
			continue;
		}
		*of_handle += r->rk == rk;
		*of_group += strcmp(r->group, group) == 0;
		++*all;
		at = &r->next;
	}
	pthread_mutex_unlock(&l->lock);
}

bool
late_room(struct late *l, const char *group)
{
	size_t of_handle, of_group, all;

	count(l, NULL, group, &of_handle, &of_group, &all);
	return of_group < GROUP_MAX_LATE && all < LATE_MAX;
}

bool
late_any(struct late *l, const rd_kafka_t *rk)
{
	size_t of_handle, of_group, all;

	count(l, rk, "", &of_handle, &of_group, &all);
	return of_handle > 0;
}
