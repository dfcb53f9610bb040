/* The helper's own life: it starts without Kafka, ends in order and in bounded
 * time, is killed, and comes back with everything that it said it had kept. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/unit/files.h"

#define NOWHERE "127.0.0.1:1"		/* nobody listens there */

static int
setup(void **state)
{
	(void)state;
	mock_up(&mock);
	helper_init(&helper);
	return 0;
}

static void
start(void)
{
	stand_start(NULL);
}

static void
kill_and_close(void)
{
	helper_kill(&helper);
	peer_close(&peer);
}

static void
test_starts_and_ends_without_kafka(void **state)
{
	int64_t begin;

	(void)state;
	helper_start(&helper, NOWHERE, NULL);
	assert_true(helper.start_ms < 5000);
	peer_open(&peer, &helper);
	peer_produce_many(&peer, "nokafka", NULL, "m", 0, 3, 1);
	peer_close(&peer);
	begin = clock_mono_ms();
	helper_stop(&helper, STOP_MS);
	assert_true(clock_mono_ms() - begin < 14000);
}

static void
test_an_idle_helper_ends_at_once(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT };

	(void)state;
	for (size_t i = 0; i < COUNT(signals); i++) {
		int64_t begin;

		helper_start(&helper, mock.brokers, NULL);
		begin = clock_mono_ms();
		helper_signal(&helper, signals[i]);
		assert_int_equal(helper_wait(&helper, STOP_MS), 0);
		assert_true(clock_mono_ms() - begin < 4000);
		assert_int_equal(access(helper.socket, F_OK), -1);
	}
}

static void
test_killed_with_pending_messages(void **state)
{
	(void)state;
	mock_topic(&mock, "pending", 1);
	start();
	peer_produce_many(&peer, "pending", "k", "m", 0, 10, 1);
	mock_down(&mock);
	peer_produce_many(&peer, "pending", "k", "m", 10, 300, 16);
	kill_and_close();
	start();		/* its socket was left behind */
	peer_produce_many(&peer, "pending", "k", "m", 300, 400, 16);
	kill_and_close();
	mock_up(&mock);
	start();
	peer_produce_many(&peer, "pending", "k", "m", 400, 450, 16);
	mock_expect(&mock, "pending", "m", 450, MOCK_TWICE);
	peer_close(&peer);
	helper_stop(&helper, STOP_MS);
	/* and then there is nothing left to send */
	start();
	peer_produce_many(&peer, "pending", "k", "m", 450, 451, 1);
	mock_expect(&mock, "pending", "m", 451, MOCK_TWICE);
	peer_close(&peer);
}

/* Killed in the middle of the load, again and again: nothing that was answered is lost. */
static void
test_killed_under_load(void **state)
{
	unsigned kept = 0;

	(void)state;
	mock_topic(&mock, "load", 1);
	for (int round = 0; round < 8; round++) {
		unsigned sent = kept;

		start();
		while (kept < 100u * ((unsigned)round + 1)) {
			char value[16];

			for (; sent < kept + 16; sent++) {
				snprintf(value, sizeof(value), "m%u", sent);
				peer_ask_produce(&peer, &(struct msg_produce){ LIT("load"),
				    LIT("k"), kp_slice_str(value), false }, PEER_WAIT_MS);
			}
			peer_next_produced(&peer);
			kept++;
		}
		kill_and_close();
		/* what was not answered may be there or not: it is sent again */
	}
	start();
	peer_close(&peer);
	mock_expect(&mock, "load", "m", kept, MOCK_ANY);
}

static void
test_ends_with_everything_sent(void **state)
{
	(void)state;
	mock_topic(&mock, "drain", 1);
	start();
	peer_produce_many(&peer, "drain", "k", "m", 0, 1000, 32);
	peer_close(&peer);
	helper_stop(&helper, STOP_MS);
	mock_expect(&mock, "drain", "m", 1000, MOCK_ONCE);
}

/* With Kafka away it ends all the same, says what stays, and sends it next time. */
static void
test_ends_while_kafka_is_away(void **state)
{
	int64_t begin;

	(void)state;
	mock_topic(&mock, "stay", 1);
	start();
	peer_produce_many(&peer, "stay", "k", "m", 0, 10, 1);
	mock_expect(&mock, "stay", "m", 10, MOCK_ONCE);
	mock_down(&mock);
	peer_produce_many(&peer, "stay", "k", "m", 10, 60, 8);
	peer_close(&peer);
	begin = clock_mono_ms();
	helper_stop(&helper, STOP_MS);
	assert_true(clock_mono_ms() - begin < 14000);
	assert_true(helper_logged(&helper, "in_store=50") > 0);
	mock_up(&mock);
	start();
	peer_close(&peer);
	mock_expect(&mock, "stay", "m", 60, MOCK_TWICE);
}

