/*
 * A broker that answers every question and gives no message: not the same as an empty
 * topic, and the group starts anew. The helper's waits are short.
 */
#include "common/clock.h"
#include "tests/it/stand.h"

#include "common/sock.h"
#include "tests/unit/unit.h"

#define STALL_MS "500"
#define ERRORS 10000
#define TOLD "partition 0 stands still at offset 0 since 20"
#define ADVICE ": Kafka does not give what is there; to go on behind it, POST " \
    "[{\"partition\": 0, \"offset\": 1}] to /topics/told/offsets?group=told"
#define UNFIT_MS "1000"

static const char *const member[] = { "--coordination", "kafka", NULL };

static int
setup(void **state)
{
	setenv("KP_UNFIT_MS", UNFIT_MS, 1);
	helper_init(&helper);
	helper_start_faulty(&helper, mock.brokers, *state, "KP_STALL_MS", STALL_MS);
	peer_open(&peer, &helper);
	return 0;
}

static int
teardown(void **state)
{
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_FETCH);
	return stand_teardown(state);
}

/* A topic of one partition, which the group of its name has and which is empty. */
static void
join(const char *topic)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_message m;

	mock_topic(&mock, topic, 1);
	while (peer_consume(&peer, topic, topic, 1000, &m) != KP_ENOMSG)
		assert_true(clock_mono_ms() < until);
}

static void
fail_fetches_by(rd_kafka_resp_err_t err)
{
	static rd_kafka_resp_err_t errors[ERRORS];

	for (size_t i = 0; i < ERRORS; i++)
		errors[i] = err;
	rd_kafka_mock_push_request_errors_array(mock.cluster, MOCK_FETCH, ERRORS, errors);
}

static void
fail_fetches(void)
{
	fail_fetches_by(RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR);
}

/* Long polls, which give nothing, until the helper's log has it. */
static void
poll_until_logged(const char *topic, const char *text)
{
	int64_t until = clock_mono_ms() + 2 * PEER_WAIT_MS;
	struct msg_message m;

	while (!helper_logged(&helper, text)) {
		assert_true(clock_mono_ms() < until);
		assert_true(peer_consume(&peer, topic, topic, 1000, &m) != KP_OK);
	}
}

/* Long polls, which give nothing, until one is told so. */
static void
poll_until_told(const char *topic, const char *text)
{
	int64_t until = clock_mono_ms() + 3 * PEER_WAIT_MS;
	struct msg_message m;

	do {
		assert_true(clock_mono_ms() < until);
		assert_true(peer_consume(&peer, topic, topic, 1000, &m) != KP_OK);
	} while (strstr(peer.text, text) == NULL);
}

/* It must be the next one. The mock cluster waits for a member that has left. */
static void
take(const char *topic, int64_t offset)
{
	int64_t until = clock_mono_ms() + 4 * PEER_WAIT_MS;
	struct msg_message m;

	while (peer_consume(&peer, topic, topic, 1000, &m) != KP_OK)
		assert_true(clock_mono_ms() < until);
	assert_int_equal(m.offset, offset);
	peer_confirm(&peer, m.offer, true);
}

static void
test_starts_anew(void **state)
{
	const char *topic = *state ? "member" : "local";
	struct msg_message m;

	join(topic);
	mock_put_many(&mock, topic, 0, "m", 2);
	take(topic, 0);
	take(topic, 1);
	fail_fetches();
	mock_put_many(&mock, topic, 0, "m", 2);
	poll_until_logged(topic, "group starts anew");
	assert_int_equal(helper_logged(&helper, "partition stalls"), 1);
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_FETCH);
	take(topic, 2);
	take(topic, 3);
	assert_err(peer_consume(&peer, topic, topic, 1000, &m), KP_ENOMSG);
	assert_int_equal(helper_logged(&helper, "group opened"), 2);
	peer_wait_committed(&peer, topic, topic, 0, 4);
}

/* The group starts anew once; where that does not help it is for the operator to go on. */
static void
test_who_waits_is_told(void **state)
{
	struct msg_message m;

	(void)state;
	join("told");
	fail_fetches();
	mock_put(&mock, "told", 0, NULL, "m0");
	poll_until_told("told", TOLD);
	assert_non_null(strstr(peer.text, ADVICE));
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_FETCH);
	take("told", 0);
	assert_err(peer_consume(&peer, "told", "told", 1000, &m), KP_ENOMSG);
	assert_int_equal(helper_logged(&helper, "group starts anew"), 1);
}

/* One that a broker finds damaged is named at once, the group stays as it is, and once the
 * broker finds it sound it comes. */
static void
test_damaged_and_mended(void **state)
{
	(void)state;
	join("mended");
	mock_put_many(&mock, "mended", 0, "m", 2);
	take("mended", 0);
	fail_fetches_by(RD_KAFKA_RESP_ERR_INVALID_MSG);
	take("mended", 1);
	mock_put_many(&mock, "mended", 0, "m", 2);
	poll_until_told("mended", ": the broker says that it is damaged; to go on behind it, POST "
	    "[{\"partition\": 0, \"offset\": 3}]");
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_FETCH);
	take("mended", 2);
	take("mended", 3);
	assert_int_equal(helper_logged(&helper, "group starts anew"), 0);
}

/* What is out is waited for, and does not come again. */
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
	poll_until_logged("out", "group starts anew");
	peer_confirm(&peer, offer, true);
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_FETCH);
	take("out", 1);
	peer_wait_committed(&peer, "out", "out", 0, 2);
}

#define TEST(test, options) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, \
	(void *)(uintptr_t)(options))

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_starts_anew, NULL),
		TEST(test_starts_anew, member),
		TEST(test_who_waits_is_told, NULL),
		TEST(test_damaged_and_mended, NULL),
		TEST(test_what_is_out_stays_out, NULL),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
