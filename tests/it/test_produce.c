/* Produce: what is kept is what was sent, where it was said to be, in its order,
 * whatever Kafka answers meanwhile. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define MANY 10000
#define CONNECTIONS 16

static const char *const options[] = { "--syncTimeoutMs", "2500", NULL };

static void
test_sync_tells_where_it_is(void **state)
{
	struct mock_records r;
	struct msg_produced got[3];

	(void)state;
	mock_topic(&mock, "where", 4);
	for (int i = 0; i < 3; i++) {
		assert_err(peer_produce(&peer, "where", "k", i ? "b" : "a", true, &got[i]), KP_OK);
		assert_in_range(got[i].partition, 0, 3);
		assert_int_equal(got[i].partition, got[0].partition);
		assert_int_equal(got[i].offset, i);
	}
	mock_read(&mock, "where", 3, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(r.v[i].partition, got[i].partition);
		assert_int_equal(r.v[i].offset, got[i].offset);
		assert_string_equal(r.v[i].key, "k");
		assert_string_equal(r.v[i].value, i ? "b" : "a");
	}
	mock_records_free(&r);
}

static void
test_async_is_kept_and_arrives(void **state)
{
	struct msg_produced got;
	int64_t ids[50];

	(void)state;
	mock_topic(&mock, "async", 1);
	for (unsigned i = 0; i < 50; i++) {
		char value[16];

		snprintf(value, sizeof(value), "m%u", i);
		assert_err(peer_produce(&peer, "async", NULL, value, false, &got), KP_OK);
		assert_int_equal(got.partition, -1);
		assert_true(got.id > 0);
		ids[i] = got.id;	/* in no order that a client could use */
		for (unsigned k = 0; k < i; k++)
			assert_true(ids[k] != got.id);
	}
	mock_expect(&mock, "async", "m", 50, MOCK_ONCE);
}

