/*
 * Random sequences of what brokers do wrong, under load: errors of every request
 * that the helper makes, slow answers, answers lost, brokers away, leaders that move;
 * and now and then the helper is killed. KP_SEED repeats a run.
 *
 * A sequence is `clean` when no answer of Kafka was lost in it, and `mild` when none of
 * its errors was one for good; load.h says what must hold then. Its errors of PRODUCE are
 * put onto brokers one by one, so that it is known how many were met; it ends when all of
 * them were.
 */
#include "common/clock.h"
#include "tests/it/load.h"
#include "tests/it/reader.h"

#include <poll.h>
#include <stdio.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define BROKERS 3
#define PARTITIONS READER_PARTITIONS
#define PER_ROUND 10			/* sequences that share topics and a group */
#define WARM_UP "s1000000.c0.m0"		/* of no sequence */

static struct helper helper;
static struct load load;
static struct reader reader;	/* of the first topic */

/* Slow answers are to be given up soon. */
static const char *const options[] = { "--syncTimeoutMs", "2500", "--initialOffset", "oldest",
	"-X", "producer.retry.backoff.ms=20", "-X", "socket.timeout.ms=600",
	"-X", "consumer.fetch.error.backoff.ms=20", "-X", "consumer.retry.backoff.ms=20",
	"-X", "fetch.wait.max.ms=50", "-X", "topic.metadata.refresh.interval.ms=500", NULL };

static struct {
	unsigned sequences, produce_errors, other_errors, slow, away, moved, kills;
	unsigned sent, kept, refused, unknown, dead, dup;
} total;

static struct sequence {
	unsigned number;
	bool clean, mild;
	int32_t leaders[LOAD_TOPICS];	/* of all partitions, at first */
} seq;

static unsigned
dice(unsigned n)
{
	return (unsigned)rand() % n;
}

/* ---- what goes wrong ---- */

struct error {
	rd_kafka_resp_err_t code;
	bool permanent;
};

static const struct error produce_errors[] = {
	{ RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, false },
	{ RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, false },
	{ RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, false },
	{ RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, false },
	{ RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, false },
	{ RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, false },
	/* the topic is known: librdkafka asks again */
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false },
	{ RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, false },
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, true },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, true },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, true },
	{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, true },
};

static const struct error metadata_errors[] = {
	{ RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, false },
	{ RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, false },
	{ RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, false },
	/* so may a broker that has just started */
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false },
};

static const struct {
	enum mock_api api;
	rd_kafka_resp_err_t code;
} group_errors[] = {
	{ MOCK_FETCH, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION },
	{ MOCK_FETCH, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR },
	{ MOCK_FETCH, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT },
	{ MOCK_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS },
	{ MOCK_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR },
	{ MOCK_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE },
	{ MOCK_OFFSET_FETCH, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS },
	{ MOCK_OFFSET_FETCH, RD_KAFKA_RESP_ERR_NOT_COORDINATOR },
	{ MOCK_FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE },
	{ MOCK_LIST_OFFSETS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION },
	{ MOCK_LIST_OFFSETS, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE },
};

static void
push_on(int32_t broker, enum mock_api api, rd_kafka_resp_err_t code)
{
	assert_int_equal(rd_kafka_mock_broker_push_request_error_rtts(mock.cluster, broker,
	    (int16_t)api, (size_t)1, code, 0), 0);
}

static size_t
left_on(int32_t broker, enum mock_api api)
{
	size_t n = 0;			/* is left as it is when there never were any */

	assert_int_equal(rd_kafka_mock_broker_error_stack_cnt(mock.cluster, broker,
	    (int16_t)api, &n), 0);
	return n;
}

static const struct error *
choose(const struct error *v, size_t n)
{
	const struct error *e;

	do
		e = &v[dice((unsigned)n)];
	while (e->permanent && seq.mild);
	return e;
}

static void
fail_produce(void)
{
	int32_t b = seq.leaders[dice(LOAD_TOPICS)];
	unsigned n = 1 + dice(3);
	bool lost = !seq.clean && dice(4) == 0;

	for (unsigned i = 0; i < n; i++)
		push_on(b, MOCK_PRODUCE, lost ? RD_KAFKA_RESP_ERR__TRANSPORT :
		    choose(produce_errors, COUNT(produce_errors))->code);
	total.produce_errors += n;
}

static void
fail_metadata(void)
{
	rd_kafka_mock_push_request_errors(mock.cluster, MOCK_METADATA, 1,
	    choose(metadata_errors, COUNT(metadata_errors))->code);
	total.other_errors++;
}

static void
fail_group(void)
{
	size_t i = dice(COUNT(group_errors));

	rd_kafka_mock_push_request_errors(mock.cluster, (int16_t)group_errors[i].api, 1,
	    group_errors[i].code);
	total.other_errors++;
}

