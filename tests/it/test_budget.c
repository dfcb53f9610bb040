/*
 * What consumers keep in memory has one bound, however many partitions have however much
 * for them; each partition gets its turn, and one that is alone is not slowed down by those
 * that have nothing.
 */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <stdio.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define G "group"
#define POLL_MS 10000
#define SLOWER 5
/* Half of the budget, what of librdkafka comes on top, and what malloc() does not give back. */
/* Sanitizers keep what was freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MOST_KIB (640 * 1024)
#else
#define MOST_KIB (64 * 1024)
#endif

static const char *const oldest[] = { "--initialOffset", "oldest", NULL };

/* Puts `n` messages of `bytes` bytes into each partition from `first` to `last - 1`. */
static void
fill(const char *topic, int32_t first, int32_t last, unsigned n, size_t bytes)
{
	char *value = malloc(bytes);

	assert_non_null(value);
	memset(value, 'v', bytes);
	for (int32_t p = first; p < last; p++)
		for (unsigned i = 0; i < n; i++)
			while (rd_kafka_producev(mock.producer, RD_KAFKA_V_TOPIC(topic),
			    RD_KAFKA_V_PARTITION(p), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
			    RD_KAFKA_V_VALUE(value, bytes), RD_KAFKA_V_END) ==
			    RD_KAFKA_RESP_ERR__QUEUE_FULL)
				rd_kafka_poll(mock.producer, 10);
	free(value);
	assert_int_equal(rd_kafka_flush(mock.producer, 60000), 0);
}

/* Takes n messages, with so many requests waiting; gives how many a second. */
static double
take_many(const char *topic, unsigned n, unsigned window, unsigned *seen)
{
	int64_t begin = clock_mono_ms();
	struct wire_frame f;
	struct msg_message m;

	for (unsigned i = 0; i < window; i++)
		peer_ask_consume(&peer, topic, G, POLL_MS);
	for (unsigned i = 0; i < n; i++) {
		assert_true(peer_recv(&peer, &f, 3 * POLL_MS));
		if (f.type == MSG_ERROR) {
			/* So many take their time to be joined. */
			assert_true(clock_mono_ms() - begin < 60000);
			peer_ask_consume(&peer, topic, G, POLL_MS);
			i--;
			continue;
		}
		assert_int_equal(f.type, MSG_MESSAGE);
		assert_err(msg_message_decode(f.body, &m), KP_OK);
		peer_confirm(&peer, m.offer, true);
		if (seen)
			seen[m.partition]++;
		if (i + window < n)
			peer_ask_consume(&peer, topic, G, POLL_MS);
	}
	return n * 1000.0 / (double)(clock_mono_ms() - begin + 1);
}

/* Samples until it no longer grows, and gives the most that was seen. */
static long
settled_rss_kib(void)
{
	long most = 0, last = -1, now;

	for (unsigned same = 0; same < 10; same = now <= last + 64 ? same + 1 : 0, last = now) {
		usleep(100000);
		now = helper_rss_kib(&helper);
		if (now > most)
			most = now;
	}
	return most;
}

/* Goes on until each partition had its turn; those that came first may have had many. */
static void
take_of_each(const char *topic, int32_t partitions, unsigned *seen)
{
	int64_t until = clock_mono_ms() + 60000;
	int32_t left;

	do {
		take_many(topic, (unsigned)partitions, 16, seen);
		left = 0;
		for (int32_t p = 0; p < partitions; p++)
			left += seen[p] == 0;
	} while (left && clock_mono_ms() < until);
	assert_int_equal(left, 0);
}

static void
check_memory(const char *topic, int32_t partitions, unsigned n)
{
	unsigned *seen = calloc((size_t)partitions, sizeof(*seen));
	long before, after;

	mock_topic(&mock, topic, partitions);
	fill(topic, 0, partitions, n, 1000);
	before = helper_rss_kib(&helper);
	take_many(topic, 1, 1, seen);
	after = settled_rss_kib();
	print_message("%d partitions with %u KiB each: %ld KiB more\n", partitions, n,
	    after - before);
	take_of_each(topic, partitions, seen);
	after = settled_rss_kib();
	print_message("after some of each: %ld KiB more\n", after - before);
	assert_true(after - before < MOST_KIB);
	free(seen);
}

