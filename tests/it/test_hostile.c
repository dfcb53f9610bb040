/* A peer that is broken or means harm: it loses its connection at worst; the next
 * request of somebody else is answered, and the helper stays small. */
#include "common/clock.h"
#include "tests/it/stand.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/unit/unit.h"

#define MANY_IDLE 300
#define IN_FLIGHT 64
/* More than any helper here needs; sanitizers hold on to freed memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_KIB (512L * 1024)
#define SMALL_COST 4			/* of what is allocated in small pieces */
#else
#define MEMORY_KIB (96L * 1024)
#define SMALL_COST 1
#endif
/* The thread sanitizer keeps twice as much of its own beside each byte, also of what was freed. */
#ifdef __SANITIZE_THREAD__
#define LARGE_COST 4
#else
#define LARGE_COST 1
#endif

/* The helper lives and answers somebody else. */
static void
assert_alive(void)
{
	struct peer p;

	peer_open(&p, &helper);
	assert_err(peer_ping(&p), KP_OK);
	peer_close(&p);
	assert_int_equal(helper_logged(&helper, "ready version"), 1);
}

/* Sends bytes on a connection of their own; it must be cut. */
static void
assert_cut(const void *bytes, size_t n)
{
	struct peer p;

	peer_open(&p, &helper);
	peer_send_raw(&p, bytes, n);
	assert_true(peer_cut(&p, PEER_WAIT_MS));
	peer_close(&p);
}

static void
put_produce(struct kp_buf *b, const char *topic, const char *value, bool sync)
{
	const struct msg_produce m = { kp_slice_str(topic), LIT("k"), kp_slice_str(value), sync };
	size_t begin;

	kp_buf_init(b, 4096);
	begin = wire_begin(b, MSG_PRODUCE, 7, 5000);
	assert_err(msg_produce_encode(b, &m), KP_OK);
	assert_err(wire_end(b, begin), KP_OK);
}

static void
test_garbage(void **state)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	unsigned char bytes[512];
	unsigned seed = 12345;

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	assert_cut(bytes, sizeof(bytes));
	assert_cut(http, sizeof(http) - 1);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1103515245u + 12345u;
			bytes[i] = (unsigned char)(seed >> 16);
		}
		bytes[4] = (unsigned char)(round % 2 ? bytes[4] | 0x80 : WIRE_VERSION);
		bytes[6] |= 1;		/* reserved, so that none is a frame by chance */
		assert_cut(bytes, sizeof(bytes));
	}
	assert_alive();
}

/* Cut off at each byte, then closed: nothing of it is done. */
static void
test_every_truncation(void **state)
{
	struct mock_records r;
	struct kp_buf b;

	(void)state;
	mock_topic(&mock, "truncated", 1);
	put_produce(&b, "truncated", "value", false);
	for (size_t n = 0; n < b.len; n++) {
		struct peer p;

		peer_open(&p, &helper);
		assert_true(peer_send_raw(&p, b.p, n));
		peer_close(&p);
	}
	assert_alive();
	mock_read(&mock, "truncated", 0, 1500, &r);
	assert_int_equal(r.n, 0);
	mock_records_free(&r);
	kp_buf_free(&b);
}

/* A byte at a time is a frame like any other. */
static void
test_byte_by_byte(void **state)
{
	struct wire_frame f;
	struct kp_buf b;
	struct peer p;

	(void)state;
	mock_topic(&mock, "bytewise", 1);
	put_produce(&b, "bytewise", "m0", true);
	peer_open(&p, &helper);
	for (size_t n = 0; n < b.len; n++)
		assert_true(peer_send_raw(&p, b.p + n, 1));
	assert_err(peer_reply(&p, 7, MSG_PRODUCED, &f), KP_OK);
	peer_close(&p);
	kp_buf_free(&b);
	mock_expect(&mock, "bytewise", "m", 1, MOCK_ONCE);
}

