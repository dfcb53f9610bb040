/* Queues of requests, each on one list at a time. */
#include "helper/consume/request.h"

void
request_wait(struct request *r, struct requests *queue,
    void (*interrupted)(struct op *op, enum kp_err why))
{
	r->queue = queue;
	r->op->interrupted = interrupted;
	if (queue->last)
		queue->last->next = r;
	else
		queue->first = r;
	queue->last = r;
	queue->n++;
}

void
request_leave(struct request *r)
{
	struct requests *queue = r->queue;
	struct request **at = &queue->first, *before = NULL;

	while (*at != r) {
		before = *at;
		at = &before->next;
	}
	*at = r->next;
	if (queue->last == r)
		queue->last = before;
	queue->n--;
	r->queue = NULL;
	r->next = NULL;
	r->op->interrupted = NULL;
}

void
requests_fail(struct requests *queue, enum kp_err err, const char *why)
{
	while (queue->first) {
		struct request *r = queue->first;

		request_leave(r);
		op_fail(r->op, err, 1, "%s", why);
	}
}