static void
test_memory_100(void **state)
{
	(void)state;
	check_memory("hundred", 100, 2000);
}

static void
test_memory_700(void **state)
{
	(void)state;
	check_memory("many", 700, 400);
}

/* One partition has messages; the others only make each answer of a broker longer. */
static void
test_rate(void **state)
{
	static const int32_t sizes[] = { 10, 8000 };
	int64_t cost[2];
	double rate;
	char topic[32];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		snprintf(topic, sizeof(topic), "rate%d", sizes[i]);
		mock_topic(&mock, topic, sizes[i]);
		fill(topic, 3, 4, 30000, 100);
		take_many(topic, 100, 16, NULL);
		cost[i] = helper_loop_ns(&helper);
		rate = take_many(topic, 20000, 16, NULL);
		cost[i] = (helper_loop_ns(&helper) - cost[i]) / 20000;
		print_message("one busy partition of %d: %.0f a second, %lld ns of the loop each\n",
		    sizes[i], rate, (long long)cost[i]);
	}
	assert_true(cost[1] < cost[0] * SLOWER);
}

/* The mock cluster of newer versions takes a second for each answer about so many. */
static void
test_thousands_move(void **state)
{
	int32_t n = rd_kafka_version() < 0x02010000 ? 10000 : 3000;
	unsigned *seen = calloc((size_t)n, sizeof(*seen));

	(void)state;
	mock_topic(&mock, "thousands", n);
	fill("thousands", 0, n, 4, 100);
	take_of_each("thousands", n, seen);
	free(seen);
}

/* ---- a small budget ---- */

#define LARGE 100000
#define SMALL_BUDGET 4194304

static const char *const small_budget[] = { "--initialOffset", "oldest", "--consumeMaxBytes",
	"4194304", NULL };

static enum kp_err
consume(const char *topic, bool no_ack, uint32_t deadline_ms, struct msg_message *m)
{
	struct msg_consume ask = { .topic = kp_slice_str(topic), .group = LIT(G),
		.no_ack = no_ack };
	struct wire_frame f;
	enum kp_err err;

	err = peer_reply(&peer, peer_ask_message(&peer, &ask, deadline_ms), MSG_MESSAGE, &f);
	if (err == KP_OK)
		assert_err(msg_message_decode(f.body, m), KP_OK);
	return err;
}

/* The next one of the topic's only partition is this. */
static void
take(const char *topic, int64_t offset)
{
	int64_t until = clock_mono_ms() + 3 * POLL_MS;
	struct msg_message m;

	while (consume(topic, false, 3000, &m) != KP_OK)
		assert_true(clock_mono_ms() < until);
	assert_int_equal(m.offset, offset);
	peer_confirm(&peer, m.offer, true);
}

/* What waits to be acknowledged has a half: who asks for more is told so, all others go on. */
static void
test_acks_have_a_half(void **state)
{
	int64_t until = clock_mono_ms() + 3 * POLL_MS;
	struct msg_message m;
	unsigned n = 0;

	(void)state;
	mock_topic(&mock, "acks", 1);
	mock_topic(&mock, "plain", 1);
	fill("acks", 0, 1, 40, LARGE);
	fill("plain", 0, 1, 40, LARGE);
	while (strstr(peer.text, "have used up their half of --consumeMaxBytes") == NULL) {
		assert_true(clock_mono_ms() < until);
		if (consume("acks", true, 1000, &m) == KP_OK) {
			assert_int_equal(m.offset, n++);
			peer_confirm(&peer, m.offer, true);
		}
	}
	assert_in_range(n, SMALL_BUDGET / 2 / LARGE, SMALL_BUDGET / 2 / LARGE + 1);
	for (int i = 0; i < 40; i++)
		take("plain", i);
	assert_err(peer_ack(&peer, "acks", G, 0, 0), KP_OK);
	assert_err(consume("acks", true, POLL_MS, &m), KP_OK);
	assert_int_equal(m.offset, n);
	peer_confirm(&peer, m.offer, true);
	for (unsigned i = 1; i <= n; i++)
		assert_err(peer_ack(&peer, "acks", G, 0, i), KP_OK);
	take("acks", n + 1);
}

