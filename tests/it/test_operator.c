/* What the helper tells of itself and of what it holds, and what an operator may do
 * with dead letters. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <time.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define LARGE 900000
#define NOBODY 65534

/* With one message, so that the helper knows it: an unknown one is asked for at length
 * while Kafka is away. */
static void
make_topic(const char *topic, int partitions)
{
	struct msg_produced r;

	mock_topic(&mock, topic, partitions);
	assert_err(peer_produce(&peer, topic, "k", "known", true, &r), KP_OK);
}

/* Waits for these counts; what is on its way comes to rest. */
static void
expect_counts(int64_t accepted, int64_t pending, int64_t dead, int64_t dropped)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_status s;

	for (;;) {
		assert_err(peer_status(&peer, &s), KP_OK);
		if (s.accepted == accepted && s.pending == pending && s.dead == dead &&
		    s.dropped == dropped &&
		    s.delivered == accepted - pending - dead - dropped)
			return;
		if (clock_mono_ms() > until)
			fail_msg("accepted %lld delivered %lld pending %lld dead %lld dropped %lld,"
			    " expected %lld accepted, %lld %lld %lld", (long long)s.accepted,
			    (long long)s.delivered, (long long)s.pending, (long long)s.dead,
			    (long long)s.dropped, (long long)accepted, (long long)pending,
			    (long long)dead, (long long)dropped);
		poll(NULL, 0, 20);
	}
}

/* A row that is still there is known after a kill, too. */
static void
wait_empty(void)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_status s;

	do {
		assert_err(peer_status(&peer, &s), KP_OK);
		assert_true(clock_mono_ms() < until);
	} while (s.pending && poll(NULL, 0, 20) == 0);
}

static int64_t
accept_async(const char *topic, const char *key, const char *value)
{
	struct msg_produced r;

	assert_err(peer_produce(&peer, topic, key, value, false, &r), KP_OK);
	assert_true(r.id > 0);
	return r.id;
}

static void
find(int64_t id, uint8_t state, struct msg_receipt *r)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;

	do {
		assert_err(peer_find(&peer, id, r), KP_OK);
		assert_int_equal(r->id, id);
	} while (r->state != state && clock_mono_ms() < until && poll(NULL, 0, 20) == 0);
	assert_int_equal(r->state, state);
	if (state != RECEIPT_DELIVERED)
		assert_int_equal(r->partition, -1);
	assert_int_equal(r->reason.n > 0, state == RECEIPT_DEAD);
}

static void
find_nothing(int64_t id)
{
	struct msg_receipt r;

	assert_err(peer_find(&peer, id, &r), KP_ENOTFOUND);
}

/* Kafka comes back and refuses the next `n` requests to produce. */
static void
up_and_refuse(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
		    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	mock_up(&mock);
}

static void
refuse_no_more(void)
{
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_PRODUCE);
}

/* n dead letters "prefix0"... of a topic that has been made; their ids. */
static void
bury(const char *topic, const char *prefix, unsigned n, int64_t *ids)
{
	struct msg_receipt r;

	mock_down(&mock);
	for (unsigned i = 0; i < n; i++) {
		char value[64];

		snprintf(value, sizeof(value), "%s%u", prefix, i);
		ids[i] = accept_async(topic, "k", value);
	}
	up_and_refuse(2 * n + 20);
	for (unsigned i = 0; i < n; i++)
		find(ids[i], RECEIPT_DEAD, &r);
	refuse_no_more();
}

/* Acts on these; gives how many were done, and, if asked, what was missing. */
static int64_t
act(uint8_t type, int64_t *ids, size_t n, int64_t *missing)
{
	struct msg_acted r;
	int64_t done;

	assert_err(peer_act(&peer, type, &(struct msg_act){ .ids = ids, .n = n }, &r), KP_OK);
	done = r.done;
	if (missing)
		memcpy(missing, r.missing, r.n * sizeof(*missing));
	else
		assert_int_equal(r.n, 0);
	assert_int_equal(done + (int64_t)r.n, n);
	msg_acted_free(&r);
	return done;
}

/* ---- counts ---- */

