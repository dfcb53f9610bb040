/* The load of one topic, and its account. */
#include "tests/it/order.h"

#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

#define WINDOW 60			/* on their way to the helper, which takes 64 */
#define PACE 2				/* messages in a millisecond */
#define RTT_MS 20
#define REQUEST_MS 8000

/* ---- sending ---- */

static void
send_one(struct order *o)
{
	const char *key = o->keys[o->sent % o->partitions];
	char value[16];

	assert_true(o->sent < ORDER_MESSAGES);
	snprintf(value, sizeof(value), "m%u", o->sent);
	peer_ask_produce(&o->peer, &(struct msg_produce){ kp_slice_str(o->topic),
	    kp_slice_str(key), kp_slice_str(value), false }, REQUEST_MS);
	o->sent++;
	o->waiting++;
}

/* The next answer; they may overtake each other. False: none within wait_ms. */
static bool
take_one(struct order *o, int64_t wait_ms)
{
	struct order_message *m;
	struct msg_produced r;
	struct wire_frame f;

	if (!peer_recv(&o->peer, &f, wait_ms))
		return false;
	/* nothing else was asked since the first one that waits */
	assert_in_range(o->peer.id - f.id, 0, o->sent - 1);
	m = &o->v[o->sent - 1 - (o->peer.id - f.id)];
	assert_int_equal(m->fate, ORDER_WAITING);
	m->fate = ORDER_REFUSED;
	if (f.type == MSG_PRODUCED) {
		assert_err(msg_produced_decode(f.body, &r), KP_OK);
		m->fate = ORDER_KEPT;
		m->id = r.id;
	}
	o->waiting--;
	return true;
}

static void
take_until(struct order *o, unsigned waiting)
{
	while (o->waiting > waiting)
		if (!take_one(o, PEER_WAIT_MS))
			fail_msg("%s: %u answers do not come", o->topic, o->waiting);
}

void
order_take(struct order *o)
{
	take_until(o, 0);
}

void
order_send(struct order *o, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		take_until(o, WINDOW - 1);
		send_one(o);
	}
}

static void
send_paced(struct order *o, const struct order_plan *p)
{
	for (unsigned i = 0; i < p->messages; i++) {
		if (i % p->every == 0)
			p->act(o, i / p->every);
		order_send(o, 1);
		if (i % PACE)
			continue;
		poll(NULL, 0, 1);
		while (o->waiting && take_one(o, 0))
			continue;
	}
}

void
order_reopen(struct order *o)
{
	for (unsigned i = 0; i < o->sent; i++)
		if (o->v[i].fate == ORDER_WAITING)
			o->v[i].fate = ORDER_UNKNOWN;
	o->waiting = 0;
	peer_close(&o->peer);
	peer_open(&o->peer, o->helper);
}

void
order_settle(struct order *o)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;
	struct msg_status s;

	order_take(o);
	/* Nothing tells when Kafka has the last one: it can only be asked. */
	for (;;) {
		assert_err(peer_status(&o->peer, &s), KP_OK);
		if (s.pending == 0 && s.accepted == s.delivered + s.dead)
			return;
		if (clock_mono_ms() > until)
			fail_msg("%s: accepted %lld, delivered %lld, dead %lld, pending %lld",
			    o->topic, (long long)s.accepted, (long long)s.delivered,
			    (long long)s.dead, (long long)s.pending);
		poll(NULL, 0, 10);
	}
}

/* ---- what brokers do ---- */

size_t
order_left(unsigned broker)
{
	size_t n = 0;			/* is left as it is when there never were any */

	assert_int_equal(rd_kafka_mock_broker_error_stack_cnt(mock.cluster, (int32_t)broker,
	    MOCK_PRODUCE, &n), 0);
	return n;
}

void
order_push(struct order *o, unsigned broker, rd_kafka_resp_err_t code, unsigned times)
{
	if (order_left(broker))
		return;
	for (unsigned i = 0; i < times; i++)
		assert_int_equal(rd_kafka_mock_broker_push_request_error_rtts(mock.cluster,
		    (int32_t)broker, MOCK_PRODUCE, (size_t)1, code, 0), 0);
	o->errors += times;
}

void
order_slow(bool slow)
{
	assert_int_equal(rd_kafka_mock_broker_set_rtt(mock.cluster, -1, slow ? RTT_MS : 0), 0);
}

/* ---- one topic, from its first message to what Kafka has of it ---- */

static void
find_key(struct order *o, unsigned partition)
{
	char *key = o->keys[partition];
	int32_t p = -1;

	for (unsigned i = 0; p != (int32_t)partition; i++) {
		snprintf(key, sizeof(o->keys[0]), "k%u", i);
		p = rd_kafka_msg_partitioner_fnv1a(NULL, key, strlen(key),
		    (int32_t)o->partitions, NULL, NULL);
	}
}