static void
move_leader(void)
{
	assert_int_equal(rd_kafka_mock_partition_set_leader(mock.cluster,
	    load.topics[dice(LOAD_TOPICS)], (int32_t)dice(PARTITIONS), 1 + (int32_t)dice(BROKERS)),
	    0);
	total.moved++;
}

/* The last ones are longer than the helper waits for. */
static void
be_slow(void)
{
	const int rtt_ms[] = { 5, 50, 200, (int)unit_rounds(1000, 3000) };

	assert_int_equal(rd_kafka_mock_broker_set_rtt(mock.cluster, 1 + (int32_t)dice(BROKERS),
	    rtt_ms[dice(COUNT(rtt_ms))]), 0);
	total.slow++;
}

/* Far enough for the next request to be ready, near enough to lose no answer. */
static void
be_far(void)
{
	const int rtt_ms[] = { 0, 5, 30 };

	assert_int_equal(rd_kafka_mock_broker_set_rtt(mock.cluster, -1,
	    rtt_ms[dice(COUNT(rtt_ms))]), 0);
}

static void
go_away(void)
{
	assert_int_equal(rd_kafka_mock_broker_set_down(mock.cluster,
	    dice(3) ? 1 + (int32_t)dice(BROKERS) : -1), 0);
	total.away++;
}

static void
mend(void)
{
	assert_int_equal(rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0), 0);
	mock_up(&mock);
}

static void
kill_helper(void)
{
	helper_kill(&helper);
	reader_close(&reader);
	helper_start(&helper, mock.brokers, options);
	load_reopen(&load);
	reader_open(&reader);
	seq.clean = false;
	total.kills++;
}

static const struct action {
	void (*run)(void);
	unsigned weight;
	bool dirty;			/* Kafka's answers may be lost */
} actions[] = {
	{ fail_produce, 8, false }, { fail_metadata, 3, false }, { fail_group, 3, false },
	{ move_leader, 5, false }, { be_slow, 3, true }, { go_away, 3, true },
	{ mend, 4, true },
};

static void
act(void)
{
	for (;;) {
		unsigned i = dice(COUNT(actions));

		if (dice(8) < actions[i].weight && !(actions[i].dirty && seq.clean)) {
			actions[i].run();
			return;
		}
	}
}

/* ---- one sequence ---- */

static void
new_round(unsigned number)
{
	char group[16];

	for (unsigned i = 0; i < LOAD_TOPICS; i++) {
		snprintf(load.topics[i], sizeof(load.topics[i]), "errors%u-%u", number, i);
		mock_topic(&mock, load.topics[i], PARTITIONS);
	}
	snprintf(group, sizeof(group), "g%u", number);
	reader_begin(&reader, &helper, load.topics[0], group);
	if (number == 0)
		reader_open(&reader);
}

static void
lead(unsigned topic, int32_t broker)
{
	for (int32_t p = 0; p < PARTITIONS; p++)
		assert_int_equal(rd_kafka_mock_partition_set_leader(mock.cluster,
		    load.topics[topic], p, broker), 0);
}

/* Both of the helper's producers know the topic's leader, and have forgotten what was
 * wrong before: librdkafka remembers for a while that it may not write to a topic. */
static bool
takes(struct peer *p, const char *topic)
{
	struct msg_receipt receipt = { .state = RECEIPT_PENDING };
	struct msg_produced r;
	enum kp_err err;

	err = peer_produce(p, topic, NULL, WARM_UP, false, &r);
	if (err) {
		total.unknown += load_fate(err, kp_slice_str(p->text)) == FATE_UNKNOWN;
		return false;
	}
	while ((err = peer_find(p, r.id, &receipt)) == KP_OK && receipt.state == RECEIPT_PENDING)
		poll(NULL, 0, 5);
	if (err == KP_OK && receipt.state == RECEIPT_DEAD) {
		total.dead++;
		return false;
	}
	return peer_produce(p, topic, NULL, WARM_UP, true, &r) == KP_OK;
}

/* Each topic has one leader, and the helper knows it. */
static void
begin(void)
{
	int64_t until = clock_mono_ms() + LOAD_WAIT_MS;
	struct peer p;

	peer_open(&p, &helper);
	for (unsigned t = 0; t < LOAD_TOPICS; t++) {
		seq.leaders[t] = 1 + (int32_t)dice(BROKERS);
		lead(t, seq.leaders[t]);
		while (!takes(&p, load.topics[t])) {
			if (clock_mono_ms() > until)
				fail_msg("sequence %u: %s is not taken before it begins: %s",
				    seq.number, load.topics[t], p.text);
			poll(NULL, 0, 20);
		}
	}
	peer_close(&p);
}

/* Whatever is still on a broker's list is met there: all leaders go to it. Where it is
 * remembered that one may not write to a topic, it takes a while to ask again. */
