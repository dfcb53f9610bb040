/* What waits for one partition: waves, one after the other, in the order of acceptance. */
#include "helper/produce/partition_queue.h"
#include "tests/unit/unit.h"

#define MOST 8
#define MESSAGES 40
#define GENERATION 3
#define OVERTAKEN_AT 5

static struct partition_queue *q, *other;
static struct entry v[MESSAGES];

static int
setup(void **state)
{
	(void)state;
	for (int i = 0; i < MESSAGES; i++)
		v[i] = (struct entry){ .row.id = i + 1, .sent = SEND_WAITING };
	q = partition_queue_new(MOST);
	other = partition_queue_new(MOST);
	return q && other ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	partition_queue_free(q);
	partition_queue_free(other);
	return 0;
}

static void
put(int from, int to)
{
	for (int i = from; i < to; i++)
		partition_queue_put(q, &v[i]);
}

/* Sends a wave that begins then; how many messages are in it. */
static size_t
send_wave(int64_t now_ms)
{
	struct entry *e;

	assert_true(partition_queue_may_begin(q, now_ms));
	partition_queue_hold(q, now_ms, true);
	partition_queue_begin(q, now_ms, GENERATION, OVERTAKEN_AT);
	while ((e = partition_queue_next(q)) != NULL) {
		e->sent = SEND_SENT;
		partition_queue_sent(q);
	}
	partition_queue_let_go(q);
	return partition_queue_wave(q);
}

static void
report(struct entry *e, bool taken)
{
	partition_queue_reported(q);
	e->sent = taken ? SEND_DELIVERED : SEND_WAITING;
	if (taken)
		partition_queue_leave(e);
	if (!partition_queue_is_out(q))
		partition_queue_end(q, MOST);
}

static void
assert_waits(const struct partition_queue *in, const int *ids, size_t n)
{
	const struct entry *e = partition_queue_waiting(in);

	for (size_t i = 0; i < n; i++, e = TAILQ_NEXT(e, link)) {
		assert_non_null(e);
		assert_int_equal(e->row.id, ids[i]);
	}
	assert_null(e);
	assert_int_equal(n ? partition_queue_last(in)->row.id : 0, n ? ids[n - 1] : 0);
}

static void
test_what_failed_goes_first(void **state)
{
	(void)state;
	put(0, 3);
	assert_int_equal(send_wave(1), 3);
	put(3, 5);
	report(&v[1], true);
	assert_int_equal(partition_queue_load(q), 4);
	report(&v[2], false);
	assert_waits(q, (const int[]){ 4, 5 }, 2);
	report(&v[0], false);
	assert_waits(q, (const int[]){ 1, 3, 4, 5 }, 4);
	assert_int_equal(partition_queue_load(q), 4);
	partition_queue_take_out(&v[3]);
	assert_null(v[3].queue);
	assert_waits(q, (const int[]){ 1, 3, 5 }, 3);
}

/* Not while another one is out, or it pauses; and one message when it is not held. */
static void
test_one_wave_at_a_time(void **state)
{
	(void)state;
	assert_false(partition_queue_may_begin(q, 1));
	put(0, 1);
	assert_false(partition_queue_hold(q, 1, true));
	put(1, 3);
	assert_false(partition_queue_hold(q, 1, false));
	assert_true(partition_queue_hold(q, 1, true));
	partition_queue_let_go(q);
	partition_queue_begin(q, 1, GENERATION, OVERTAKEN_AT);
	assert_ptr_equal(partition_queue_next(q), &v[0]);
	partition_queue_sent(q);
	assert_null(partition_queue_next(q));
	assert_int_equal(partition_queue_wave_id(q), 1);
	assert_false(partition_queue_may_begin(q, 1));
	assert_false(partition_queue_hold(q, 1, true));
	partition_queue_pause(q, 100);
	report(&v[0], false);
	assert_int_equal(partition_queue_wave_id(q), 0);
	assert_false(partition_queue_may_begin(q, 99));
	assert_int_equal(send_wave(100), 3);
}