/* Each byte of a valid frame flipped: an error, a cut, or a request; never worse. */
static void
test_every_flipped_byte(void **state)
{
	struct kp_buf b;

	(void)state;
	mock_topic(&mock, "flipped", 1);
	put_produce(&b, "flipped", "value", false);
	for (size_t i = 0; i < b.len; i++)
		for (int bit = 0; bit < 8; bit += 3) {
			struct peer p;

			peer_open(&p, &helper);
			b.p[i] ^= (uint8_t)(1 << bit);
			peer_send_raw(&p, b.p, b.len);
			b.p[i] ^= (uint8_t)(1 << bit);
			peer_close(&p);
		}
	assert_alive();
	kp_buf_free(&b);
}

static void
test_lengths_that_lie(void **state)
{
	static const uint32_t lengths[] = { 0xffffffff, 0x80000000, 0x7fffffff, 0x10000000,
		WIRE_BODY_MAX + 1, WIRE_BODY_MAX };
	static struct peer waiting[200];
	struct wire_frame f;
	struct msg_error e;

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct kp_buf b;
		struct peer p;

		kp_buf_init(&b, 64);
		wire_begin(&b, MSG_PRODUCE, 99, 1000);
		for (int k = 0; k < 4; k++)
			b.p[k] = (uint8_t)(lengths[i] >> (24 - 8 * k));
		peer_open(&p, &helper);
		assert_true(peer_send_raw(&p, b.p, b.len));
		/* told why, with the request's id, and cut */
		assert_true(peer_recv(&p, &f, PEER_WAIT_MS));
		assert_int_equal(f.type, MSG_ERROR);
		assert_int_equal(f.id, 99);
		assert_err(msg_error_decode(f.body, &e), KP_OK);
		assert_err(e.err, KP_ETOOBIG);
		assert_true(peer_cut(&p, PEER_WAIT_MS));
		peer_close(&p);
		kp_buf_free(&b);
	}
	/* announced, allowed, and never sent: takes no memory */
	for (size_t i = 0; i < COUNT(waiting); i++) {
		static const uint8_t header[] = { 0, 0x0f, 0x42, 0x40, WIRE_VERSION, MSG_PRODUCE,
			0, 0, 0, 0, 0, 1, 0, 0, 0x10, 0 };

		peer_open(&waiting[i], &helper);
		assert_true(peer_send_raw(&waiting[i], header, sizeof(header)));
	}
	assert_alive();
	assert_true(helper_rss_kib(&helper) < MEMORY_KIB);
	for (size_t i = 0; i < COUNT(waiting); i++)
		peer_close(&waiting[i]);
}

static void
test_another_version(void **state)
{
	struct wire_frame f;
	struct msg_error e;
	struct peer p;

	(void)state;
	for (int version = 0; version < 3; version++) {
		uint8_t header[WIRE_HEADER] = { 0, 0, 0, 0, (uint8_t)version, MSG_PING, 0, 0,
			0, 0, 0, 5, 0, 0, 0x10, 0 };

		if (version == WIRE_VERSION)
			continue;
		peer_open(&p, &helper);
		assert_true(peer_send_raw(&p, header, sizeof(header)));
		assert_true(peer_recv(&p, &f, PEER_WAIT_MS));
		assert_int_equal(f.type, MSG_ERROR);
		assert_int_equal(f.id, 5);
		assert_err(msg_error_decode(f.body, &e), KP_OK);
		assert_err(e.err, KP_EVERSION);
		assert_true(peer_cut(&p, PEER_WAIT_MS));
		peer_close(&p);
	}
	assert_alive();
}

/* Types nobody knows, and replies sent as requests: an error or a cut. */
static void
test_unknown_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct wire_frame f;
		struct peer p;

		if (type >= MSG_PING && type <= MSG_GET_CONSUMERS)
			continue;
		peer_open(&p, &helper);
		peer_ask(&p, (uint8_t)type, 2000, LIT("body"));
		if (peer_recv(&p, &f, PEER_WAIT_MS))
			assert_int_equal(f.type, MSG_ERROR);
		else
			assert_true(peer_cut(&p, 0));
		peer_close(&p);
	}
	assert_alive();
}