static void
test_counts_add_up_over_kills_and_acts(void **state)
{
	struct msg_produced r;
	int64_t ids[6];

	(void)state;
	make_topic("counts", 1);
	expect_counts(0, 0, 0, 0);
	for (int i = 0; i < 20; i++)
		accept_async("counts", "k", "v");
	assert_err(peer_produce(&peer, "counts", "k", "sync is not kept", true, &r), KP_OK);
	expect_counts(20, 0, 0, 0);
	stand_kill();
	expect_counts(20, 0, 0, 0);
	assert_err(peer_produce(&peer, "counts", "k", "known again", true, &r), KP_OK);
	bury("counts", "bad", 6, ids);
	expect_counts(26, 0, 6, 0);
	stand_kill();
	expect_counts(26, 0, 6, 0);
	assert_int_equal(act(MSG_RETRY_DEAD, ids, 2, NULL), 2);
	expect_counts(26, 0, 4, 0);
	stand_kill();
	expect_counts(26, 0, 4, 0);
	assert_int_equal(act(MSG_DROP_DEAD, ids + 2, 3, NULL), 3);
	expect_counts(26, 0, 1, 3);
	stand_kill();
	expect_counts(26, 0, 1, 3);
	assert_err(peer_produce(&peer, "counts", "k", "known again", true, &r), KP_OK);
	mock_down(&mock);
	for (int i = 0; i < 10; i++)
		accept_async("counts", "k", "later");
	assert_int_equal(act(MSG_RETRY_DEAD, ids + 5, 1, NULL), 1);
	expect_counts(36, 11, 0, 3);
	stand_kill();
	expect_counts(36, 11, 0, 3);
	mock_up(&mock);
	expect_counts(36, 0, 0, 3);
}

/* Killed at any time: what is delivered, pending and dead is what was accepted. */
static void
test_counts_add_up_when_killed_under_load(void **state)
{
	unsigned kills = unit_rounds(4, 100), sent = 0, answered = 0;
	struct msg_status s;

	(void)state;
	make_topic("load", 1);
	for (unsigned i = 0; i < kills; i++) {
		for (unsigned k = 0; k < 60; k++, sent++)
			peer_ask_produce(&peer, &(struct msg_produce){ LIT("load"), LIT("k"),
			    LIT("v"), false }, PEER_WAIT_MS);
		/* each time after another number of answers */
		for (unsigned k = 0; k < 1 + i * 17 % 59; k++, answered++)
			peer_next_produced(&peer);
		stand_kill();
	}
	for (int64_t until = clock_mono_ms() + PEER_WAIT_MS; ; poll(NULL, 0, 20)) {
		assert_err(peer_status(&peer, &s), KP_OK);
		if (s.pending == 0 && s.accepted == s.delivered + s.dead + s.dropped)
			break;
		assert_true(clock_mono_ms() < until);
	}
	print_message("counts: kills=%u sent=%u answered=%u accepted=%lld delivered=%lld\n", kills,
	    sent, answered, (long long)s.accepted, (long long)s.delivered);
	assert_int_equal(s.dead + s.dropped, 0);
	assert_in_range(s.accepted, answered, sent);
}

static void
test_status_tells_of_parts(void **state)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS, now = time(NULL) * INT64_C(1000);
	struct msg_status s;

	(void)state;
	make_topic("parts", 1);
	assert_err(peer_status(&peer, &s), KP_OK);
	assert_true(kp_slice_eq(s.durability, LIT("fsync")));
	assert_false(s.embedded);
	assert_in_range(s.started_ms, now - 60000, now + 2000);
	assert_int_equal(s.store.state, PART_UP);
	assert_int_equal(s.zookeeper.state, PART_UNUSED);
	assert_int_equal(s.oldest_ms, 0);
	assert_int_equal(s.store_max_bytes, 1073741824);
	assert_true(s.store_free_bytes > 0);
	accept_async("parts", NULL, "v");
	mock_down(&mock);
	accept_async("parts", NULL, "waits");
	do {
		assert_err(peer_status(&peer, &s), KP_OK);
		assert_true(clock_mono_ms() < until);
		/* A store that is slow to answer is not waited for. */
	} while ((s.kafka.state != PART_DOWN || s.oldest_ms == 0) && poll(NULL, 0, 50) == 0);
	assert_true(s.kafka.error.n > 0);
	assert_in_range(s.kafka.error_ms, now - 1000, now + 60000);
	assert_in_range(s.oldest_ms, now - 1000, now + 60000);
	mock_up(&mock);
	do {
		assert_err(peer_status(&peer, &s), KP_OK);
		assert_true(clock_mono_ms() < until);
	} while ((s.kafka.state != PART_UP || s.oldest_ms) && poll(NULL, 0, 50) == 0);
}

/* ---- one message ---- */

