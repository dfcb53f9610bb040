/* Every error has a status of its own choosing, and 429 and 503 a time to wait. */
#include "fcgi/http_status.h"

#include "tests/unit/unit.h"

/* Fails to compile when the list grows and this table does not: then choose. */
static const struct {
	enum kp_err err;
	int status;
} expected[] = {
	{ KP_OK, 200 }, { KP_ENOMEM, 500 }, { KP_EIO, 500 }, { KP_EBADMSG, 500 },
	{ KP_EVERSION, 503 }, { KP_EBADREQ, 400 }, { KP_EDENIED, 403 }, { KP_ENOTFOUND, 404 },
	{ KP_ENOMSG, 408 }, { KP_ECONFLICT, 409 }, { KP_ETOOBIG, 413 }, { KP_EBUSY, 429 },
	{ KP_EKAFKA, 500 }, { KP_ENOTSUP, 501 }, { KP_EUNAVAIL, 503 }, { KP_EFULL, 503 },
	{ KP_ETIMEDOUT, 504 }, { KP_EGONE, 503 }, { KP_EMEDIA, 415 },
};
_Static_assert(COUNT(expected) == KP_ERR_COUNT, "an error without an expected status");

static void
test_every_error_has_its_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(expected); i++)
		assert_int_equal(http_status_of(expected[i].err), expected[i].status);
	assert_int_equal(http_status_of(KP_ERR_COUNT), 500);
	assert_int_equal(http_status_of((enum kp_err)9999), 500);
}

static void
test_every_status_has_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(expected); i++)
		assert_string_not_equal(http_status_reason(expected[i].status), "Unknown");
	assert_string_equal(http_status_reason(405), "Method Not Allowed");
	assert_string_equal(http_status_reason(299), "Unknown");
}

static void
test_retry_after_comes_with_429_and_503_only(void **state)
{
	(void)state;
	assert_int_equal(http_status_retry_after(503, 0), 1);
	assert_int_equal(http_status_retry_after(429, 0), 1);
	assert_int_equal(http_status_retry_after(503, 7), 7);
	assert_int_equal(http_status_retry_after(500, 7), 0);
	assert_int_equal(http_status_retry_after(504, 7), 0);
	assert_int_equal(http_status_retry_after(200, 7), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_error_has_its_status),
		cmocka_unit_test(test_every_status_has_its_reason),
		cmocka_unit_test(test_retry_after_comes_with_429_and_503_only),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
