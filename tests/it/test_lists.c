/* Lists of what is pending and of dead letters, page by page. */
#include <stdio.h>

#include "tests/it/kept.h"
#include "tests/unit/unit.h"

#define LARGE 900000

/* All of it in pages of `limit`; each row's value is "<prefix><its place>". */
static unsigned
list_all(bool dead, const char *topic, uint32_t limit, bool bodies, const int64_t *ids,
    const char *prefix)
{
	struct msg_list m = { .dead = dead, .with_bodies = bodies,
	    .topic = topic ? kp_slice_str(topic) : LIT(""), .limit = limit };
	unsigned n = 0;

	do {
		struct msg_rows r;

		assert_err(peer_list(&peer, &m, &r), KP_OK);
		assert_true(r.n <= limit);
		assert_true(r.n > 0 || r.next == 0);
		for (size_t i = 0; i < r.n; i++, n++) {
			char want[64];

			snprintf(want, sizeof(want), "%s%u", prefix, n);
			assert_int_equal(r.v[i].id, ids[n]);
			if (topic)
				assert_true(kp_slice_eq(r.v[i].topic, m.topic));
			assert_int_equal(r.v[i].value_bytes, strlen(want));
			assert_true(r.v[i].has_key);
			assert_int_equal(r.v[i].value.n, bodies ? strlen(want) : 0);
			if (bodies)
				assert_true(kp_slice_eq(r.v[i].value, kp_slice_str(want)));
			assert_int_equal(r.v[i].reason.n > 0, dead);
			assert_int_equal(r.v[i].buried_ms > 0, dead);
			assert_int_equal(r.v[i].attempts, dead);
		}
		m.after = r.next;
		msg_rows_free(&r);
	} while (m.after);
	return n;
}

static void
test_lists_in_pages(void **state)
{
	static const uint32_t limits[] = { 1, 7, 8, 15, 16, ROWS_MAX };
	int64_t ids[15], other[3], waits[5];

	(void)state;
	kept_topic("pages", 1);
	kept_topic("pages2", 1);
	kept_bury("pages", "bad", 15, ids);
	kept_bury("pages2", "worse", 3, other);
	mock_down(&mock);
	for (unsigned i = 0; i < 5; i++) {
		char value[16];

		snprintf(value, sizeof(value), "wait%u", i);
		waits[i] = kept_accept("pages", "k", value);
	}
	for (size_t i = 0; i < COUNT(limits); i++)
		for (int bodies = 0; bodies < 2; bodies++) {
			assert_int_equal(list_all(true, "pages", limits[i], bodies, ids, "bad"),
			    15);
			assert_int_equal(list_all(true, "pages2", limits[i], bodies, other,
			    "worse"), 3);
			assert_int_equal(list_all(false, "pages", limits[i], bodies, waits,
			    "wait"), 5);
			assert_int_equal(list_all(false, NULL, limits[i], bodies, waits, "wait"),
			    5);
			assert_int_equal(list_all(false, "pages2", limits[i], bodies, NULL, ""), 0);
			assert_int_equal(list_all(true, "nosuch", limits[i], bodies, NULL, ""), 0);
		}
}

static void
test_rows_keep_their_keys(void **state)
{
	static const struct kp_slice keys[] = { { NULL, 0 }, LIT(""), LIT("\0k\xff") };
	struct msg_list m = { .with_bodies = true, .limit = ROWS_MAX };
	struct msg_rows r;
	struct wire_frame f;

	(void)state;
	kept_topic("keys", 1);
	mock_down(&mock);
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_err(peer_reply(&peer, peer_ask_produce(&peer, &(struct msg_produce){
		    LIT("keys"), keys[i], LIT("\0\n"), false }, 5000), MSG_PRODUCED, &f), KP_OK);
	assert_err(peer_list(&peer, &m, &r), KP_OK);
	assert_int_equal(r.n, COUNT(keys));
	for (size_t i = 0; i < r.n; i++) {
		assert_int_equal(r.v[i].has_key, keys[i].p != NULL);
		assert_true(kp_slice_eq(r.v[i].key, keys[i]));
		assert_true(kp_slice_eq(r.v[i].value, LIT("\0\n")));
	}
	msg_rows_free(&r);
}

/* More bytes than one reply may have, and more than one look at the store. */
static void
test_large_dead_letters(void **state)
{
	static uint8_t bytes[LARGE];
	struct msg_list m = { .dead = true, .with_bodies = true, .limit = ROWS_MAX };
	struct msg_act all = { .all = true };
	struct msg_receipt got;
	struct msg_acted acted;
	struct wire_frame f;
	int64_t ids[12], done = 0;
	size_t n = 0;

	(void)state;
	kept_topic("large", 1);
	mock_down(&mock);
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct msg_produced p;

		assert_err(peer_reply(&peer, peer_ask_produce(&peer, &(struct msg_produce){
		    LIT("large"), LIT("k"), { bytes, LARGE }, false }, 5000), MSG_PRODUCED, &f),
		    KP_OK);
		assert_err(msg_produced_decode(f.body, &p), KP_OK);
		ids[i] = p.id;
	}
	kept_refuse(400);
	for (size_t i = 0; i < COUNT(ids); i++)
		kept_find(ids[i], RECEIPT_DEAD, &got);
	do {
		struct msg_rows r;

		assert_err(peer_list(&peer, &m, &r), KP_OK);
		assert_true(r.n * LARGE <= ROWS_BYTES_MAX + LARGE);
		n += r.n;
		m.after = r.next;
		msg_rows_free(&r);
	} while (m.after);
	assert_int_equal(n, COUNT(ids));
	/* refused again, so that there is something for the next */
	assert_int_equal(kept_act(MSG_RETRY_DEAD, ids, COUNT(ids), NULL), COUNT(ids));
	kept_expect(COUNT(ids), 0, COUNT(ids), 0);
	kept_refuse_no_more();
	do {
		assert_err(peer_act(&peer, MSG_RETRY_DEAD, &all, &acted), KP_OK);
		done += acted.done;
		all.after = acted.next;
		msg_acted_free(&acted);
	} while (all.after);
	assert_int_equal(done, COUNT(ids));
	kept_expect(COUNT(ids), 0, 0, 0);
}

#define TEST(name) STAND_TEST(name, NULL)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lists_in_pages),
		TEST(test_rows_keep_their_keys),
		TEST(test_large_dead_letters),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
