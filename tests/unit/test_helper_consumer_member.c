/* How a member tells librdkafka what it reads, on the mock cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
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
#define member_let_go member_let_go_under_test
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
		rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE);
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

/* The event of a rebalance, which is not answered here. */
static void
await_rebalance(rd_kafka_queue_t *q, rd_kafka_resp_err_t want)
{
	rd_kafka_event_t *ev;
	bool found = false;

	for (int i = 0; i < 200 && !found; i++) {
		ev = rd_kafka_queue_poll(q, 100);
		found = ev && rd_kafka_event_type(ev) == RD_KAFKA_EVENT_REBALANCE &&
		    rd_kafka_event_error(ev) == want;
		rd_kafka_event_destroy(ev);
	}
	assert_true(found);
}

/* The handle of a member that is given up while it leaves comes to its end, though the answer
 * to its last rebalance is owed. */
static void
test_an_end_before_a_revocation_is_answered(void **state)
{
	rd_kafka_t *owner = client(RD_KAFKA_PRODUCER, NULL);
	rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(owner, 1);
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	struct consumer c = { .rk = NULL };
	rd_kafka_queue_t *q, *farewell;

	(void)state;
	rd_kafka_mock_topic_create(cluster, "t", PARTS, 1);
	c.rk = client(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(cluster));
	rd_kafka_poll_set_consumer(c.rk);
	q = rd_kafka_queue_get_consumer(c.rk);
	farewell = rd_kafka_queue_new(c.rk);
	rd_kafka_topic_partition_list_add(topics, "t", RD_KAFKA_PARTITION_UA);
	rd_kafka_subscribe(c.rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	await_rebalance(q, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
	assign_nothing(&c, false);
	rd_kafka_error_destroy(rd_kafka_consumer_close_queue(c.rk, farewell));
	await_rebalance(farewell, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
	rd_kafka_queue_destroy(farewell);
	rd_kafka_queue_destroy(q);
	alarm(30);			/* else it would wait for ever */
	assert_true(member_let_go(&c));
	rd_kafka_destroy_flags(c.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	alarm(0);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(owner);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_that_follow_each_other_at_once),
		cmocka_unit_test(test_an_end_before_a_revocation_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
