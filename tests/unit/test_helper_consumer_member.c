/* How a member tells librdkafka what it reads, on the mock cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "tests/unit/unit.h"

/* The module under test, beside the one that is linked. */
#define member_add member_add_under_test
#define member_remove member_remove_under_test
#define member_rewind member_rewind_under_test
#define member_rebalance member_rebalance_under_test
#define member_error member_error_under_test
#define member_free member_free_under_test
#define consumer_give_up consumer_give_up_under_test
#define consumer_lost consumer_lost_under_test
#define consumer_join consumer_join_under_test
#define consumer_subscribe consumer_subscribe_under_test
#define consumer_session_ms consumer_session_ms_under_test
#define consumer_leave consumer_leave_under_test
#include "helper/kafka/consumer_member.c"

#define PARTS 8
#define ROUNDS 300

static rd_kafka_t *
client(rd_kafka_type_t type, const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	if (brokers) {
		rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
		rd_kafka_conf_set(conf, "group.id", "g", NULL, 0);
		rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
	}
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	assert_non_null(rk);
	return rk;
}

static void
drain(rd_kafka_t *rk)
{
	rd_kafka_message_t *m;

	while ((m = rd_kafka_consumer_poll(rk, 0)) != NULL)
		rd_kafka_message_destroy(m);
}

/* A rebalance may follow upon a change of what is read at once: librdkafka must have stopped
 * what it was told to stop before it is told again. */
static void
test_changes_that_follow_each_other_at_once(void **state)
{
	static struct consumer_part parts[PARTS];
	static const struct consumer_member_events events = { NULL, NULL, NULL, NULL };
	rd_kafka_t *owner = client(RD_KAFKA_PRODUCER, NULL);
	rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(owner, 1);
	struct consumer c = { .loop = loop_new() };

	(void)state;
	rd_kafka_mock_topic_create(cluster, "t", PARTS, 1);
	c.rk = client(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(cluster));
	assert_int_equal(consumer_join(&c, &events, NULL), KP_OK);
	for (int i = 0; i < PARTS; i++) {
		parts[i] = (struct consumer_part){ .c = &c, .topic = "t", .partition = i };
		member_add(&parts[i]);
	}
	c.member->holding = true;
	for (int i = 0; i < ROUNDS; i++) {
		c.member->changed = true;
		apply(&c);
		assert_true(parts[0].reading);
		if (i % 2)
			assign_nothing(&c, i % 4 == 1);
		drain(c.rk);
	}
	member_free(&c);
	rd_kafka_destroy(c.rk);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(owner);
	loop_free(c.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_that_follow_each_other_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