static void
test_find_tells_where_it_is(void **state)
{
	struct msg_receipt r;
	struct mock_records got;
	int64_t ids[8], dead;

	(void)state;
	make_topic("find", 3);
	mock_down(&mock);
	for (int i = 0; i < 8; i++) {
		char text[] = { (char)('a' + i), '\0' };

		ids[i] = accept_async("find", text, text);
		find(ids[i], RECEIPT_PENDING, &r);
	}
	mock_up(&mock);
	for (int i = 0; i < 8; i++)
		find(ids[i], RECEIPT_DELIVERED, &r);
	mock_read(&mock, "find", 9, PEER_WAIT_MS, &got);
	assert_int_equal(got.n, 9);
	for (size_t i = 0; i < got.n; i++) {
		if (strcmp(got.v[i].value, "known") == 0)
			continue;
		find(ids[got.v[i].value[0] - 'a'], RECEIPT_DELIVERED, &r);
		assert_int_equal(r.partition, got.v[i].partition);
		assert_int_equal(r.offset, got.v[i].offset);
	}
	mock_records_free(&got);
	bury("find", "bad", 1, &dead);
	find(dead, RECEIPT_DEAD, &r);
	assert_true(kp_slice_eq(r.reason,
	    kp_slice_str(rd_kafka_err2str(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE))));
	/* of what went, only the store's part is known after a restart */
	stand_kill();
	find_nothing(ids[0]);
	find(dead, RECEIPT_DEAD, &r);
}

static void
test_find_of_strange_ids(void **state)
{
	int64_t id;

	(void)state;
	make_topic("strange", 1);
	id = accept_async("strange", NULL, "v");
	find_nothing(1);
	find_nothing(id - 1);
	find_nothing(id + 1);
	find_nothing(id + 65536);
	find_nothing(INT64_MAX);
}

/* The table of what was delivered is finite. */
static void
test_find_forgets(void **state)
{
	struct msg_receipt r;
	int64_t id;

	(void)state;
	if (unit_rounds(0, 1) == 0)
		return;
	make_topic("forgets", 1);
	id = accept_async("forgets", NULL, "first");
	find(id, RECEIPT_DELIVERED, &r);
	peer_produce_many(&peer, "forgets", NULL, "m", 0, 66000, 256);
	find_nothing(id);
	find(accept_async("forgets", NULL, "last"), RECEIPT_DELIVERED, &r);
}

/* ---- ids ---- */

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Of three starts with each durability, each ended by a kill: no id twice, none next to
 * another, and nothing that one start says of an id is about a message of another. */
static void
test_ids_never_come_again(void **state)
{
	static const char *const modes[] = { "fsync", "os", "memory" };
	enum { EACH = 50, STARTS = 3, ALL = 3 * STARTS * EACH };
	int64_t ids[ALL];
	struct msg_receipt r;
	size_t n = 0;

	(void)state;
	mock_topic(&mock, "ever", 1);
	for (size_t mode = 0; mode < COUNT(modes); mode++) {
		const char *options[] = { "--durability", modes[mode], NULL };

		stand_restart(options);
		for (int start = 0; start < STARTS; start++) {
			for (size_t i = 0; i < n; i++)
				find_nothing(ids[i]);
			for (int i = 0; i < EACH; i++)
				ids[n++] = accept_async("ever", "k", "v");
			for (int i = 0; i < EACH; i++)
				find(ids[n - 1 - (size_t)i], RECEIPT_DELIVERED, &r);
			wait_empty();
			peer_close(&peer);
			helper_kill(&helper);
			stand_start(options);
		}
	}
	/* Who has one finds no other near it. */
	for (int64_t by = 1; by < 100; by++) {
		find_nothing(ids[n - 1] + by);
		find_nothing(ids[n - 1] - by);
	}
	assert_int_equal(n, ALL);
	qsort(ids, n, sizeof(*ids), by_size);
	for (size_t i = 1; i < n; i++)
		assert_true(ids[i] - ids[i - 1] > 1000);
}