#define TOPICS 60
#define EACH 6

static void
ask_for(int i, int topic_of[], unsigned most)
{
	char name[32];
	uint32_t id;

	snprintf(name, sizeof(name), "fit%d", i);
	id = peer_ask_consume(&peer, name, G, 3000);
	assert_true(id < most);
	topic_of[id] = i;
}

/* What was read ahead for those that nobody asks for is given up for those that somebody
 * waits for, and read again when it is wanted. */
static void
test_more_topics_than_fit(void **state)
{
	int topic_of[4096], next[TOPICS] = { 0 }, left = TOPICS * EACH;
	int64_t until = clock_mono_ms() + 120000;
	struct wire_frame f;
	struct msg_message m;
	char name[32];

	(void)state;
	for (int i = 0; i < TOPICS; i++) {
		snprintf(name, sizeof(name), "fit%d", i);
		mock_topic(&mock, name, 1);
		fill(name, 0, 1, EACH, LARGE);
	}
	/* Who has had one comes again when all others have had theirs. */
	for (int pass = 0; pass < EACH; pass++) {
		int n = TOPICS;

		for (int i = 0; i < TOPICS; i++)
			ask_for(i, topic_of, COUNT(topic_of));
		while (n > 0) {
			assert_true(clock_mono_ms() < until);
			assert_true(peer_recv(&peer, &f, POLL_MS));
			if (f.type == MSG_ERROR) {
				ask_for(topic_of[f.id], topic_of, COUNT(topic_of));
				continue;
			}
			assert_err(msg_message_decode(f.body, &m), KP_OK);
			assert_int_equal(m.offset, next[topic_of[f.id]]);
			next[topic_of[f.id]]++;
			peer_confirm(&peer, m.offer, true);
			n--, left--;
		}
	}
	assert_int_equal(left, 0);
	assert_int_equal(helper_logged(&helper, "partition stalls"), 0);
	assert_int_equal(helper_logged(&helper, "out of range"), 0);
}

/* ---- names ---- */

static int
setup_names(void **state)
{
	(void)state;
	helper_init(&helper);
	helper_start_faulty(&helper, mock.brokers, NULL, "KP_NAMES_MAX", "3");
	peer_open(&peer, &helper);
	return 0;
}

/* A group that has left many topics gets a new handle, and goes on where it was. */
static void
test_names_are_forgotten(void **state)
{
	int64_t until = clock_mono_ms() + 60000, offset = 0;
	struct msg_message m;
	char name[32];

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "gone%d", i);
		mock_topic(&mock, name, 1);
		assert_err(consume(name, false, 1000, &m), KP_ENOMSG);
	}
	mock_topic(&mock, "stays", 1);
	assert_err(consume("stays", false, 1000, &m), KP_ENOMSG);
	while (!helper_logged(&helper, "group has left many topics")) {
		assert_true(clock_mono_ms() < until);
		mock_put(&mock, "stays", 0, NULL, "m");
		take("stays", offset++);
		usleep(300000);		/* one topic is in use while the others are left */
	}
	for (int i = 0; i < 10; i++) {
		mock_put(&mock, "stays", 0, NULL, "m");
		take("stays", offset++);
	}
	assert_true(helper_logged(&helper, "group opened") >= 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_memory_100, oldest),
		STAND_TEST(test_memory_700, oldest),
		STAND_TEST(test_rate, oldest),
		STAND_TEST(test_thousands_move, oldest),
		STAND_TEST(test_acks_have_a_half, small_budget),
		STAND_TEST(test_more_topics_than_fit, small_budget),
		cmocka_unit_test_setup_teardown(test_names_are_forgotten, setup_names,
		    stand_teardown),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