void
order_begin(struct order *o, struct helper *h, unsigned partitions)
{
	static unsigned number;

	*o = (struct order){ .helper = h, .partitions = partitions,
	    .start_ms = clock_mono_ms() };
	snprintf(o->topic, sizeof(o->topic), "order%u", number++);
	mock_topic(&mock, o->topic, (int)partitions);
	for (unsigned i = 0; i < partitions; i++) {
		find_key(o, i);
		assert_int_equal(rd_kafka_mock_partition_set_leader(mock.cluster, o->topic,
		    (int32_t)i, 1 + (int32_t)i % ORDER_BROKERS), 0);
	}
	peer_open(&o->peer, h);
}

void
order_finish(struct order *o)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;

	order_slow(false);
	mock_up(&mock);
	order_settle(o);
	for (unsigned b = 1; b <= ORDER_BROKERS; b++)
		while (order_left(b)) {
			if (clock_mono_ms() > until)
				fail_msg("%s: %zu errors of broker %u were not met", o->topic,
				    order_left(b), b);
			order_send(o, o->partitions);
			order_settle(o);
		}
}

static struct order_message *
message_of(struct order *o, const char *value)
{
	unsigned n;
	char end;

	if (sscanf(value, "m%u%c", &n, &end) != 1 || n >= o->sent)
		fail_msg("nobody sent \"%.60s\"", value);
	return &o->v[n];
}

static void
read_dead_letters(struct order *o)
{
	struct msg_list m = { .dead = true, .with_bodies = true,
	    .topic = kp_slice_str(o->topic), .limit = ROWS_MAX };

	do {
		struct msg_rows r;
		char value[16];

		assert_err(peer_list(&o->peer, &m, &r), KP_OK);
		for (size_t i = 0; i < r.n; i++) {
			snprintf(value, sizeof(value), "%.*s", (int)r.v[i].value.n,
			    (const char *)r.v[i].value.p);
			message_of(o, value)->dead = true;
		}
		m.after = r.next;
		msg_rows_free(&r);
	} while (m.after);
}

static void
read_records(struct order *o)
{
	unsigned newest[ORDER_KEYS] = { 0 };
	struct mock_records r;

	mock_read(&mock, o->topic, 1, PEER_WAIT_MS, &r);
	for (size_t i = 0; i < r.n; i++) {
		struct order_message *m = message_of(o, r.v[i].value);
		unsigned n = (unsigned)(m - o->v), key = n % o->partitions;

		assert_string_equal(r.v[i].key, o->keys[key]);
		assert_int_equal(r.v[i].partition, key);
		if (m->copies++)
			continue;
		if (n < newest[key] && o->overtaken++ == 0)
			snprintf(o->example, sizeof(o->example), ", the first: m%u after m%u",
			    n, newest[key]);
		if (n > newest[key])
			newest[key] = n;
	}
	mock_records_free(&r);
}

static void
add_up(struct order *o)
{
	for (unsigned i = 0; i < o->sent; i++) {
		const struct order_message *m = &o->v[i];

		o->twice += m->copies > 1;
		o->lost += m->fate == ORDER_KEPT && m->copies == 0 && !m->dead;
		o->dead += m->dead;
		o->refused += m->fate == ORDER_REFUSED;
		o->unknown += m->fate == ORDER_UNKNOWN;
		if (m->copies && (m->dead || m->fate == ORDER_REFUSED))
			fail_msg("m%u was refused, and is there", i);
	}
}

void
order_check(struct order *o, const char *what, bool once)
{
	read_dead_letters(o);
	read_records(o);
	add_up(o);
	print_message("order: %s, partitions=%u: messages=%u errors=%u overtaken=%u twice=%u"
	    " lost=%u dead=%u refused=%u unknown=%u ms=%lld\n", what, o->partitions, o->sent,
	    o->errors, o->overtaken, o->twice, o->lost, o->dead, o->refused, o->unknown,
	    (long long)(clock_mono_ms() - o->start_ms));
	if (o->lost)
		fail_msg("%s: LOST %u of %u", what, o->lost, o->sent);
	if (once && o->twice)
		fail_msg("%s: %u of %u are there twice", what, o->twice, o->sent);
	/* only one that was sent alone is known to be the one that was meant */
	if (o->dead + o->refused > o->refusals)
		fail_msg("%s: %u dead letters and %u refused, of %u refusals", what, o->dead,
		    o->refused, o->refusals);
	if (o->overtaken)
		fail_msg("%s: %u of %u out of order%s", what, o->overtaken, o->sent, o->example);
	peer_close(&o->peer);
}

void
order_run(struct order *o, struct helper *h, const struct order_plan *p)
{
	order_begin(o, h, p->partitions);
	if (!p->fresh) {
		order_send(o, p->partitions);
		order_settle(o);
	}
	order_slow(true);
	send_paced(o, p);
	order_finish(o);
	order_check(o, p->what, p->once);
}