/* Bodies that do not decode: an error for that request alone. */
static void
test_bad_bodies(void **state)
{
	struct wire_frame f;
	struct peer p;

	(void)state;
	for (uint8_t type = MSG_PRODUCE; type <= MSG_GET_CONSUMERS; type++) {
		if (type == MSG_CONFIRM_OFFER)
			continue;
		peer_open(&p, &helper);
		assert_true(peer_reply(&p, peer_ask(&p, type, 2000, LIT("\xff\xff\xff\xff")),
		    MSG_DONE, &f) != KP_OK);
		assert_true(peer_reply(&p, peer_ask(&p, type, 2000, LIT("")), MSG_DONE, &f) !=
		    KP_OK);
		assert_err(peer_ping(&p), KP_OK);
		peer_ask(&p, MSG_CONFIRM_OFFER, 0, LIT("\xff"));
		peer_close(&p);
	}
	assert_alive();
}

/* Deadlines of nothing, and of more than is allowed. */
static void
test_bad_deadlines(void **state)
{
	static const uint32_t deadlines[] = { 0, WIRE_DEADLINE_MAX_MS + 1, UINT32_MAX };
	struct peer p;

	(void)state;
	for (size_t i = 0; i < COUNT(deadlines); i++) {
		peer_open(&p, &helper);
		peer_ask(&p, MSG_PING, deadlines[i], LIT(""));
		assert_true(peer_cut(&p, PEER_WAIT_MS));
		peer_close(&p);
	}
	assert_alive();
}

/* As many as are allowed, mixed, replies in any order: each id comes once. */
static void
test_many_in_flight(void **state)
{
	bool seen[IN_FLIGHT + 1] = { false };
	struct msg_message m;
	struct wire_frame f;
	struct peer p;

	(void)state;
	mock_topic(&mock, "flight", 1);
	peer_open(&p, &helper);
	assert_err(peer_consume(&p, "flight", "g", 1000, &m), KP_ENOMSG);
	p.id = 0;
	for (int i = 0; i < IN_FLIGHT; i++) {
		if (i % 4 == 0)
			peer_ask_consume(&p, "flight", "g", 1500);
		else if (i % 4 == 1)
			peer_ask(&p, MSG_PING, 1500, LIT(""));
		else
			peer_ask_produce(&p, &(struct msg_produce){ LIT("flight2"), LIT("k"),
			    LIT("v"), i % 4 == 2 }, 5000);
	}
	for (int i = 0; i < IN_FLIGHT; i++) {
		assert_true(peer_recv(&p, &f, PEER_WAIT_MS));
		assert_in_range(f.id, 1, IN_FLIGHT);
		assert_false(seen[f.id]);
		seen[f.id] = true;
	}
	assert_err(peer_ping(&p), KP_OK);
	peer_close(&p);
}

static void
test_too_many_in_flight(void **state)
{
	struct wire_frame f;
	struct peer p;
	int busy = 0;

	(void)state;
	mock_topic(&mock, "toomany", 1);
	peer_open(&p, &helper);
	for (int i = 0; i < IN_FLIGHT + 1; i++)
		peer_ask_consume(&p, "toomany", "g", 3000);
	while (busy == 0 && peer_recv(&p, &f, PEER_WAIT_MS)) {
		struct msg_error e;

		assert_int_equal(f.type, MSG_ERROR);
		assert_err(msg_error_decode(f.body, &e), KP_OK);
		busy += e.err == KP_EBUSY;
	}
	assert_int_equal(busy, 1);
	peer_close(&p);
	assert_alive();
}