/* Half as large down to one message, which it is then about; and twice while all is well. */
static void
test_refused_waves_become_smaller(void **state)
{
	static const size_t sizes[] = { 8, 4, 2, 1 };
	size_t n;

	(void)state;
	put(0, MESSAGES);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		n = send_wave(1);
		assert_int_equal(n, sizes[i]);
		if (i == COUNT(sizes) - 1)
			break;
		assert_true(partition_queue_refused(q));
		assert_false(partition_queue_refused(q));
		for (size_t k = 0; k < n; k++)
			report(&v[k], false);
	}
	report(&v[0], true);
	for (size_t next = 1, i = COUNT(sizes) - 1; next < MESSAGES; next += n) {
		n = send_wave(1);
		i -= i > 0;
		assert_int_equal(n, sizes[i] < MESSAGES - next ? sizes[i] : MESSAGES - next);
		for (size_t k = 0; k < n; k++)
			report(&v[next + k], true);
	}
	assert_int_equal(partition_queue_load(q), 0);
}

/* What is on its way stays so, and as old; what is not waits. */
static void
test_another_division(void **state)
{
	struct entry *e;

	(void)state;
	put(0, 2);
	send_wave(10);
	put(2, 4);
	partition_queue_reported(q);
	v[0].sent = SEND_WAITING;	/* it failed, and waits for the other one */
	while ((e = partition_queue_first(q)) != NULL)
		partition_queue_move(e, other);
	partition_queue_moved(other);
	assert_int_equal(partition_queue_load(other), 4);
	assert_true(partition_queue_is_out(other));
	assert_int_equal(partition_queue_wave(other), 2);
	assert_waits(other, (const int[]){ 3, 4 }, 2);
	assert_int_equal(partition_queue_since(other, GENERATION), 10);
	partition_queue_reported(other);
	partition_queue_end(other, MOST);
	assert_waits(other, (const int[]){ 1, 2, 3, 4 }, 4);
}

/* One that has failed already, and none of whose others has gone along. */
static void
test_a_division_of_what_failed(void **state)
{
	(void)state;
	put(0, 2);
	send_wave(10);
	partition_queue_reported(q);
	v[0].sent = SEND_WAITING;
	partition_queue_move(&v[0], other);
	partition_queue_moved(other);
	assert_false(partition_queue_is_out(other));
	assert_int_equal(partition_queue_wave(other), 0);
	assert_waits(other, (const int[]){ 1 }, 1);
}

static void
test_its_age(void **state)
{
	(void)state;
	put(0, 1);
	assert_int_equal(partition_queue_since(q, GENERATION), 0);
	assert_false(partition_queue_is_late(q, 1000, 1));
	send_wave(10);
	assert_int_equal(partition_queue_since(q, GENERATION), 10);
	assert_int_equal(partition_queue_since(q, GENERATION + 1), 0);
	assert_int_equal(partition_queue_generation(q), GENERATION);
	assert_false(partition_queue_is_late(q, 60, 50));
	assert_true(partition_queue_is_late(q, 61, 50));
	assert_false(partition_queue_is_overtaken(q, 4));
	assert_true(partition_queue_is_overtaken(q, 5));
	assert_int_equal(partition_queue_led(q, true, 100), 0);
	assert_int_equal(partition_queue_led(q, true, 130), 30);
	assert_int_equal(partition_queue_led(q, false, 140), 0);
	assert_int_equal(partition_queue_led(q, true, 150), 0);
	report(&v[0], true);
	assert_int_equal(partition_queue_since(q, GENERATION), 0);
	assert_false(partition_queue_is_late(q, 1000, 1));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_what_failed_goes_first),
		T(test_one_wave_at_a_time),
		T(test_refused_waves_become_smaller),
		T(test_another_division),
		T(test_a_division_of_what_failed),
		T(test_its_age),
	};

	unit_filter();
	return cmocka_run_group_tests_name("partition_queue", tests, NULL, NULL);
}