/* ---- lists ---- */

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
	make_topic("pages", 1);
	make_topic("pages2", 1);
	bury("pages", "bad", 15, ids);
	bury("pages2", "worse", 3, other);
	mock_down(&mock);
	for (unsigned i = 0; i < 5; i++) {
		char value[16];

		snprintf(value, sizeof(value), "wait%u", i);
		waits[i] = accept_async("pages", "k", value);
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
	make_topic("keys", 1);
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
	make_topic("large", 1);
	mock_down(&mock);
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct msg_produced p;

		assert_err(peer_reply(&peer, peer_ask_produce(&peer, &(struct msg_produce){
		    LIT("large"), LIT("k"), { bytes, LARGE }, false }, 5000), MSG_PRODUCED, &f),
		    KP_OK);
		assert_err(msg_produced_decode(f.body, &p), KP_OK);
		ids[i] = p.id;
	}
	up_and_refuse(400);
	for (size_t i = 0; i < COUNT(ids); i++)
		find(ids[i], RECEIPT_DEAD, &got);
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
	assert_int_equal(act(MSG_RETRY_DEAD, ids, COUNT(ids), NULL), COUNT(ids));
	expect_counts(COUNT(ids), 0, COUNT(ids), 0);
	refuse_no_more();
	do {
		assert_err(peer_act(&peer, MSG_RETRY_DEAD, &all, &acted), KP_OK);
		done += acted.done;
		all.after = acted.next;
		msg_acted_free(&acted);
	} while (all.after);
	assert_int_equal(done, COUNT(ids));
	expect_counts(COUNT(ids), 0, 0, 0);
}

/* ---- acts ---- */

static void
test_retry_comes_behind_what_waits(void **state)
{
	static const char *const order[] = { "known", "waits", "waits", "waits", "bad0", "bad1",
		"after" };
	struct mock_records r;
	struct msg_receipt got;
	int64_t ids[2];

	(void)state;
	make_topic("behind", 1);
	bury("behind", "bad", 2, ids);
	mock_down(&mock);
	for (int i = 0; i < 3; i++)
		accept_async("behind", "k", "waits");
	assert_int_equal(act(MSG_RETRY_DEAD, ids, 2, NULL), 2);
	find(ids[0], RECEIPT_PENDING, &got);
	accept_async("behind", "k", "after");
	/* it survives as what it is */
	stand_kill();
	find(ids[0], RECEIPT_PENDING, &got);
	find(ids[1], RECEIPT_PENDING, &got);
	mock_up(&mock);
	mock_read(&mock, "behind", COUNT(order), PEER_WAIT_MS, &r);
	assert_int_equal(r.n, COUNT(order));
	for (size_t i = 0; i < r.n; i++)
		assert_string_equal(r.v[i].value, order[i]);
	mock_records_free(&r);
	find(ids[1], RECEIPT_DELIVERED, &got);
	assert_int_equal(got.partition, 0);
	assert_int_equal(got.offset, 5);
}

static void
test_retried_and_refused_again(void **state)
{
	struct msg_list m = { .dead = true, .limit = 10 };
	struct msg_receipt got;
	struct msg_rows r;
	int64_t id;

	(void)state;
	make_topic("again", 1);
	bury("again", "bad", 1, &id);
	for (unsigned attempts = 2; attempts < 4; attempts++) {
		mock_down(&mock);
		assert_int_equal(act(MSG_RETRY_DEAD, &id, 1, NULL), 1);
		find(id, RECEIPT_PENDING, &got);
		up_and_refuse(20);
		find(id, RECEIPT_DEAD, &got);
		refuse_no_more();
		assert_err(peer_list(&peer, &m, &r), KP_OK);
		assert_int_equal(r.n, 1);
		assert_int_equal(r.v[0].id, id);
		assert_int_equal(r.v[0].attempts, attempts);
		msg_rows_free(&r);
		expect_counts(1, 0, 1, 0);
		stand_kill();
	}
	assert_int_equal(act(MSG_RETRY_DEAD, &id, 1, NULL), 1);
	find(id, RECEIPT_DELIVERED, &got);
	expect_counts(1, 0, 0, 0);
}

static void
test_drop_and_ids_that_are_none(void **state)
{
	struct msg_act all = { .all = true, .topic = LIT("drop2") };
	int64_t ids[4], other[3], list[6], missing[6];
	struct msg_acted r;

	(void)state;
	make_topic("drop", 1);
	make_topic("drop2", 1);
	bury("drop", "bad", 4, ids);
	bury("drop2", "worse", 3, other);
	memcpy(list, (int64_t[]){ ids[0], 1, ids[1], INT64_MAX, ids[3] + 100000, ids[2] },
	    sizeof(list));
	assert_int_equal(act(MSG_DROP_DEAD, list, 6, missing), 3);
	assert_int_equal(missing[0], 1);
	assert_int_equal(missing[1], INT64_MAX);
	assert_int_equal(missing[2], ids[3] + 100000);
	find_nothing(ids[0]);
	assert_int_equal(act(MSG_RETRY_DEAD, ids, 3, missing), 0);
	assert_int_equal(act(MSG_DROP_DEAD, ids, 3, missing), 0);
	expect_counts(7, 0, 4, 3);
	assert_err(peer_act(&peer, MSG_DROP_DEAD, &all, &r), KP_OK);
	assert_int_equal(r.done, 3);
	assert_int_equal(r.next, 0);
	msg_acted_free(&r);
	expect_counts(7, 0, 1, 6);
	stand_kill();
	expect_counts(7, 0, 1, 6);
	find_nothing(ids[0]);
}