/* Asks and asks, and reads no reply: it is cut before it takes the helper's memory. */
static void
test_replies_that_are_never_read(void **state)
{
	static uint8_t pings[WIRE_HEADER * 4096];
	long rss = helper_rss_kib(&helper);
	struct kp_buf b;
	struct peer p;
	int64_t until;

	(void)state;
	kp_buf_init(&b, sizeof(pings));
	for (size_t i = 0; i < sizeof(pings) / WIRE_HEADER; i++)
		assert_err(wire_end(&b, wire_begin(&b, MSG_PING, 1, 1000)), KP_OK);
	memcpy(pings, b.p, sizeof(pings));
	kp_buf_free(&b);
	peer_open(&p, &helper);
	until = clock_mono_ms() + PEER_WAIT_MS;
	/* at most 32 MiB of them: far above what may wait for one connection */
	for (int i = 0; i < 512 && clock_mono_ms() < until; i++) {
		enum kp_err err = sock_write(p.fd, pings, sizeof(pings), clock_mono_ms() + 1000,
		    NULL);

		if (err)
			break;		/* cut, or no longer read from: both are fine */
		assert_true(helper_rss_kib(&helper) < rss + MEMORY_KIB);
	}
	assert_alive();
	assert_true(helper_rss_kib(&helper) < rss + MEMORY_KIB);
	peer_close(&p);
}

#define CROWD 600
#define ROOM_KIB (256L * 1024)		/* for the large requests of all together */

/* Sync, of 900,000 bytes. */
static void
put_large(struct kp_buf *b)
{
	static const uint8_t value[900000];
	const struct msg_produce m = { LIT("crowded"), LIT("k"), { value, sizeof(value) }, true };
	size_t begin;

	kp_buf_init(b, 2 * sizeof(value));
	begin = wire_begin(b, MSG_PRODUCE, 7, 60000);
	assert_err(msg_produce_encode(b, &m), KP_OK);
	assert_err(wire_end(b, begin), KP_OK);
}

static bool
is_told(struct peer *p)
{
	static const char text[] = "nothing was done: try again";
	struct wire_frame f;
	struct msg_error e;

	if (!peer_recv(p, &f, 1) || f.type != MSG_ERROR || f.id != 7)
		return false;
	assert_err(msg_error_decode(f.body, &e), KP_OK);
	return e.err == KP_EUNAVAIL && e.retry_after_s == 1 &&
	    memmem(e.text.p, e.text.n, text, sizeof(text) - 1) != NULL;
}

/* Each sends a large one but for its last bytes; how many are told that there is no room. */
static size_t
send_by_many(size_t less)
{
	static struct peer crowd[CROWD];
	struct msg_produced r;
	struct kp_buf b;
	size_t told = 0;
	struct peer p;

	put_large(&b);
	for (size_t i = 0; i < CROWD; i++) {
		peer_open(&crowd[i], &helper);
		/* Cut off in the middle of it, or not. */
		sock_write(crowd[i].fd, b.p, b.len - less, clock_mono_ms() + PEER_WAIT_MS, NULL);
	}
	assert_true(helper_rss_kib(&helper) < ROOM_KIB * LARGE_COST + MEMORY_KIB);
	/* A small one finds room. */
	peer_open(&p, &helper);
	assert_err(peer_produce(&p, "roomy", "k", "v", false, &r), KP_OK);
	peer_close(&p);
	for (size_t i = 0; i < CROWD; i++) {
		told += is_told(&crowd[i]);
		peer_close(&crowd[i]);
	}
	kp_buf_free(&b);
	return told;
}

/* Requests that never end, and those that wait for Kafka. */
static void
test_large_requests_of_many(void **state)
{
	struct msg_produced r;
	struct peer p;

	(void)state;
	mock_topic(&mock, "roomy", 1);
	mock_topic(&mock, "crowded", 1);
	peer_open(&p, &helper);
	assert_err(peer_produce(&p, "crowded", "k", "v", true, &r), KP_OK);
	assert_in_range(send_by_many(1), CROWD / 4, CROWD - 1);
	assert_err(peer_produce(&p, "crowded", "k", "v", true, &r), KP_OK);
	mock_down(&mock);
	assert_in_range(send_by_many(0), 1, CROWD - 1);
	mock_up(&mock);
	peer_close(&p);
	assert_alive();
}

/* It takes messages and never says what became of them: it is cut off, and they are there
 * for others. */