static void
meet_all_errors(void)
{
	int64_t until = clock_mono_ms() + LOAD_WAIT_MS;
	unsigned refused;

	for (int32_t b = 1; b <= BROKERS; b++) {
		if (left_on(b, MOCK_PRODUCE) == 0)
			continue;
		for (unsigned t = 0; t < LOAD_TOPICS; t++)
			lead(t, b);
		while (left_on(b, MOCK_PRODUCE) > 0) {
			if (clock_mono_ms() > until)
				fail_msg("sequence %u: %zu errors of broker %d were not met",
				    seq.number, left_on(b, MOCK_PRODUCE), b);
			refused = load.refused;
			load_send(&load, 1, 2);
			load_take(&load, 20);
			if (load.refused > refused)
				poll(NULL, 0, 20);
		}
	}
}

static void
run_faults(void)
{
	unsigned n = 3 + dice(4), sync_every = 2 + dice(6);
	unsigned kill_at = dice(8) == 0 ? dice(n) : n;

	for (unsigned i = 0; i < n; i++) {
		act();
		if (i == kill_at)
			kill_helper();
		for (unsigned sent = 0, turns = 0; sent < 20 && turns < 20; turns++) {
			sent += load_send(&load, 20 - sent, sync_every);
			load_take(&load, (int)dice(20));
			reader_turn(&reader, 0);
		}
	}
}

static void
end_faults(void)
{
	mend();
	meet_all_errors();
	for (int16_t api = 0; api <= MOCK_FIND_COORDINATOR; api++)
		rd_kafka_mock_clear_request_errors(mock.cluster, api);
}

static void
add_up(void)
{
	total.sequences++;
	total.sent += load.sent;
	total.kept += load.kept;
	total.refused += load.refused;
	total.unknown += load.unknown;
	total.dead += load.dead;
	total.dup += load.dup;
}

static void
run_sequence(unsigned number)
{
	seq = (struct sequence){ .number = number, .clean = dice(5) < 2, .mild = dice(2) };
	load_open(&load, &helper, number, dice(16));
	begin();
	be_far();
	fail_produce();			/* one error at least */
	run_faults();
	end_faults();
	load_take_all(&load);
	load_check(&load, &mock, (seq.clean ? LOAD_CLEAN : 0) | (seq.mild ? LOAD_MILD : 0));
	reader_check(&reader);
	assert_true(load.kept > 0);
	add_up();
	load_close(&load);
}

/* At rest all that was accepted is somewhere, and all dead letters are ours: those
 * that were told, and perhaps some whose fate was never told. */
static bool
adds_up(const struct msg_status *s)
{
	return s->pending == 0 && s->accepted == s->delivered + s->dead &&
	    s->dead >= total.dead && s->dead <= total.dead + total.unknown;
}

static void
check_counts(void)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_status s;
	struct peer p;

	peer_open(&p, &helper);
	do {
		assert_err(peer_status(&p, &s), KP_OK);
		if (clock_mono_ms() > until)
			fail_msg("accepted %lld, delivered %lld, pending %lld, dead %lld of %u "
			    "and %u unknown",
			    (long long)s.accepted, (long long)s.delivered,
			    (long long)s.pending, (long long)s.dead, total.dead,
			    total.unknown);
	} while (!adds_up(&s) && poll(NULL, 0, 50) == 0);
	peer_close(&p);
}

static void
test_random_broker_errors(void **state)
{
	unsigned seed = unit_seed(), n = unit_rounds(40, 500);

	(void)state;
	srand(seed);
	print_message("broker errors: seed=%u\n", seed);
	for (unsigned i = 0; i < n; i++) {
		int64_t start = clock_mono_ms();

		if (i % PER_ROUND == 0)
			new_round(i / PER_ROUND);
		run_sequence(i);
		if (getenv("KP_VERBOSE"))
			print_message("sequence %u%s%s: %lld ms, sent=%u kept=%u dead=%u"
			    " dup=%u\n", i, seq.clean ? " clean" : "", seq.mild ? " mild" : "",
			    (long long)(clock_mono_ms() - start),
			    load.sent, load.kept, load.dead, load.dup);
	}
	print_message("broker errors: sequences=%u injected=%u others=%u slow=%u away=%u moved=%u"
	    " kills=%u sent=%u acknowledged=%u refused=%u unknown=%u lost=0 dead=%u dup=%u"
	    " consumed=%u again=%u seed=%u\n", total.sequences, total.produce_errors,
	    total.other_errors, total.slow, total.away, total.moved, total.kills, total.sent,
	    total.kept, total.refused, total.unknown, total.dead, total.dup,
	    reader.consumed, reader.again, seed);
	assert_true(total.produce_errors >= n);
	check_counts();
}

static int
group_setup(void **state)
{
	(void)state;
	mock_open_brokers(&mock, BROKERS);
	helper_init(&helper);
	helper_start(&helper, mock.brokers, options);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	reader_close(&reader);
	helper_stop(&helper, STOP_MS);
	mock_close(&mock);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_broker_errors),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
