/* The status on the wire: whole, cut off, and with more groups than there may be. */
#include "common/msg_store.h"

#include "tests/unit/unit.h"

static const struct msg_status sample = {
	.version = LIT("0.1.0"), .durability = LIT("fsync"), .pending = 7,
	.kafka = { PART_UP, 1, 2, LIT("k") },
	.groups_troubled = 99, .n_groups = 2,
	.groups = {
		{ LIT("g"), LIT("t"), 5, LIT("partition 3 has no leader") },
		{ LIT("g2"), LIT("t2"), INT64_MAX, LIT("") },
	},
};

static void
test_status_round_trip(void **state)
{
	struct msg_status m;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	assert_err(msg_status_encode(&b, &sample), KP_OK);
	assert_err(msg_status_decode(kp_buf_slice(&b), &m), KP_OK);
	assert_int_equal(m.pending, 7);
	assert_int_equal(m.groups_troubled, 99);
	assert_int_equal(m.n_groups, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(kp_slice_eq(m.groups[i].group, sample.groups[i].group));
		assert_true(kp_slice_eq(m.groups[i].topic, sample.groups[i].topic));
		assert_true(m.groups[i].since_ms == sample.groups[i].since_ms);
		assert_true(kp_slice_eq(m.groups[i].error, sample.groups[i].error));
	}
	kp_buf_free(&b);
}

static void
test_status_rejects_every_truncation(void **state)
{
	struct msg_status m;
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, 4096);
	assert_err(msg_status_encode(&b, &sample), KP_OK);
	for (size_t n = 0; n < b.len; n++) {
		uint8_t *copy = exact_copy((const char *)b.p, n);

		assert_err(msg_status_decode((struct kp_slice){ copy, n }, &m), KP_EBADMSG);
		free(copy);
	}
	kp_buf_free(&b);
}

/* The number of groups is the last byte when there are none. */
static void
test_status_has_a_bounded_number_of_groups(void **state)
{
	struct msg_status m = sample;
	struct kp_buf b;

	(void)state;
	m.n_groups = 0;
	kp_buf_init(&b, 65536);
	assert_err(msg_status_encode(&b, &m), KP_OK);
	b.p[b.len - 1] = GROUP_TROUBLES_MAX + 1;
	for (size_t i = 0; i < (GROUP_TROUBLES_MAX + 1) * 32; i++)
		kp_buf_putc(&b, '\0');
	assert_err(msg_status_decode(kp_buf_slice(&b), &m), KP_EBADMSG);
	kp_buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_round_trip),
		cmocka_unit_test(test_status_rejects_every_truncation),
		cmocka_unit_test(test_status_has_a_bounded_number_of_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
