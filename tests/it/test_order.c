/*
 * Async messages of one topic and key reach Kafka in the order in which they were
 * accepted, whatever brokers answer: what becomes of one request must not let a second
 * one, which was ready meanwhile, overtake.
 */
#include "common/clock.h"
#include "tests/it/order.h"

#include <poll.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

/* Longer than librdkafka waits for the company of a first message, by far. */
#define PAUSE_US "80000"

static struct helper helper;
static struct order order;

static const char *const options[] = { "-X", "producer.retry.backoff.ms=20",
	"-X", "topic.metadata.refresh.interval.ms=100", NULL };

static int
setup(void **state)
{
	const struct order_plan *plan = *state;

	helper_init(&helper);
	if (plan && plan->faulty)
		helper_start_faulty(&helper, mock.brokers, options, "KP_WAVE_PAUSE_US", PAUSE_US);
	else
		helper_start(&helper, mock.brokers, options);
	return 0;
}

/* What a test that failed left behind is not the next one's. */
static int
teardown(void **state)
{
	(void)state;
	order_slow(false);
	mock_up(&mock);
	helper_stop(&helper, STOP_MS);
	return 0;
}

/* Partition by partition, so that all brokers have their turn. */
static unsigned
leader(const struct order *o, unsigned turn)
{
	return 1 + turn % o->partitions % ORDER_BROKERS;
}

/* ---- errors ---- */

static void
fail_once(struct order *o, unsigned turn)
{
	static const rd_kafka_resp_err_t errors[] = {
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
		RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
		/* the topic is known: librdkafka asks again */
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
	};

	/* what is sent again is refused again */
	unsigned times = turn % 4 == 3 ? 2 : 1;

	order_push(o, leader(o, turn), errors[turn % COUNT(errors)], times);
}

/* Under load at every other turn: the messages of the batch are sent one by one then, and
 * the next batch is to be refused when they are through. One that is alone when the next
 * error comes is a dead letter. */
static void
refuse(struct order *o, unsigned turn, rd_kafka_resp_err_t code, unsigned times)
{
	unsigned before = o->errors;

	if (turn % 2) {
		order_push(o, leader(o, turn), code, times);
		o->refusals += o->errors - before;
		return;
	}
	order_slow(false);
	order_settle(o);
	order_slow(true);
}

static void
too_large(struct order *o, unsigned turn)
{
	refuse(o, turn, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1);
}

static void
too_large_again(struct order *o, unsigned turn)
{
	refuse(o, turn, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1 + turn / 2 % 3);
}

static void
not_valid(struct order *o, unsigned turn)
{
	refuse(o, turn, RD_KAFKA_RESP_ERR_INVALID_RECORD, 1);
}

/* It stays in its place, and its time is another one the next time. */
static void
too_old(struct order *o, unsigned turn)
{
	refuse(o, turn, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, 1);
}

/* ---- leaders and connections ---- */

static void
move_leader(struct order *o, unsigned turn)
{
	/* the numbers of partitions have no factor in common with that of brokers */
	assert_int_equal(rd_kafka_mock_partition_set_leader(mock.cluster, o->topic,
	    (int32_t)(turn % o->partitions), 1 + (int32_t)((turn + 1) % ORDER_BROKERS)), 0);
	o->errors++;
}

/* Down at one turn, up at the next. */
static void
cut(struct order *o, unsigned turn)
{
	unsigned broker = leader(o, turn / 2);

	if (turn % 2) {
		mock_up(&mock);
		return;
	}
	assert_int_equal(rd_kafka_mock_broker_set_down(mock.cluster, (int32_t)broker), 0);
	o->errors++;
}

/* ---- the helper is killed with a backlog ---- */

static void
fail_and_kill(struct order *o, unsigned turn)
{
	fail_once(o, turn);
	if (turn % 6 != 5)
		return;
	helper_kill(&helper);
	helper_start(&helper, mock.brokers, options);
	helper_wait_logged(&helper, "accepted before this start");
	order_reopen(o);
}

/* ---- under load ---- */

enum { ONCE = 1, FRESH = 2, FAULTY = 4 };
#define PLAN(what, partitions, messages, every, act, flags) \
	{ what, partitions, messages, every, act, (flags) & ONCE, (flags) & FRESH, \
	    (flags) & FAULTY }