/* Waiting requests are answered, not cut, when the helper is told to end. */
static void
test_waiting_requests_are_answered_at_the_end(void **state)
{
	struct msg_message got;
	struct wire_frame f;
	uint32_t id;

	(void)state;
	mock_topic(&mock, "waiting", 1);
	start();
	assert_err(peer_consume(&peer, "waiting", "g", 300, &got), KP_ENOMSG);
	id = peer_ask_consume(&peer, "waiting", "g", PEER_WAIT_MS);
	helper_signal(&helper, SIGTERM);
	assert_err(peer_reply(&peer, id, MSG_MESSAGE, &f), KP_EUNAVAIL);
	assert_int_equal(helper_wait(&helper, STOP_MS), 0);
	peer_close(&peer);
}

/* ---- what must not start ---- */

/* Status 1, and one line that says what is wrong. */
static void
assert_refuses(struct helper *h, const char *brokers, const char *const *more, const char *says)
{
	assert_int_equal(helper_run(h, brokers, more), 1);
	assert_int_equal(helper_logged(h, " error "), 1);
	if (!helper_logged(h, says))
		fail_msg("%s says nothing of \"%s\"", h->log, says);
}

static void
test_a_second_helper_on_the_same_store(void **state)
{
	struct helper second;

	(void)state;
	start();
	helper_init(&second);
	snprintf(second.store, sizeof(second.store), "%s", helper.store);
	assert_refuses(&second, mock.brokers, NULL, helper.store);
	assert_err(peer_ping(&peer), KP_OK);
	peer_close(&peer);
}

static void
test_a_second_helper_on_the_same_socket(void **state)
{
	struct helper second;

	(void)state;
	start();
	helper_init(&second);
	snprintf(second.socket, sizeof(second.socket), "%s", helper.socket);
	assert_refuses(&second, mock.brokers, NULL, helper.socket);
	assert_err(peer_ping(&peer), KP_OK);
	peer_close(&peer);
	peer_open(&peer, &helper);
	assert_err(peer_ping(&peer), KP_OK);
	peer_close(&peer);
}

static void
test_stores_that_cannot_be_used(void **state)
{
	struct helper h;

	(void)state;
	helper_init(&h);		/* a file where its folder should be */
	write_file("not-a-folder", "");
	snprintf(h.store, sizeof(h.store), "not-a-folder/store.db");
	assert_refuses(&h, mock.brokers, NULL, h.store);

	helper_init(&h);		/* no store of ours: left as it is */
	write_file(h.store, "precious, and no database at all; it must not be lost or "
	    "overwritten, whatever is configured by mistake");
	assert_refuses(&h, mock.brokers, NULL, h.store);
	{
		char got[10] = "";
		int fd = open(h.store, O_RDONLY | O_CLOEXEC);

		assert_int_equal(read(fd, got, 9), 9);
		close(fd);
		assert_string_equal(got, "precious,");
	}

	helper_init(&h);		/* a folder */
	assert_int_equal(mkdir(h.store, 0700), 0);
	assert_refuses(&h, mock.brokers, NULL, h.store);
}

static void
test_a_store_in_the_folder_that_we_are_in(void **state)
{
	(void)state;
	helper_init(&helper);
	snprintf(helper.store, sizeof(helper.store), "bare.db");
	helper_start(&helper, mock.brokers, NULL);
	peer_open(&peer, &helper);
	peer_produce_many(&peer, "bare", NULL, "m", 0, 1, 1);
	assert_int_equal(access("bare.db", F_OK), 0);
	peer_close(&peer);
	helper_kill(&helper);
}

