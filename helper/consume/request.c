/* Queues of requests, each on one list at a time. */
#include "helper/consume/request.h"

void
request_wait(struct request *r, struct requests *queue,
    void (*interrupted)(struct op *op, enum kp_err why))
{
	r->queue = queue;
	r->op->interrupted = interrupted;
	TAILQ_INSERT_TAIL(&queue->all, r, link);
	queue->n++;
}

void
request_leave(struct request *r)
{
	TAILQ_REMOVE(&r->queue->all, r, link);
	r->queue->n--;
	r->queue = NULL;
	r->op->interrupted = NULL;
}

void
requests_fail(struct requests *queue, enum kp_err err, const char *why)
{
	struct request *r;

	while ((r = TAILQ_FIRST(&queue->all)) != NULL) {
		request_leave(r);
		op_fail(r->op, err, 1, "%s", why);
	}
}
