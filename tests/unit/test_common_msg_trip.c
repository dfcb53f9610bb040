/* Every message comes out as it went in, with its edge values. */
#include "tests/unit/msg_samples.h"

#define ABSENT ((struct kp_slice){ NULL, 0 })

static void
check_produce(const struct msg_produce *m)
{
	struct msg_produce got;
	struct kp_buf b;

	kp_buf_init(&b, 2 * WIRE_BODY_SLACK);
	assert_err(msg_produce_encode(&b, m), KP_OK);
	assert_err(msg_produce_decode(kp_buf_slice(&b), &got), KP_OK);
	assert_true(kp_slice_eq(got.topic, m->topic));
	assert_int_equal(got.key.p == NULL, m->key.p == NULL);
	assert_true(kp_slice_eq(got.key, m->key));
	assert_non_null(got.value.p);	/* an empty value is not a null one */
	assert_true(kp_slice_eq(got.value, m->value));
	assert_int_equal(got.sync, m->sync);
	kp_buf_free(&b);
}

static void
test_produce_round_trip(void **state)
{
	(void)state;
	check_produce(&(struct msg_produce){ LIT("t"), ABSENT, LIT(""), false });
	check_produce(&(struct msg_produce){ LIT("t"), LIT(""), LIT(""), true });
	check_produce(&(struct msg_produce){ LIT("t"), LIT("\0k\xff"), LIT("\0v\xff"), true });
	check_produce(&(struct msg_produce){ LIT("t"), LIT("k"), ABSENT, false });
}

static void
check_message(const struct msg_message *m)
{
	struct msg_message got;
	struct kp_buf b;

	kp_buf_init(&b, 1000);
	assert_err(msg_message_encode(&b, m), KP_OK);
	assert_err(msg_message_decode(kp_buf_slice(&b), &got), KP_OK);
	assert_true(got.offer == m->offer);
	assert_int_equal(got.partition, m->partition);
	assert_true(got.offset == m->offset);
	assert_int_equal(got.key.p == NULL, m->key.p == NULL);
	assert_true(kp_slice_eq(got.key, m->key));
	assert_int_equal(got.value.p == NULL, m->value.p == NULL);
	assert_true(kp_slice_eq(got.value, m->value));
	kp_buf_free(&b);
}

static void
test_message_round_trip(void **state)
{
	(void)state;
	check_message(&(struct msg_message){ 0, 0, 0, ABSENT, ABSENT });
	check_message(&(struct msg_message){ UINT64_MAX, INT32_MAX, INT64_MAX, LIT(""), LIT("") });
	check_message(&(struct msg_message){ 1, INT32_MIN, INT64_MIN, ABSENT, LIT("\0\0") });
	check_message(&(struct msg_message){ 1, -1, -1, LIT("k"), ABSENT });
}

static void
test_produced_and_confirm_round_trip(void **state)
{
	const struct msg_produced in[] = {
		{ 0, 0, 0 }, { -1, -1, INT64_MAX }, { INT32_MAX, INT64_MAX, 0 },
		{ INT32_MIN, INT64_MIN, INT64_MIN },
	};
	struct msg_confirm c;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 100);
	for (size_t i = 0; i < COUNT(in); i++) {
		struct msg_produced m;

		kp_buf_reset(&b);
		assert_err(msg_produced_encode(&b, &in[i]), KP_OK);
		assert_err(msg_produced_decode(kp_buf_slice(&b), &m), KP_OK);
		assert_int_equal(m.partition, in[i].partition);
		assert_true(m.offset == in[i].offset && m.id == in[i].id);
	}
	for (int i = 0; i < 2; i++) {
		kp_buf_reset(&b);
		assert_err(msg_confirm_encode(&b, &(struct msg_confirm){ UINT64_MAX, i }), KP_OK);
		assert_err(msg_confirm_decode(kp_buf_slice(&b), &c), KP_OK);
		assert_true(c.offer == UINT64_MAX && c.delivered == (i == 1));
	}
	kp_buf_free(&b);
}

static void
test_every_error_round_trip(void **state)
{
	struct msg_error m;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 100);
	for (unsigned i = 0; i < 0x10000; i += i < KP_ERR_COUNT + 1u ? 1 : 255) {
		bool ok = i != KP_OK && i < KP_ERR_COUNT;

		kp_buf_reset(&b);
		wire_put_u16(&b, (uint16_t)i);
		wire_put_u32(&b, UINT32_MAX);
		wire_put_bytes(&b, LIT("text"));
		assert_err(msg_error_decode(kp_buf_slice(&b), &m), ok ? KP_OK : KP_EBADMSG);
		if (ok) {
			assert_int_equal(m.err, i);
			assert_true(m.retry_after_s == UINT32_MAX);
			assert_true(kp_slice_eq(m.text, LIT("text")));
		}
	}
	kp_buf_free(&b);
}

static void
test_offsets_round_trip(void **state)
{
	const struct msg_offsets in[] = {
		{ LIT("t"), LIT("g"), some_offsets, 2 }, { LIT(""), LIT(""), NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(in); i++) {
		struct msg_offsets m;
		struct kp_buf b;

		kp_buf_init(&b, 1000);
		assert_err(msg_offsets_encode(&b, &in[i]), KP_OK);
		assert_err(msg_offsets_decode(kp_buf_slice(&b), &m), KP_OK);
		assert_true(kp_slice_eq(m.topic, in[i].topic));
		assert_true(kp_slice_eq(m.group, in[i].group));
		assert_int_equal(m.n, in[i].n);
		for (size_t k = 0; k < m.n; k++) {
			assert_int_equal(m.v[k].partition, some_offsets[k].partition);
			assert_true(m.v[k].begin == some_offsets[k].begin);
			assert_true(m.v[k].end == some_offsets[k].end);
			assert_true(m.v[k].offset == some_offsets[k].offset);
			assert_true(kp_slice_eq(m.v[k].metadata, some_offsets[k].metadata));
			assert_int_equal(m.v[k].by_time, some_offsets[k].by_time);
		}
		msg_offsets_free(&m);
		kp_buf_free(&b);
	}
}

static void
test_consumers_round_trip(void **state)
{
	struct msg_consumers m;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 1000);
	assert_err(put_consumers(&b), KP_OK);
	assert_err(msg_consumers_decode(kp_buf_slice(&b), &m), KP_OK);
	assert_int_equal(m.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(kp_slice_eq(m.v[i].group, some_consumers[i].group));
		assert_true(kp_slice_eq(m.v[i].member, some_consumers[i].member));
		assert_int_equal(m.v[i].n, some_consumers[i].n);
	}
	assert_memory_equal(m.v[0].partitions, some_partitions, sizeof(some_partitions));
	msg_consumers_free(&m);
	kp_buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_produce_round_trip),
		cmocka_unit_test(test_message_round_trip),
		cmocka_unit_test(test_produced_and_confirm_round_trip),
		cmocka_unit_test(test_every_error_round_trip),
		cmocka_unit_test(test_offsets_round_trip),
		cmocka_unit_test(test_consumers_round_trip),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
