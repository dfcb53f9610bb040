/* Frame headers and primitive fields: every cut, every lie, every limit. */
#include "common/wire.h"
#include "tests/unit/unit.h"

#define BODY_MAX 1000u

/* A whole frame of type 7, id 0x01020304, deadline 3000 ms, with n body bytes. */
static void
make_frame(struct kp_buf *b, size_t n)
{
	size_t begin;

	kp_buf_init(b, WIRE_HEADER + WIRE_BODY_MAX + 1);
	begin = wire_begin(b, 7, 0x01020304, 3000);
	for (size_t i = 0; i < n; i++)
		wire_put_u8(b, (uint8_t)i);
	assert_err(wire_end(b, begin), KP_OK);
	assert_int_equal(b->len, WIRE_HEADER + n);
}

static enum kp_err
decode(const struct kp_buf *b, size_t n, struct wire_frame *f, size_t *used, size_t *want)
{
	uint8_t *copy = exact_copy(b->p, n);
	enum kp_err err;

	err = wire_decode((struct kp_slice){ copy, n }, BODY_MAX, f, used, want);
	free(copy);
	return err;
}

static void
test_header_layout(void **state)
{
	static const uint8_t layout[] = { 0, 0, 0, 2, WIRE_VERSION, 7, 0, 0, 1, 2, 3, 4,
		0, 0, 0x0b, 0xb8, 0, 1 };
	struct wire_frame f;
	struct kp_buf b;
	size_t used, want;

	(void)state;
	make_frame(&b, 2);
	assert_int_equal(b.len, sizeof(layout));
	assert_memory_equal(b.p, layout, sizeof(layout));
	assert_err(wire_decode(kp_buf_slice(&b), BODY_MAX, &f, &used, &want), KP_OK);
	assert_int_equal(used, sizeof(layout));
	assert_int_equal(f.type, 7);
	assert_int_equal(f.id, 0x01020304);
	assert_int_equal(f.deadline_ms, 3000);
	assert_true(kp_slice_eq(f.body, LIT("\0\1")));
	kp_buf_free(&b);
}

static void
test_every_truncation_asks_for_more(void **state)
{
	struct wire_frame f;
	struct kp_buf b;
	size_t used, want;

	(void)state;
	make_frame(&b, 20);
	for (size_t n = 0; n < b.len; n++) {
		assert_err(decode(&b, n, &f, &used, &want), KP_OK);
		assert_int_equal(used, 0);
		assert_int_equal(want, n < WIRE_HEADER ? WIRE_HEADER : b.len);
	}
	kp_buf_free(&b);
}

static void
test_frames_follow_each_other(void **state)
{
	struct wire_frame f;
	struct kp_buf b;
	size_t begin, used, want;

	(void)state;
	make_frame(&b, 3);
	begin = wire_begin(&b, 9, 5, 0);
	assert_int_equal(begin, WIRE_HEADER + 3);
	assert_err(wire_end(&b, begin), KP_OK);
	assert_err(decode(&b, b.len, &f, &used, &want), KP_OK);
	assert_int_equal(used, WIRE_HEADER + 3);
	kp_buf_consume(&b, used);
	assert_err(decode(&b, b.len, &f, &used, &want), KP_OK);
	assert_int_equal(used, WIRE_HEADER);
	assert_int_equal(f.type, 9);
	assert_int_equal(f.id, 5);
	kp_buf_free(&b);
}

/* A refused header is refused at once: a body is not waited for. */
static void
test_bad_headers(void **state)
{
	static const struct {
		size_t at, n;
		uint8_t bytes[4];
		enum kp_err want;
	} cases[] = {
		{ 4, 1, { 0 }, KP_EVERSION },
		{ 4, 1, { WIRE_VERSION + 1 }, KP_EVERSION },
		{ 4, 1, { 0xff }, KP_EVERSION },
		{ 6, 1, { 1 }, KP_EBADMSG },
		{ 7, 1, { 1 }, KP_EBADMSG },
		{ 6, 2, { 0xff, 0xff }, KP_EBADMSG },
		{ 0, 4, { 0, 0, BODY_MAX >> 8, BODY_MAX & 0xff }, KP_OK },
		{ 0, 4, { 0, 0, (BODY_MAX + 1) >> 8, (BODY_MAX + 1) & 0xff }, KP_ETOOBIG },
		{ 0, 4, { 0x80, 0, 0, 0 }, KP_ETOOBIG },
		{ 0, 4, { 0xff, 0xff, 0xff, 0xff }, KP_ETOOBIG },
		{ 12, 4, { 0x00, 0x09, 0x27, 0xc0 }, KP_OK },
		{ 12, 4, { 0x00, 0x09, 0x27, 0xc1 }, KP_EBADMSG },
		{ 12, 4, { 0xff, 0xff, 0xff, 0xff }, KP_EBADMSG },
	};

	(void)state;
	assert_int_equal(WIRE_DEADLINE_MAX_MS, 0x000927c0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_frame f = { .id = 0 };
		struct kp_buf b;
		size_t used, want;

		make_frame(&b, 0);
		memcpy(b.p + cases[i].at, cases[i].bytes, cases[i].n);
		assert_err(decode(&b, b.len, &f, &used, &want), cases[i].want);
		assert_int_equal(f.id, 0x01020304);
		if (cases[i].want)
			assert_int_equal(used, 0);
		kp_buf_free(&b);
	}
}

