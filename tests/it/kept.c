/* See kept.h. */
#include "tests/it/kept.h"

#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

void
kept_topic(const char *topic, int partitions)
{
	struct msg_produced r;

	mock_topic(&mock, topic, partitions);
	assert_err(peer_produce(&peer, topic, "k", "known", true, &r), KP_OK);
}

void
kept_expect(int64_t accepted, int64_t pending, int64_t dead, int64_t dropped)
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

int64_t
kept_accept(const char *topic, const char *key, const char *value)
{
	struct msg_produced r;

	assert_err(peer_produce(&peer, topic, key, value, false, &r), KP_OK);
	assert_true(r.id > 0);
	return r.id;
}

void
kept_find(int64_t id, uint8_t state, struct msg_receipt *r)
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

void
kept_find_nothing(int64_t id)
{
	struct msg_receipt r;

	assert_err(peer_find(&peer, id, &r), KP_ENOTFOUND);
}

void
kept_refuse(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
		    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	mock_up(&mock);
}

void
kept_refuse_no_more(void)
{
	rd_kafka_mock_clear_request_errors(mock.cluster, MOCK_PRODUCE);
}

void
kept_bury(const char *topic, const char *prefix, unsigned n, int64_t *ids)
{
	struct msg_receipt r;

	mock_down(&mock);
	for (unsigned i = 0; i < n; i++) {
		char value[64];

		snprintf(value, sizeof(value), "%s%u", prefix, i);
		ids[i] = kept_accept(topic, "k", value);
	}
	kept_refuse(2 * n + 20);
	for (unsigned i = 0; i < n; i++)
		kept_find(ids[i], RECEIPT_DEAD, &r);
	kept_refuse_no_more();
}

int64_t
kept_act(uint8_t type, int64_t *ids, size_t n, int64_t *missing)
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
