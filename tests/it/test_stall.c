/* A broker that answers every question and gives no message: not the same as an empty
 * topic. */
#include "tests/it/stand.h"

#include <stdlib.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define STALL_MS 25000			/* twice group_stall.c's, and the looks between */
#define ERRORS 10000

static const char *const member[] = { "--coordination", "kafka", NULL };

/* A topic of one partition, which the group of its name has and which is empty. */
static void
join(const char *topic)
{
	int64_t until = sock_now_ms() + PEER_WAIT_MS;
	struct msg_message m;

	mock_topic(&mock, topic, 1);
	while (peer_consume(&peer, topic, topic, 1000, &m) != KP_ENOMSG)
		assert_true(sock_now_ms() < until);
}

static void
fail_fetches(void)
{
	static rd_kafka_resp_err_t errors[ERRORS];

	for (size_t i = 0; i < ERRORS; i++)
		errors[i] = RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR;
	rd_kafka_mock_push_request_errors_array(mock.cluster, MOCK_FETCH, ERRORS, errors);
}

/* Long polls until one says more than that there is nothing. */
static enum kp_err
poll_until_told(const char *topic, struct msg_message *m)
{
	int64_t until = sock_now_ms() + STALL_MS;
	enum kp_err err;

	do
		err = peer_consume(&peer, topic, topic, 1000, m);
	while (err == KP_ENOMSG && sock_now_ms() < until);
	return err;
}

static void
test_is_told_and_read_anew(void **state)
{
	const char *topic = *state ? "member" : "stalls";
	struct msg_message m;

	join(topic);
	fail_fetches();
	mock_put_many(&mock, topic, 0, "m", 2);
	assert_err(poll_until_told(topic, &m), KP_EUNAVAIL);
	assert_non_null(strstr(peer.text, "partition 0 has messages and gives none since 20"));
	assert_int_equal(helper_logged(&helper, "partition stalls"), 1);
	assert_true(helper_logged(&helper, "partition started") > 1);

	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_FETCH);
	for (int i = 0; i < 2; i++) {
		assert_err(poll_until_told(topic, &m), KP_OK);
		assert_int_equal(m.offset, i);
		peer_confirm(&peer, m.offer, true);
	}
	assert_err(peer_consume(&peer, topic, topic, 1000, &m), KP_ENOMSG);
}

/* What is out must not come to somebody else, too, and what is not acknowledged neither. */
static void
test_what_is_out_stays_out(void **state)
{
	struct msg_message m;
	uint64_t offer;

	(void)state;
	join("out");
	mock_put(&mock, "out", 0, NULL, "m0");
	assert_err(peer_consume(&peer, "out", "out", 6000, &m), KP_OK);
	offer = m.offer;
	fail_fetches();
	mock_put(&mock, "out", 0, NULL, "m1");
	assert_err(poll_until_told("out", &m), KP_EUNAVAIL);
	assert_int_equal(helper_logged(&helper, "partition started"), 1);
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_FETCH);
	peer_confirm(&peer, offer, true);
	assert_err(poll_until_told("out", &m), KP_OK);
	assert_int_equal(m.offset, 1);
	peer_confirm(&peer, m.offer, true);
	peer_wait_committed(&peer, "out", "out", 0, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_is_told_and_read_anew, NULL),
		STAND_TEST(test_is_told_and_read_anew, member),
		STAND_TEST(test_what_is_out_stays_out, NULL),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