/* What is pending is nobody's to drop or to send twice; nor is what was retried. */
static void
test_only_dead_letters_are_acted_on(void **state)
{
	int64_t ids[2], missing[2];

	(void)state;
	make_topic("only", 1);
	bury("only", "bad", 1, &ids[0]);
	mock_down(&mock);
	ids[1] = accept_async("only", "k", "waits");
	assert_int_equal(act(MSG_RETRY_DEAD, ids, 1, NULL), 1);
	assert_int_equal(act(MSG_DROP_DEAD, ids, 2, missing), 0);
	assert_int_equal(act(MSG_RETRY_DEAD, ids, 2, missing), 0);
	expect_counts(2, 2, 0, 0);
	mock_up(&mock);
	expect_counts(2, 0, 0, 0);
	assert_int_equal(act(MSG_DROP_DEAD, ids, 2, missing), 0);
	expect_counts(2, 0, 0, 0);
}

/* ---- who may ---- */

/* Connects as a user who is nobody here, and still finds the way to the socket. By the
 * system call, as the C library would interrupt all threads, and the mock ends then. */
static void
open_as_nobody(struct peer *p)
{
	assert_int_equal(syscall(SYS_setresuid, -1, NOBODY, -1), 0);
	setfsuid(0);
	peer_open(p, &helper);
	assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
}

static void
test_others_may_only_ask(void **state)
{
	static const char *const with_nobody[] = { "--socketUsers", "nobody", NULL };
	struct msg_list list = { .dead = true, .limit = 10 };
	struct msg_receipt receipt;
	struct msg_status status;
	struct msg_acted acted;
	struct msg_rows rows;
	struct peer p;
	int64_t id;

	(void)state;
	if (geteuid() != 0)
		skip();
	stand_restart(with_nobody);
	make_topic("others", 1);
	bury("others", "bad", 1, &id);
	open_as_nobody(&p);
	assert_err(peer_status(&p, &status), KP_OK);
	assert_int_equal(status.dead, 1);
	assert_err(peer_find(&p, id, &receipt), KP_OK);
	assert_err(peer_list(&p, &list, &rows), KP_EDENIED);
	msg_rows_free(&rows);
	for (uint8_t type = MSG_RETRY_DEAD; type <= MSG_DROP_DEAD; type++) {
		assert_err(peer_act(&p, type, &(struct msg_act){ .ids = &id, .n = 1 }, &acted),
		    KP_EDENIED);
		assert_err(peer_act(&p, type, &(struct msg_act){ .all = true }, &acted),
		    KP_EDENIED);
	}
	peer_close(&p);
	expect_counts(1, 0, 1, 0);
}

/* Without a store the numbers are those of this process, and there is nothing to list. */
static void
test_durability_memory(void **state)
{
	static const char *const memory[] = { "--durability", "memory", NULL };
	struct msg_list list = { .limit = 10 };
	struct msg_receipt got;
	struct msg_rows rows;
	int64_t id;

	(void)state;
	stand_restart(memory);
	make_topic("memory", 1);
	mock_down(&mock);
	id = accept_async("memory", "k", "v");
	find(id, RECEIPT_PENDING, &got);
	expect_counts(1, 1, 0, 0);
	assert_err(peer_list(&peer, &list, &rows), KP_ENOTSUP);
	mock_up(&mock);
	find(id, RECEIPT_DELIVERED, &got);
	expect_counts(1, 0, 0, 0);
}

#define TEST(name) STAND_TEST(name, NULL)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counts_add_up_over_kills_and_acts),
		TEST(test_counts_add_up_when_killed_under_load),
		TEST(test_status_tells_of_parts),
		TEST(test_find_tells_where_it_is),
		TEST(test_find_of_strange_ids),
		TEST(test_find_forgets),
		TEST(test_ids_never_come_again),
		TEST(test_lists_in_pages),
		TEST(test_rows_keep_their_keys),
		TEST(test_large_dead_letters),
		TEST(test_retry_comes_behind_what_waits),
		TEST(test_retried_and_refused_again),
		TEST(test_drop_and_ids_that_are_none),
		TEST(test_only_dead_letters_are_acted_on),
		TEST(test_others_may_only_ask),
		TEST(test_durability_memory),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