static const struct order_plan plans[] = {
	PLAN("retriable errors", 1, 1500, 100, fail_once, ONCE),
	PLAN("retriable errors", 4, 1500, 100, fail_once, ONCE),
	PLAN("first messages", 1, 1200, 100, fail_once, ONCE | FRESH),
	PLAN("first messages", 4, 1200, 100, fail_once, ONCE | FRESH),
	PLAN("helper stands still", 1, 3000, 150, fail_once, ONCE | FAULTY),
	PLAN("helper stands still", 4, 1000, 100, fail_once, ONCE | FAULTY),
	PLAN("too large", 1, 900, 150, too_large, ONCE),
	PLAN("too large again", 1, 900, 150, too_large_again, ONCE),
	PLAN("too large again", 4, 900, 150, too_large_again, ONCE),
	PLAN("not valid", 1, 900, 150, not_valid, ONCE),
	PLAN("too old", 1, 900, 150, too_old, ONCE),
	PLAN("too old", 4, 900, 150, too_old, ONCE),
	PLAN("leaders moved", 1, 1200, 100, move_leader, ONCE),
	PLAN("leaders moved", 4, 1200, 100, move_leader, ONCE),
	PLAN("connections lost", 1, 1350, 150, cut, 0),
	PLAN("connections lost", 4, 1350, 150, cut, 0),
	PLAN("helper killed", 1, 1300, 100, fail_and_kill, 0),
	PLAN("helper killed", 4, 1300, 100, fail_and_kill, 0),
};

static void
test_plan(void **state)
{
	order_run(&order, &helper, *state);
}

/* ---- one of two partitions ---- */

static bool
delivered(struct order *o, unsigned number)
{
	struct msg_receipt r;

	assert_err(peer_find(&o->peer, o->v[number].id, &r), KP_OK);
	return r.state == RECEIPT_DELIVERED;
}

static void
stand_still(struct order *o)
{
	assert_int_equal(rd_kafka_mock_broker_set_down(mock.cluster, 1), 0);
	o->errors++;
}

static void
answer_errors(struct order *o)
{
	order_push(o, 1, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 25);
}

/* The leader of the other one is well: messages for it do not wait. */
static void
test_a_partition_that_stands_still(void **state)
{
	static void (*const faults[])(struct order *o) = { stand_still, answer_errors };

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct order *o = &order;
		int64_t until = clock_mono_ms() + PEER_WAIT_MS;

		order_begin(o, &helper, 2);
		order_send(o, 2);
		order_settle(o);
		faults[i](o);
		order_send(o, 200);
		order_take(o);
		for (unsigned n = 3; n < o->sent; n += 2)
			while (!delivered(o, n)) {
				if (clock_mono_ms() > until)
					fail_msg("m%u waits for the other partition", n);
				poll(NULL, 0, 5);
			}
		for (unsigned n = 2; n < o->sent && i == 0; n += 2)
			assert_false(delivered(o, n));
		order_finish(o);
		order_check(o, "stands still", false);
	}
}

/* Each of them could fill half of what is kept in memory: one that is well goes on, and
 * they do, in order, when they can. */
static void
test_topics_that_stand_still_are_not_in_the_way(void **state)
{
	static const char *const names[] = { "still0", "still1", "still2" };
	struct peer p;

	(void)state;
	peer_open(&p, &helper);
	for (size_t i = 0; i < COUNT(names); i++) {
		mock_topic(&mock, names[i], 2);
		peer_produce_many(&p, names[i], "k", "m", 0, 10, 1);
		mock_expect(&mock, names[i], "m", 10, MOCK_TWICE);
		for (int32_t n = 0; n < 2; n++)
			rd_kafka_mock_partition_set_leader(mock.cluster, names[i], n, 3);
	}
	assert_int_equal(rd_kafka_mock_broker_set_down(mock.cluster, 3), 0);
	for (size_t i = 0; i < COUNT(names); i++)
		peer_produce_many(&p, names[i], "k", "m", 10, 6000, 60);
	mock_topic(&mock, "moves", 1);
	rd_kafka_mock_partition_set_leader(mock.cluster, "moves", 0, 1);
	peer_produce_many(&p, "moves", "k", "m", 0, 6000, 60);
	mock_expect(&mock, "moves", "m", 6000, MOCK_TWICE);
	assert_int_equal(rd_kafka_mock_broker_set_up(mock.cluster, 3), 0);
	for (size_t i = 0; i < COUNT(names); i++)
		mock_expect(&mock, names[i], "m", 6000, MOCK_TWICE);
	peer_close(&p);
}

static int
group_setup(void **state)
{
	(void)state;
	mock_open_brokers(&mock, ORDER_BROKERS);
	return 0;
}

int
main(void)
{
	struct CMUnitTest tests[COUNT(plans) + 2];
	char names[COUNT(plans)][64];

	for (size_t i = 0; i < COUNT(plans); i++) {
		snprintf(names[i], sizeof(names[i]), "test_%s_partitions_%u", plans[i].what,
		    plans[i].partitions);
		for (char *c = names[i]; *c; c++)
			*c = *c == ' ' ? '_' : *c;
		tests[i] = (struct CMUnitTest){ names[i], test_plan, setup, teardown,
		    (void *)(uintptr_t)&plans[i] };
	}
	tests[COUNT(plans)] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
	    test_a_partition_that_stands_still, setup, teardown);
	tests[COUNT(plans) + 1] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
	    test_topics_that_stand_still_are_not_in_the_way, setup, teardown);
	unit_filter();
	return cmocka_run_group_tests(tests, group_setup, mock_group_teardown);
}