static void
test_offers_that_are_never_confirmed(void **state)
{
	struct msg_message m;
	struct wire_frame f;
	struct msg_error e;
	struct peer p;
	unsigned n = 0;

	(void)state;
	mock_topic(&mock, "hoarded", 4);
	peer_open(&p, &helper);
	assert_err(peer_consume(&p, "hoarded", "g", 1000, &m), KP_ENOMSG);
	for (int i = 0; i < 4; i++)
		mock_put_many(&mock, "hoarded", i, "m", 900);
	for (;; n++) {
		peer_ask_consume(&p, "hoarded", "g", 5000);
		assert_true(peer_recv(&p, &f, PEER_WAIT_MS));
		if (f.type != MSG_MESSAGE)
			break;
	}
	assert_int_equal(n, 2048);
	assert_err(msg_error_decode(f.body, &e), KP_OK);
	assert_err(e.err, KP_EBUSY);
	assert_true(peer_cut(&p, PEER_WAIT_MS));
	peer_close(&p);
	peer_open(&p, &helper);
	for (unsigned i = 0; i < 3600; i++) {
		assert_err(peer_consume(&p, "hoarded", "g", 5000, &m), KP_OK);
		peer_confirm(&p, m.offer, true);
	}
	assert_err(peer_consume(&p, "hoarded", "g", 500, &m), KP_ENOMSG);
	peer_close(&p);
}

/* Each leaves less than it alone may, and all together are cut off in time. */
static void
test_replies_that_many_never_read(void **state)
{
	static struct peer crowd[900];
	struct kp_buf b;

	(void)state;
	kp_buf_init(&b, WIRE_HEADER * 4096);
	while (b.len < b.limit)
		assert_err(wire_end(&b, wire_begin(&b, MSG_PING, 1, 1000)), KP_OK);
	for (size_t i = 0; i < COUNT(crowd); i++) {
		peer_open(&crowd[i], &helper);
		while (sock_write(crowd[i].fd, b.p, b.len, clock_mono_ms() + 20, NULL) == KP_OK)
			;
	}
	kp_buf_free(&b);
	assert_alive();
	assert_true(helper_rss_kib(&helper) < 128L * 1024 * SMALL_COST + MEMORY_KIB);
	for (size_t i = 0; i < COUNT(crowd); i++)
		peer_close(&crowd[i]);
}

/* What was begun comes to an end, and gives back what it holds; who waits, or has nothing to
 * say, is left alone. */
static void
test_what_is_begun_and_never_ended(void **state)
{
	struct peer waits, idle, half, large, deaf;
	int64_t begin_ms = clock_mono_ms();
	struct wire_frame f;
	struct kp_buf b;
	uint32_t id;

	(void)state;
	mock_topic(&mock, "patient", 1);
	peer_open(&waits, &helper);
	peer_open(&idle, &helper);
	peer_open(&half, &helper);
	peer_open(&large, &helper);
	peer_open(&deaf, &helper);
	put_large(&b);
	assert_true(peer_send_raw(&half, b.p, 3));
	assert_true(peer_send_raw(&large, b.p, b.len - 1));
	kp_buf_reset(&b);
	for (int i = 0; i < 4096; i++)
		assert_err(wire_end(&b, wire_begin(&b, MSG_PING, 1, 1000)), KP_OK);
	while (sock_write(deaf.fd, b.p, b.len, clock_mono_ms() + 100, NULL) == KP_OK)
		;
	kp_buf_free(&b);
	id = peer_ask_consume(&waits, "patient", "g", 26000);
	assert_true(peer_cut(&half, 2 * PEER_WAIT_MS));
	assert_true(peer_cut(&large, 2 * PEER_WAIT_MS));
	assert_in_range(clock_mono_ms() - begin_ms, 8000, 2 * PEER_WAIT_MS);
	/* Seen by what is logged: to look at the socket would be to read. */
	while (helper_logged(&helper, "ipc connection cut dropped_lines=0: replies are not read") <
	    1 && clock_mono_ms() - begin_ms < 4 * PEER_WAIT_MS)
		poll(NULL, 0, 100);
	assert_in_range(clock_mono_ms() - begin_ms, 18000, 3 * PEER_WAIT_MS);
	assert_err(peer_ping(&idle), KP_OK);
	assert_err(peer_reply(&waits, id, MSG_MESSAGE, &f), KP_ENOMSG);
	peer_close(&waits);
	peer_close(&idle);
	peer_close(&half);
	peer_close(&large);
	peer_close(&deaf);
}