/* As Kafka-Pixy has it: FNV-1a of the key; an empty key is a key like any other. */
static void
test_keys_choose_the_partition(void **state)
{
	static const unsigned want[4] = { 2, 1, 1, 1 };
	unsigned count[4] = { 0 };
	struct msg_produced got;

	(void)state;
	mock_topic(&mock, "keys", 4);
	for (int i = 0; i < 10; i++) {
		char key[] = { (char)('1' + i % 5), '\0' };

		assert_err(peer_produce(&peer, "keys", key, "v", i % 2 == 0, &got), KP_OK);
		if (i % 2 == 0)
			count[got.partition]++;
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(count[i], want[i]);
	for (int i = 0; i < 3; i++) {
		assert_err(peer_produce(&peer, "keys", "", "v", true, &got), KP_OK);
		assert_int_equal(got.partition, 3);
	}
}

/* One partition for all messages without a key would be a bug nobody sees at once. */
static void
test_no_key_goes_everywhere(void **state)
{
	struct mock_records r;
	unsigned count[4] = { 0 };

	(void)state;
	mock_topic(&mock, "nokey", 4);
	peer_produce_many(&peer, "nokey", NULL, "m", 0, 100, 32);
	mock_read(&mock, "nokey", 100, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, 100);
	for (size_t i = 0; i < r.n; i++) {
		assert_false(r.v[i].has_key);
		count[r.v[i].partition]++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(count[i], 5, 60);
	mock_records_free(&r);
}

static void
test_bytes_stay_as_they_are(void **state)
{
	const struct msg_produce in[] = {
		{ LIT("bytes"), { NULL, 0 }, LIT(""), true },
		{ LIT("bytes"), LIT(""), LIT("\0\xff\n"), true },
		{ LIT("bytes"), LIT("\0k\xff"), LIT("v"), true },
		{ LIT("bytes"), { NULL, 0 }, LIT(""), false },
		{ LIT("bytes"), LIT(""), LIT("\0\xff\n"), false },
		{ LIT("bytes"), LIT("\0k\xff"), LIT("v"), false },
	};
	struct mock_records r;
	struct wire_frame f;

	(void)state;
	mock_topic(&mock, "bytes", 1);
	for (size_t i = 0; i < COUNT(in); i++)
		assert_err(peer_reply(&peer, peer_ask_produce(&peer, &in[i], PEER_WAIT_MS),
		    MSG_PRODUCED, &f), KP_OK);
	mock_read(&mock, "bytes", COUNT(in), PEER_WAIT_MS, &r);
	assert_int_equal(r.n, COUNT(in));
	for (size_t i = 0; i < r.n; i++) {
		const struct mock_record *v = &r.v[i];

		assert_int_equal(v->has_key, in[i].key.p != NULL);
		assert_int_equal(v->key_bytes, in[i].key.n);
		if (v->key_bytes)
			assert_memory_equal(v->key, in[i].key.p, v->key_bytes);
		assert_true(v->has_value || v->value_bytes == 0);
		assert_int_equal(v->value_bytes, in[i].value.n);
		if (v->value_bytes)
			assert_memory_equal(v->value, in[i].value.p, v->value_bytes);
	}
	mock_records_free(&r);
}

static void
test_size_limit(void **state)
{
	static uint8_t bytes[1000001];
	struct mock_records r;
	struct wire_frame f;

	(void)state;
	mock_topic(&mock, "size", 1);
	for (int sync = 0; sync < 2; sync++) {
		struct msg_produce m = { LIT("size"), { NULL, 0 }, { bytes, 1000000 }, sync };

		assert_err(peer_reply(&peer, peer_ask_produce(&peer, &m, PEER_WAIT_MS),
		    MSG_PRODUCED, &f), KP_OK);
		m.value.n++;
		assert_err(peer_reply(&peer, peer_ask_produce(&peer, &m, PEER_WAIT_MS),
		    MSG_PRODUCED, &f), KP_ETOOBIG);
	}
	mock_read(&mock, "size", 2, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, 2);
	mock_records_free(&r);
}

/* Each connection its own key, so its own order; all mixed in the store. */
static void
test_many_connections(void **state)
{
	static struct peer peers[CONNECTIONS];
	const unsigned each = MANY / CONNECTIONS, step = 25;
	char topic[32];

	(void)state;
	for (int c = 0; c < CONNECTIONS; c++) {
		snprintf(topic, sizeof(topic), "many%d", c);
		mock_topic(&mock, topic, 2);
		peer_open(&peers[c], &helper);
	}
	for (unsigned from = 0; from < each; from += step) {
		for (int c = 0; c < CONNECTIONS; c++)
			for (unsigned i = from; i < from + step; i++) {
				char value[16];

				snprintf(topic, sizeof(topic), "many%d", c);
				snprintf(value, sizeof(value), "m%u", i);
				peer_ask_produce(&peers[c], &(struct msg_produce){
				    kp_slice_str(topic), LIT("k"), kp_slice_str(value), false },
				    PEER_WAIT_MS);
			}
		for (int c = 0; c < CONNECTIONS; c++)
			for (unsigned i = 0; i < step; i++)
				peer_next_produced(&peers[c]);
	}
	for (int c = 0; c < CONNECTIONS; c++) {
		snprintf(topic, sizeof(topic), "many%d", c);
		mock_expect(&mock, topic, "m", each, MOCK_ONCE);
		peer_close(&peers[c]);
	}
}

/* ---- Kafka away ---- */

static void
test_async_while_kafka_is_away(void **state)
{
	int64_t start;

	(void)state;
	mock_topic(&mock, "away", 1);
	peer_produce_many(&peer, "away", "k", "m", 0, 10, 1);
	mock_down(&mock);
	start = clock_mono_ms();
	peer_produce_many(&peer, "away", "k", "m", 10, 500, 16);
	assert_true(clock_mono_ms() - start < PEER_WAIT_MS);
	mock_up(&mock);
	mock_expect(&mock, "away", "m", 500, MOCK_TWICE);
}

/* Nobody can say whether the topic exists: the message is kept all the same. */
static void
test_async_to_an_unseen_topic_while_kafka_is_away(void **state)
{
	(void)state;
	mock_topic(&mock, "unseen", 1);
	mock_down(&mock);
	peer_produce_many(&peer, "unseen", "k", "m", 0, 20, 16);
	mock_up(&mock);
	mock_expect(&mock, "unseen", "m", 20, MOCK_TWICE);
}

/* Each of them has to be asked for first, and Kafka cannot be asked. */
static void
test_async_to_many_unseen_topics_while_kafka_is_away(void **state)
{
	char topic[32];

	(void)state;
	mock_down(&mock);
	for (int i = 0; i < 60; i++) {
		snprintf(topic, sizeof(topic), "unseen%d", i);
		peer_ask_produce(&peer, &(struct msg_produce){ .topic = kp_slice_str(topic),
		    .value = LIT("v0") }, 5000);
	}
	for (int i = 0; i < 60; i++)
		peer_next_produced(&peer);
	mock_up(&mock);
	mock_expect(&mock, "unseen59", "v", 1, MOCK_TWICE);
}

/* Whoever was told that it failed must not find it there later. */
static void
test_sync_while_kafka_is_away(void **state)
{
	struct msg_produced got;
	struct mock_records r;
	int64_t start;

	(void)state;
	mock_topic(&mock, "syncaway", 1);
	assert_err(peer_produce(&peer, "syncaway", NULL, "before", true, &got), KP_OK);
	mock_down(&mock);
	start = clock_mono_ms();
	assert_err(peer_produce(&peer, "syncaway", NULL, "lost", true, &got), KP_ETIMEDOUT);
	assert_in_range(clock_mono_ms() - start, 500, 5000);
	mock_up(&mock);
	assert_err(peer_produce(&peer, "syncaway", NULL, "after", true, &got), KP_OK);
	mock_read(&mock, "syncaway", 2, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.v[0].value, "before");
	assert_string_equal(r.v[1].value, "after");
	mock_records_free(&r);
}

/* The asker waits less than --syncTimeoutMs: it is answered in its own time. What
 * it sent is given up by --syncTimeoutMs, no later. */
static void
test_sync_within_the_askers_deadline(void **state)
{
	const struct msg_produce m = { LIT("short"), { NULL, 0 }, LIT("lost"), true };
	struct msg_produced got;
	struct mock_records r;
	struct wire_frame f;
	int64_t start;
	enum kp_err err;

	(void)state;
	mock_topic(&mock, "short", 1);
	assert_err(peer_produce(&peer, "short", NULL, "before", true, &got), KP_OK);
	mock_down(&mock);
	start = clock_mono_ms();
	err = peer_reply(&peer, peer_ask_produce(&peer, &m, 300), MSG_PRODUCED, &f);
	assert_true(err == KP_ETIMEDOUT || err == KP_EUNAVAIL);
	/* the helper takes a moment more, to learn whether a copy was on its way */
	assert_true(clock_mono_ms() - start < 2000);
	assert_err(peer_produce(&peer, "short", NULL, "later", true, &got), KP_ETIMEDOUT);
	mock_up(&mock);
	assert_err(peer_produce(&peer, "short", NULL, "after", true, &got), KP_OK);
	mock_read(&mock, "short", 2, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.v[1].value, "after");
	mock_records_free(&r);
}

/* ---- Kafka answers errors ---- */

static void
test_retriable_errors_are_retried(void **state)
{
	struct msg_produced got;

	(void)state;
	mock_topic(&mock, "retry", 1);
	peer_produce_many(&peer, "retry", "k", "m", 0, 1, 1);
	for (int i = 0; i < 3; i++)
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 2,
		    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
		    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
	peer_produce_many(&peer, "retry", "k", "m", 1, 40, 8);
	mock_expect(&mock, "retry", "m", 40, MOCK_TWICE);
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_PRODUCE);
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
	    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
	assert_err(peer_produce(&peer, "retry", "k", "m40", true, &got), KP_OK);
	mock_expect(&mock, "retry", "m", 41, MOCK_TWICE);
}

static void
test_sync_gets_a_permanent_error(void **state)
{
	static const struct {
		rd_kafka_resp_err_t push;
		enum kp_err want;
		size_t times;		/* in its batch, and alone */
	} cases[] = {
		{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KP_EDENIED, 1 },
		{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, KP_ETOOBIG, 2 },
		{ RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, KP_EKAFKA, 1 },
		/* and with its own time before */
		{ RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, KP_EKAFKA, 3 },
	};
	struct msg_produced got;
	struct mock_records r;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char topic[32];

		snprintf(topic, sizeof(topic), "refused%zu", i);
		mock_topic(&mock, topic, 1);
		assert_err(peer_produce(&peer, topic, NULL, "before", true, &got), KP_OK);
		for (size_t k = 0; k < cases[i].times; k++)
			rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
			    cases[i].push);
		assert_err(peer_produce(&peer, topic, NULL, "bad", true, &got), cases[i].want);
		assert_true(peer.text[0] != '\0');
		/* librdkafka remembers a topic that it may not write to for a while */
		if (cases[i].want != KP_EDENIED)
			assert_err(peer_produce(&peer, topic, NULL, "after", true, &got), KP_OK);
		mock_read(&mock, topic, 1, PEER_WAIT_MS, &r);
		assert_int_equal(r.n, cases[i].want != KP_EDENIED ? 2 : 1);
		assert_string_equal(r.v[r.n - 1].value, r.n == 2 ? "after" : "before");
		mock_records_free(&r);
	}
}

