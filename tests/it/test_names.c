/* Topics that do not exist, many of them: who asks is told so, by many at once as by one;
 * others do not wait for it; and nothing is left of it. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <dirent.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define AT_ONCE 60			/* requests of one connection */
#define DEADLINE_MS 8000
#define CREATE_MS 2000			/* so long the broker may take to make a topic */
#define SOON_MS 1000			/* a machine is busy now and then */
#define FORGET_MS 15000

static void
unknown_name(char *out, size_t cap, const char *prefix, unsigned n)
{
	snprintf(out, cap, "%s%u", prefix, n);
	rd_kafka_mock_topic_set_error(mock.cluster, out, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

static void
ask_offsets(struct peer *p, const char *topic)
{
	const struct msg_topic_group m = { kp_slice_str(topic), LIT("g") };
	struct kp_buf body;

	kp_buf_init(&body, 1024);
	assert_err(msg_topic_group_encode(&body, &m), KP_OK);
	peer_ask(p, MSG_GET_OFFSETS, DEADLINE_MS, (struct kp_slice){ body.p, body.len });
	kp_buf_free(&body);
}

/* The three ways to name a topic, in turn. */
static void
ask_about(struct peer *p, const char *topic, unsigned n)
{
	const struct msg_produce m = { .topic = kp_slice_str(topic), .value = LIT("v") };

	if (n % 3 == 0)
		peer_ask_produce(p, &m, DEADLINE_MS);
	else if (n % 3 == 1)
		peer_ask_consume(p, topic, "g", DEADLINE_MS);
	else
		ask_offsets(p, topic);
}

/* The next reply, an error. */
static enum kp_err
next_error(struct peer *p)
{
	struct wire_frame f;
	struct msg_error e;

	assert_true(peer_recv(p, &f, DEADLINE_MS + 1000));
	assert_int_equal(f.type, MSG_ERROR);
	assert_err(msg_error_decode(f.body, &e), KP_OK);
	p->retry_after_s = e.retry_after_s;
	return e.err;
}

static int64_t
ms_of_offsets(const char *topic)
{
	int64_t begin = clock_mono_ms();
	struct msg_offsets r;

	assert_err(peer_get_offsets(&peer, topic, "g", &r), KP_OK);
	msg_offsets_free(&r);
	return clock_mono_ms() - begin;
}

static void
test_many_at_once_are_unknown_as_soon_as_one(void **state)
{
	int64_t begin;
	struct peer p;
	char name[32];

	(void)state;
	peer_open(&p, &helper);
	for (unsigned i = 0; i < AT_ONCE; i++)
		unknown_name(name, sizeof(name), "many", i);
	begin = clock_mono_ms();
	for (unsigned i = 0; i < AT_ONCE; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		ask_about(&p, name, i);
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		assert_err(next_error(&p), KP_ENOTFOUND);
	assert_true(clock_mono_ms() - begin < CREATE_MS + SOON_MS);
	peer_close(&p);
}

static void
test_known_topics_do_not_wait_for_them(void **state)
{
	int64_t most = 0;
	struct peer p;
	char name[32];

	(void)state;
	mock_topic(&mock, "known", 2);
	mock_put(&mock, "known", 0, NULL, "v");
	ms_of_offsets("known");
	peer_open(&p, &helper);
	for (unsigned i = 0; i < AT_ONCE; i++) {
		unknown_name(name, sizeof(name), "beside", i);
		ask_about(&p, name, i);
	}
	for (unsigned i = 0; i < 20; i++) {
		int64_t ms = ms_of_offsets("known");

		most = ms > most ? ms : most;
	}
	assert_true(most < SOON_MS);
	for (unsigned i = 0; i < AT_ONCE; i++)
		assert_err(next_error(&p), KP_ENOTFOUND);
	peer_close(&p);
}

static unsigned
threads(void)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)helper.pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The handles in which they collected are replaced, and come to an end. */
static void
test_they_are_forgotten(void **state)
{
	int64_t until = clock_mono_ms() + FORGET_MS;
	unsigned before;
	struct peer p;
	char name[32];

	(void)state;
	mock_topic(&mock, "lasting", 1);
	mock_put(&mock, "lasting", 0, NULL, "v");
	ms_of_offsets("lasting");
	before = threads();
	peer_open(&p, &helper);
	for (unsigned i = 0; i < AT_ONCE; i++) {
		unknown_name(name, sizeof(name), "gone", i);
		ask_about(&p, name, i);
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		assert_err(next_error(&p), KP_ENOTFOUND);
	peer_close(&p);
	helper_wait_logged(&helper, "kafka handle replaced kind=looks");
	helper_wait_logged(&helper, "kafka handle replaced kind=creates");
	while (threads() > before && clock_mono_ms() < until)
		usleep(20 * 1000);
	assert_true(threads() <= before);
	assert_true(ms_of_offsets("lasting") < SOON_MS);
	/* What exists is not forgotten with them. */
	assert_int_equal(helper_logged(&helper, "kafka handle replaced kind=asks"), 0);
}

/* It is made by who produces, and not by who only asks where a group is. */
static void
test_a_name_can_come_to_be(void **state)
{
	struct msg_produced r;
	struct peer p;

	(void)state;
	rd_kafka_mock_topic_set_error(mock.cluster, "late",
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	peer_open(&p, &helper);
	ask_about(&p, "late", 0);
	ask_about(&p, "late", 1);
	ask_offsets(&p, "late");
	/* Who only looks is told at once, and the others wait on. */
	assert_err(next_error(&p), KP_ENOTFOUND);
	rd_kafka_mock_topic_set_error(mock.cluster, "late", RD_KAFKA_RESP_ERR_NO_ERROR);
	peer_next_produced(&p);
	assert_err(peer_produce(&peer, "late", NULL, "w", true, &r), KP_OK);
	peer_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_many_at_once_are_unknown_as_soon_as_one, NULL),
		STAND_TEST(test_known_topics_do_not_wait_for_them, NULL),
		STAND_TEST(test_they_are_forgotten, NULL),
		STAND_TEST(test_a_name_can_come_to_be, NULL),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