/* Nobody's turn is taken by those who say nothing. */
static void
test_idle_connections(void **state)
{
	static struct peer idle[MANY_IDLE];
	struct msg_produced r;
	struct peer p;

	(void)state;
	mock_topic(&mock, "idle", 1);
	for (int i = 0; i < MANY_IDLE; i++) {
		peer_open(&idle[i], &helper);
		if (i % 3 == 0)
			peer_send_raw(&idle[i], "\0\0", 2);	/* half a header */
	}
	peer_open(&p, &helper);
	for (int i = 0; i < 20; i++)
		assert_err(peer_produce(&p, "idle", "k", "v", i % 2, &r), KP_OK);
	assert_true(helper_rss_kib(&helper) < MEMORY_KIB);
	for (int i = 1; i < MANY_IDLE; i += 3)
		assert_err(peer_ping(&idle[i]), KP_OK);
	for (int i = 0; i < MANY_IDLE; i++)
		peer_close(&idle[i]);
	assert_err(peer_ping(&p), KP_OK);
	peer_close(&p);
}

/* Past its limit it refuses; when some have gone it serves again. */
static void
test_more_connections_than_are_served(void **state)
{
	static struct peer many[1100];
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	bool served = false;
	size_t n = 0;

	(void)state;
	for (; n < COUNT(many); n++) {
		many[n] = (struct peer){ .fd = -1 };
		if (sock_connect(helper.socket, clock_mono_ms() + 2000, &many[n].fd) != KP_OK)
			break;		/* out of our own descriptors: enough */
	}
	assert_true(n > 900);
	while (n > 0)
		close(many[--n].fd);
	while (!served && clock_mono_ms() < until) {
		struct wire_frame f;
		struct peer p;

		/* it may come before the helper has seen the others go */
		peer_open(&p, &helper);
		if (peer_send_raw(&p, "\0\0\0\0\1\1\0\0\0\0\0\1\0\0\4\0", WIRE_HEADER))
			served = peer_recv(&p, &f, 1000);
		peer_close(&p);
	}
	assert_true(served);
	assert_alive();
}

/* Connections that come and go in the middle of everything. */
static void
test_hang_ups_in_flight(void **state)
{
	long rss;

	(void)state;
	mock_topic(&mock, "hangups", 1);
	assert_alive();
	rss = helper_rss_kib(&helper);
	for (int i = 0; i < 1000; i++) {
		struct peer p;

		peer_open(&p, &helper);
		if (i % 3 == 0)
			peer_ask_consume(&p, "hangups", "g", 5000);
		else
			peer_ask_produce(&p, &(struct msg_produce){ LIT("hangups"), LIT("k"),
			    LIT("v"), i % 3 == 1 }, 5000);
		peer_close(&p);
	}
	assert_alive();
	assert_true(helper_rss_kib(&helper) < rss + MEMORY_KIB / 4);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, stand_setup_helper, stand_teardown_helper)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_garbage),
		TEST(test_every_truncation),
		TEST(test_byte_by_byte),
		TEST(test_every_flipped_byte),
		TEST(test_lengths_that_lie),
		TEST(test_another_version),
		TEST(test_unknown_types),
		TEST(test_bad_bodies),
		TEST(test_bad_deadlines),
		TEST(test_many_in_flight),
		TEST(test_too_many_in_flight),
		TEST(test_replies_that_are_never_read),
		TEST(test_large_requests_of_many),
		TEST(test_offers_that_are_never_confirmed),
		TEST(test_replies_that_many_never_read),
		TEST(test_what_is_begun_and_never_ended),
		TEST(test_idle_connections),
		TEST(test_more_connections_than_are_served),
		TEST(test_hang_ups_in_flight),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
