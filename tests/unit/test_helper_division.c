/* Which partition a message waits for, as their number becomes known, and another one. */
#include "helper/produce/division.h"
#include "tests/unit/unit.h"

#define LIMIT 10
#define MESSAGES 1000
#define GENERATION 3

static struct division d;
static struct entry v[MESSAGES];
static const struct producer *given;

/* A key is one byte, and its partition that number. */
static int32_t
key_of(const struct producer *p, struct kp_slice key, int32_t partitions)
{
	given = p;
	return key.p ? *(const uint8_t *)key.p % partitions : -1;
}

static int
setup(void **state)
{
	(void)state;
	for (int i = 0; i < MESSAGES; i++)
		v[i] = (struct entry){ .row.id = i + 1, .sent = SEND_WAITING };
	return division_init(&d, LIMIT, key_of, (const struct producer *)v) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	division_end(&d);
	return 0;
}

static void
give_key(struct entry *e, unsigned i)
{
	static const uint8_t keys[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

	e->row.key = (struct kp_slice){ &keys[i % COUNT(keys)], 1 };
}

static void
put(int from, int to)
{
	for (int i = from; i < to; i++)
		partition_queue_put(division_find(&d, &v[i]), &v[i]);
}

/* librdkafka asks for the place of one, and shows how many partitions there are. */
static int32_t
renew(int32_t partitions)
{
	static const struct entry unknown;

	assert_int_equal(division_place(&d, &unknown, partitions, 5), 5);
	return division_renew(&d);
}

/* All of a queue that may go in one wave goes. */
static void
send_wave(struct partition_queue *q)
{
	struct entry *e;

	partition_queue_hold(q, 1, true);
	partition_queue_begin(q, 1, GENERATION, 0);
	while ((e = partition_queue_next(q)) != NULL) {
		e->sent = SEND_SENT;
		partition_queue_sent(q);
	}
	partition_queue_let_go(q);
}

/* So many wait there, in the order of their ids. */
static size_t
waiting_in_order(const struct partition_queue *q)
{
	const struct entry *e = partition_queue_waiting(q);
	int64_t before = 0;
	size_t n = 0;

	for (; e; e = TAILQ_NEXT(e, link), n++) {
		assert_ptr_equal(e->queue, q);
		assert_true(e->row.id > before);
		before = e->row.id;
	}
	return n;
}

static void
test_one_queue_at_first(void **state)
{
	(void)state;
	give_key(&v[0], 3);
	put(0, MESSAGES);
	assert_int_equal(d.n_queues, 1);
	assert_int_equal(division_renew(&d), 0);
	assert_int_equal(d.n_queues, 1);
	assert_int_equal(waiting_in_order(d.queues[0]), MESSAGES);
}

static void
test_keys_have_their_places(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MESSAGES; i++)
		give_key(&v[i], i);
	put(0, MESSAGES / 2);
	assert_int_equal(renew(4), 0);
	assert_ptr_equal(given, v);
	put(MESSAGES / 2, MESSAGES);
	assert_int_equal(d.n_queues, 4);
	for (int i = 0; i < MESSAGES; i++) {
		assert_ptr_equal(v[i].queue, d.queues[i % 4]);
		assert_int_equal(division_place(&d, &v[i], 4, 99), i % 4);
		assert_int_equal(division_place(&d, &v[i], 3, 99), 99);
	}
	assert_int_equal(renew(8), 0);
	for (int i = 0; i < MESSAGES; i++)
		assert_ptr_equal(v[i].queue, d.queues[i % 8]);
}

/* Of two chosen at random the one that has less; so 3 of 4 go there, if there are but two. */
static void
test_no_key_goes_where_less_waits(void **state)
{
	size_t n = MESSAGES / 2;

	(void)state;
	renew(2);
	for (size_t i = 0; i < n; i++)
		give_key(&v[i], 1);
	put(0, (int)n);
	put((int)n, MESSAGES);
	assert_int_equal(partition_queue_load(d.queues[0]) + partition_queue_load(d.queues[1]),
	    MESSAGES);
	assert_in_range(partition_queue_load(d.queues[0]), n * 65 / 100, n * 85 / 100);
	for (int i = (int)n; i < MESSAGES; i++)
		assert_ptr_equal(v[i].queue, d.queues[v[i].partition]);
}

/* Two partitions that share a queue only wait for each other. */
static void
test_more_partitions_than_queues(void **state)
{
	(void)state;
	renew(100 * 1000);
	put(0, MESSAGES);
	assert_in_range(d.n_queues, 2, MESSAGES);
	for (int i = 0; i < MESSAGES; i++) {
		assert_in_range(v[i].partition, 0, 100 * 1000 - 1);
		assert_ptr_equal(v[i].queue, d.queues[v[i].partition % d.n_queues]);
		assert_int_equal(division_place(&d, &v[i], 100 * 1000, -7), v[i].partition);
	}
}

/* To more queues and to fewer, and back to one. */
static void
test_order_is_kept(void **state)
{
	static const int32_t partitions[] = { 4, 7, 3, 1 };

	(void)state;
	for (unsigned i = 0; i < MESSAGES; i += 1 + i % 3)
		give_key(&v[i], i);
	put(0, MESSAGES);
	for (size_t k = 0; k < COUNT(partitions); k++) {
		size_t n = 0;

		assert_int_equal(renew(partitions[k]), 0);
		assert_int_equal(d.n_queues, partitions[k]);
		for (int32_t i = 0; i < d.n_queues; i++)
			n += waiting_in_order(d.queues[i]);
		assert_int_equal(n, MESSAGES);
	}
}

/* Ten are out, of one queue; one of them failed before the others were reported. */
static void
test_what_is_out_stays_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * LIMIT; i++)
		give_key(&v[i], i);
	v[1].row.key = v[2].row.key = (struct kp_slice){ 0 };
	put(0, 2 * LIMIT);
	send_wave(d.queues[0]);
	v[3].partition = 17;
	partition_queue_reported(d.queues[0]);
	v[4].sent = SEND_WAITING;
	/* Out are 0, with the two that have no key, and 1, 3, 5, 6, 7. */
	assert_int_equal(renew(8), 6 - 1);
	assert_int_equal(v[3].partition, 17);
	assert_int_equal(v[4].partition, 4);
	for (int i = 0; i < LIMIT; i++) {
		assert_ptr_equal(v[i].queue, d.queues[i == 1 || i == 2 ? 0 : i % 8]);
		assert_int_equal(partition_queue_since(v[i].queue, GENERATION), i != 4);
	}
	assert_int_equal(partition_queue_wave_id(d.queues[0]), 9);
	assert_false(partition_queue_is_out(d.queues[4]));
	assert_ptr_equal(partition_queue_waiting(d.queues[4]), &v[4]);
	assert_int_equal(waiting_in_order(d.queues[4]), 2);
	/* It is one wave again, without that one. */
	assert_int_equal(renew(1), 1 - 6);
	assert_int_equal(partition_queue_wave(d.queues[0]), LIMIT - 1);
	assert_int_equal(partition_queue_wave_id(d.queues[0]), LIMIT);
	assert_int_equal(waiting_in_order(d.queues[0]), LIMIT + 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_queue_at_first),
		TEST(test_keys_have_their_places),
		TEST(test_no_key_goes_where_less_waits),
		TEST(test_more_partitions_than_queues),
		TEST(test_order_is_kept),
		TEST(test_what_is_out_stays_out),
	};

	unit_filter();
	return cmocka_run_group_tests_name("division", tests, NULL, NULL);
}