static void
test_the_store_is_private(void **state)
{
	struct stat st;

	(void)state;
	start();
	peer_produce_many(&peer, "private", NULL, "m", 0, 1, 1);
	assert_int_equal(stat(helper.store, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(helper.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	peer_close(&peer);
}

static void
test_bad_usage(void **state)
{
	(void)state;
	assert_int_equal(helper_run(&helper, mock.brokers,
	    (const char *const[]){ "--nope", NULL }), 2);
	assert_true(helper_logged(&helper, "unknown option \"--nope\""));
	assert_int_equal(helper_run(&helper, mock.brokers,
	    (const char *const[]){ "--logLevel", "loud", NULL }), 2);
	assert_true(helper_logged(&helper, "--logLevel takes one of"));
	/* librdkafka's own properties are checked at the start too; values stay unsaid */
	assert_in_range(helper_run(&helper, mock.brokers,
	    (const char *const[]){ "-X", "no.such.property=hunter2", NULL }), 1, 2);
	assert_true(helper_logged(&helper, "no.such.property"));
	assert_int_equal(helper_logged(&helper, "hunter2"), 0);
	assert_int_equal(helper_run(&helper, mock.brokers,
	    (const char *const[]){ "--version", NULL }), 0);
	assert_int_equal(helper_run(&helper, mock.brokers,
	    (const char *const[]){ "-help", NULL }), 0);
	assert_true(helper_logged(&helper, "--kafkaPeers"));
}

/* It is the one that is loaded with it, and with this program: not that of its build. */
static void
test_says_on_which_librdkafka_it_runs(void **state)
{
	struct msg_status s;
	char said[64];

	(void)state;
	snprintf(said, sizeof(said), ", librdkafka %s", rd_kafka_version_str());
	assert_int_equal(helper_run(&helper, mock.brokers,
	    (const char *const[]){ "--version", NULL }), 0);
	assert_int_equal(helper_logged(&helper, said), 1);
	start();
	snprintf(said, sizeof(said), " librdkafka=%s ", rd_kafka_version_str());
	helper_wait_logged(&helper, said);
	assert_err(peer_status(&peer, &s), KP_OK);
	assert_true(kp_slice_eq(s.librdkafka, kp_slice_str(rd_kafka_version_str())));
	peer_close(&peer);
}

/* ---- without Kafka, and without a store ---- */

static void
test_embedded(void **state)
{
	struct msg_produced put;
	struct msg_message got;

	(void)state;
	helper_start(&helper, "embedded", NULL);
	peer_open(&peer, &helper);
	assert_err(peer_consume(&peer, "first", "g", 1500, &got), KP_ENOMSG);
	assert_err(peer_produce(&peer, "first", "k", "sync", true, &put), KP_OK);
	assert_err(peer_consume(&peer, "first", "g", 5000, &got), KP_OK);
	assert_true(kp_slice_eq(got.value, LIT("sync")));
	peer_confirm(&peer, got.offer, true);
	assert_err(peer_produce(&peer, "first", "k", "async", false, &put), KP_OK);
	assert_err(peer_consume(&peer, "first", "g", 5000, &got), KP_OK);
	assert_true(kp_slice_eq(got.value, LIT("async")));
	peer_close(&peer);
}

static void
test_durability_modes(void **state)
{
	static const char *const modes[] = { "fsync", "os", "memory" };

	(void)state;
	for (size_t i = 0; i < COUNT(modes); i++) {
		char topic[32];

		helper_init(&helper);
		helper_start(&helper, mock.brokers,
		    (const char *const[]){ "--durability", modes[i], NULL });
		snprintf(topic, sizeof(topic), "durable-%s", modes[i]);
		mock_topic(&mock, topic, 1);
		peer_open(&peer, &helper);
		peer_produce_many(&peer, topic, "k", "m", 0, 200, 32);
		peer_close(&peer);
		helper_stop(&helper, STOP_MS);
		mock_expect(&mock, topic, "m", 200, MOCK_ONCE);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, stand_teardown_helper)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_starts_and_ends_without_kafka),
		TEST(test_an_idle_helper_ends_at_once),
		TEST(test_killed_with_pending_messages),
		TEST(test_killed_under_load),
		TEST(test_ends_with_everything_sent),
		TEST(test_ends_while_kafka_is_away),
		TEST(test_waiting_requests_are_answered_at_the_end),
		TEST(test_a_second_helper_on_the_same_store),
		TEST(test_a_second_helper_on_the_same_socket),
		TEST(test_stores_that_cannot_be_used),
		TEST(test_a_store_in_the_folder_that_we_are_in),
		TEST(test_the_store_is_private),
		TEST(test_bad_usage),
		TEST(test_says_on_which_librdkafka_it_runs),
		TEST(test_embedded),
		TEST(test_durability_modes),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
