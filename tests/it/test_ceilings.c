/*
 * As many groups, and topics of a group, as are served, and one more: that one is told
 * so, and the others go on.
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/sock.h"
#include "tests/it/stand.h"
#include "tests/unit/unit.h"

#define CEILING 256			/* GROUPS_MAX and GROUP_TOPICS_MAX of the helper */
#define AT_ONCE 64
#define DEADLINE_MS 20000
#define SOON_MS 10000			/* who is not asked for 20 s leaves */
#define PASSES_MAX 20

/* One reply to a long poll on an empty topic. */
static enum kp_err
answer(struct peer *p)
{
	struct wire_frame f;
	struct msg_error e;

	assert_true(peer_recv(p, &f, DEADLINE_MS));
	assert_int_equal(f.type, MSG_ERROR);
	assert_err(msg_error_decode(f.body, &e), KP_OK);
	return e.err;
}

/* Long polls of numbers 0 to n - 1, a few at a time, one of the two names with the
 * number behind it. Returns how many were not ready in time. */
static unsigned
poll_once(const char *topic, const char *group, unsigned n)
{
	unsigned unready = 0;
	char name[2][32];
	struct peer p;

	peer_open(&p, &helper);
	for (unsigned i = 0; i < n; i += AT_ONCE) {
		unsigned k = n - i < AT_ONCE ? n - i : AT_ONCE;

		for (unsigned j = 0; j < k; j++) {
			snprintf(name[0], sizeof(name[0]), "%s%u", topic, i + j);
			snprintf(name[1], sizeof(name[1]), "%s%u", group, i + j);
			/* One of the two is the same for all. */
			peer_ask_consume(&p, topic[1] ? topic : name[0],
			    group[1] ? group : name[1], 300);
		}
		for (unsigned j = 0; j < k; j++) {
			enum kp_err err = answer(&p);

			assert_true(err != KP_EBUSY);
			unready += err != KP_ENOMSG;
		}
	}
	peer_close(&p);
	return unready;
}

/* So that all of them are there: the first pass, in which they join, may take long. */
static void
poll_each(const char *topic, const char *group, unsigned n)
{
	for (unsigned i = 0; i < PASSES_MAX; i++) {
		int64_t begin = clock_mono_ms();

		if (poll_once(topic, group, n) == 0 && clock_mono_ms() - begin < SOON_MS)
			return;
	}
	fail_msg("not all of %u are there", n);
}

static void
check_one_more(const char *topic, const char *group)
{
	struct msg_message m;
	struct peer p;

	peer_open(&p, &helper);
	assert_err(peer_consume(&p, topic, group, 1000, &m), KP_EBUSY);
	assert_err(peer_ping(&p), KP_OK);
	peer_close(&p);
}

static void
check_still_served(const char *topic, const char *group)
{
	struct msg_message m;
	struct peer p;

	mock_put(&mock, topic, 0, "k", "v");
	peer_open(&p, &helper);
	assert_err(peer_consume(&p, topic, group, DEADLINE_MS, &m), KP_OK);
	peer_confirm(&p, m.offer, true);
	assert_err(peer_ping(&p), KP_OK);
	peer_close(&p);
}

static void
test_groups(void **state)
{
	(void)state;
	mock_topic(&mock, "topic", 1);
	poll_each("topic", "g", CEILING);
	check_one_more("topic", "one-more");
	check_still_served("topic", "g7");
}

static void
test_topics_of_a_group(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i <= CEILING; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		mock_topic(&mock, name, 1);
	}
	poll_each("t", "group", CEILING);
	snprintf(name, sizeof(name), "t%u", CEILING);
	check_one_more(name, "group");
	check_still_served("t7", "group");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, stand_setup_helper, stand_teardown_helper)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_groups),
		TEST(test_topics_of_a_group),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