/* A message that Kafka will never take is put aside; those behind it arrive. */
static void
test_async_refused_for_good_blocks_nobody(void **state)
{
	struct msg_produced got;
	struct mock_records r;
	enum kp_err err;

	(void)state;
	mock_topic(&mock, "aside", 1);
	peer_produce_many(&peer, "aside", "k", "m", 0, 1, 1);
	mock_expect(&mock, "aside", "m", 1, MOCK_ONCE);
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
	    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	/* answered by whichever came first: kept on disk, or refused by Kafka */
	err = peer_produce(&peer, "aside", "k", "bad", false, &got);
	if (err)
		assert_err(err, KP_ETOOBIG);
	else
		helper_wait_logged(&helper, "dead letter");
	peer_produce_many(&peer, "aside", "k", "m", 1, 30, 16);
	mock_expect(&mock, "aside", "m", 30, MOCK_TWICE);
	/* and a restart does not try it again */
	stand_restart(options);
	peer_produce_many(&peer, "aside", "k", "m", 30, 31, 1);
	mock_read(&mock, "aside", 31, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, 31);
	mock_records_free(&r);
}

/* A broker refuses a whole request for one message in it: those that fit arrive, once,
 * sync or async alike; async in order. The first async message goes alone, and those
 * that come meanwhile together. */
