/* Queues of requests: first come, first served, and none is left behind. */
#include "helper/consume/request.h"

#include "tests/unit/unit.h"

static struct kp_quota room;

static struct request *
new_request(void)
{
	struct op *op = calloc(1, sizeof(*op));
	struct request *r = calloc(1, sizeof(*r));

	assert_true(op && r);
	op->room = &room;
	op->request = r;
	r->op = op;
	return r;
}

static void
ignore(struct op *op, enum kp_err why)
{
	(void)op;
	(void)why;
}

static void
expect(const struct requests *q, struct request *const *v, size_t n)
{
	const struct request *r = TAILQ_FIRST(&q->all);

	assert_int_equal(q->n, n);
	for (size_t i = 0; i < n; i++, r = TAILQ_NEXT(r, link)) {
		assert_ptr_equal(r, v[i]);
		assert_ptr_equal(r->queue, q);
		assert_ptr_equal(r->op->interrupted, ignore);
	}
	assert_null(r);
	assert_ptr_equal(TAILQ_LAST(&q->all, request_list), n ? v[n - 1] : NULL);
}

/* The first, the last, one in the middle, the only one; and each comes to the end again. */
static void
test_order(void **state)
{
	struct requests q = { TAILQ_HEAD_INITIALIZER(q.all), 0 };
	struct requests other = { TAILQ_HEAD_INITIALIZER(other.all), 0 };
	struct request *v[] = { new_request(), new_request(), new_request(), new_request() };
	struct request *a = v[0], *b = v[1], *c = v[2], *d = v[3];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		request_wait(v[i], &q, ignore);
	expect(&q, v, 4);
	request_leave(b);
	assert_null(b->op->interrupted);
	expect(&q, (struct request *[]){ a, c, d }, 3);
	request_leave(d);
	request_wait(d, &other, ignore);
	expect(&q, (struct request *[]){ a, c }, 2);
	expect(&other, &d, 1);
	request_wait(b, &q, ignore);
	expect(&q, (struct request *[]){ a, c, b }, 3);
	request_leave(a);
	request_wait(a, &q, ignore);
	expect(&q, (struct request *[]){ c, b, a }, 3);
	request_leave(d);
	expect(&other, NULL, 0);
	op_end(d->op);
	requests_fail(&q, KP_EUNAVAIL, "the end");	/* ASan tells of one that is left */
	expect(&q, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