static void
test_body_limit_of_the_writer(void **state)
{
	struct kp_buf b;
	size_t begin;

	(void)state;
	kp_buf_init(&b, WIRE_HEADER + WIRE_BODY_MAX + 1);
	begin = wire_begin(&b, 1, 1, 1);
	assert_true(kp_buf_reserve(&b, WIRE_BODY_MAX + 1));
	b.len += WIRE_BODY_MAX;
	assert_err(wire_end(&b, begin), KP_OK);
	b.len++;
	assert_err(wire_end(&b, begin), KP_ETOOBIG);
	kp_buf_free(&b);
	/* too small for the header itself */
	kp_buf_init(&b, WIRE_HEADER - 1);
	begin = wire_begin(&b, 1, 1, 1);
	assert_err(wire_end(&b, begin), KP_ETOOBIG);
	kp_buf_free(&b);
}

static void
put_fields(struct kp_buf *b)
{
	kp_buf_init(b, 1000);
	wire_put_u8(b, UINT8_MAX);
	wire_put_u16(b, 0x0102);
	wire_put_u32(b, 0x01020304);
	wire_put_u64(b, UINT64_MAX - 1);
	wire_put_i32(b, INT32_MIN);
	wire_put_i64(b, INT64_MIN);
	wire_put_i32(b, -1);
	wire_put_i64(b, INT64_MAX);
	wire_put_bytes(b, LIT("a\0b"));
	wire_put_bytes(b, (struct kp_slice){ NULL, 0 });
	assert_false(b->failed);
}

static void
test_fields_come_back(void **state)
{
	struct wire_reader r;
	struct kp_slice s;
	struct kp_buf b;

	(void)state;
	put_fields(&b);
	assert_memory_equal(b.p, "\xff\x01\x02\x01\x02\x03\x04\xff", 8);
	r = wire_reader(kp_buf_slice(&b));
	assert_int_equal(wire_get_u8(&r), UINT8_MAX);
	assert_int_equal(wire_get_u16(&r), 0x0102);
	assert_int_equal(wire_get_u32(&r), 0x01020304);
	assert_true(wire_get_u64(&r) == UINT64_MAX - 1);
	assert_true(wire_get_i32(&r) == INT32_MIN);
	assert_true(wire_get_i64(&r) == INT64_MIN);
	assert_true(wire_get_i32(&r) == -1);
	assert_true(wire_get_i64(&r) == INT64_MAX);
	assert_true(kp_slice_eq(wire_get_bytes(&r, 3), LIT("a\0b")));
	s = wire_get_bytes(&r, 0);
	assert_non_null(s.p);
	assert_int_equal(s.n, 0);
	assert_true(wire_done(&r));
	kp_buf_free(&b);
}

static bool
read_fields(struct kp_slice in)
{
	struct wire_reader r = wire_reader(in);

	wire_get_u8(&r);
	wire_get_u16(&r);
	wire_get_u32(&r);
	wire_get_u64(&r);
	wire_get_i32(&r);
	wire_get_i64(&r);
	wire_get_i32(&r);
	wire_get_i64(&r);
	wire_get_bytes(&r, 3);
	wire_get_bytes(&r, 0);
	return wire_done(&r);
}

static void
test_fields_every_truncation_and_leftover(void **state)
{
	struct kp_buf b;

	(void)state;
	put_fields(&b);
	for (size_t n = 0; n <= b.len; n++) {
		uint8_t *copy = exact_copy(b.p, n);

		assert_int_equal(read_fields((struct kp_slice){ copy, n }), n == b.len);
		free(copy);
	}
	wire_put_u8(&b, 0);
	assert_false(read_fields(kp_buf_slice(&b)));
	kp_buf_free(&b);
}

/* After a failed get every later one gives zeros, whatever bytes are left. */
static void
test_a_bad_reader_stays_bad(void **state)
{
	struct wire_reader r = wire_reader(LIT("\0\0\0\4abcd\1\2\3\4"));
	struct kp_slice s = wire_get_bytes(&r, 3);

	(void)state;
	assert_int_equal(s.n, 0);
	assert_non_null(s.p);
	assert_true(r.bad);
	assert_int_equal(wire_get_u32(&r), 0);
	assert_false(wire_done(&r));
	r = wire_reader(LIT("\xff\xff\xff\xff" "abcd"));
	assert_int_equal(wire_get_bytes(&r, SIZE_MAX).n, 0);
	assert_true(r.bad);
	r = wire_reader((struct kp_slice){ NULL, 0 });
	assert_true(wire_done(&r));
	assert_int_equal(wire_get_u8(&r), 0);
	assert_false(wire_done(&r));
}

static void
test_unknown_flags_mark_the_reader(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++) {
		const uint8_t byte = (uint8_t)v;
		struct wire_reader r = wire_reader((struct kp_slice){ &byte, 1 });

		assert_int_equal(wire_get_flags(&r, 0x05), v);
		assert_int_equal(wire_done(&r), (v & ~0x05u) == 0);
	}
}

static void
test_bytes_too_long_to_put(void **state)
{
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, SIZE_MAX);
	/* never read: the length alone is refused */
	wire_put_bytes(&b, (struct kp_slice){ (const uint8_t *)"", WIRE_BODY_MAX + 1 });
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	kp_buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_layout),
		cmocka_unit_test(test_every_truncation_asks_for_more),
		cmocka_unit_test(test_frames_follow_each_other),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_body_limit_of_the_writer),
		cmocka_unit_test(test_fields_come_back),
		cmocka_unit_test(test_fields_every_truncation_and_leftover),
		cmocka_unit_test(test_a_bad_reader_stays_bad),
		cmocka_unit_test(test_unknown_flags_mark_the_reader),
		cmocka_unit_test(test_bytes_too_long_to_put),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