static void
test_a_refused_batch_buries_nobody(void **state)
{
	struct msg_produced got;
	struct mock_records r;

	(void)state;
	mock_topic(&mock, "spoiled", 1);
	assert_err(peer_produce(&peer, "spoiled", "k", "m0", true, &got), KP_OK);
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
	    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	assert_err(peer_produce(&peer, "spoiled", "k", "m1", true, &got), KP_OK);
	for (unsigned i = 0; i < 5; i++) {
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 2,
		    RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
		peer_produce_many(&peer, "spoiled", "k", "m", 2 + 500 * i, 502 + 500 * i, 60);
		mock_expect(&mock, "spoiled", "m", 502 + 500 * i, MOCK_ONCE);
	}
	mock_read(&mock, "spoiled", 2502, PEER_WAIT_MS, &r);
	assert_int_equal(r.n, 2502);
	mock_records_free(&r);
	assert_int_equal(helper_logged(&helper, "dead letter"), 0);
	helper_wait_logged(&helper, "request refused");
}

static void
test_unknown_topic(void **state)
{
	struct msg_produced got;

	(void)state;
	rd_kafka_mock_topic_set_error(mock.cluster, "nowhere",
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	assert_err(peer_produce(&peer, "nowhere", NULL, "v", true, &got), KP_ENOTFOUND);
	assert_err(peer_produce(&peer, "nowhere", NULL, "v", false, &got), KP_ENOTFOUND);
}

static void
test_bad_names_are_refused(void **state)
{
	static const char *const names[] = { "", ".", "..", "a/b", "a b", "\xc3\xa9" };
	struct msg_produced got;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		for (int sync = 0; sync < 2; sync++) {
			enum kp_err err = peer_produce(&peer, names[i], NULL, "v", sync, &got);

			assert_true(err == KP_EBADREQ || err == KP_EBADMSG);
		}
}

#define TEST(name) STAND_TEST(name, options)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sync_tells_where_it_is),
		TEST(test_async_is_kept_and_arrives),
		TEST(test_keys_choose_the_partition),
		TEST(test_no_key_goes_everywhere),
		TEST(test_bytes_stay_as_they_are),
		TEST(test_size_limit),
		TEST(test_many_connections),
		TEST(test_async_while_kafka_is_away),
		TEST(test_async_to_an_unseen_topic_while_kafka_is_away),
		TEST(test_async_to_many_unseen_topics_while_kafka_is_away),
		TEST(test_sync_while_kafka_is_away),
		TEST(test_sync_within_the_askers_deadline),
		TEST(test_retriable_errors_are_retried),
		TEST(test_sync_gets_a_permanent_error),
		TEST(test_async_refused_for_good_blocks_nobody),
		TEST(test_a_refused_batch_buries_nobody),
		TEST(test_unknown_topic),
		TEST(test_bad_names_are_refused),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
