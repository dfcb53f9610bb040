/* The load and its accounts. */
#include "tests/it/load.h"

#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

#define REQUEST_MS 8000

/* ---- sending, and what is answered ---- */

static void
conn_open(struct load *l, struct load_conn *c)
{
	peer_open(&c->peer, l->helper);
	c->first = c->n;
}

void
load_open(struct load *l, struct helper *h, unsigned sequence, unsigned window)
{
	char topics[LOAD_TOPICS][32];

	memcpy(topics, l->topics, sizeof(topics));
	memset(l, 0, sizeof(*l));
	memcpy(l->topics, topics, sizeof(topics));
	l->helper = h;
	l->sequence = sequence;
	for (unsigned i = 0; i < LOAD_CONNS; i++) {
		struct load_conn *c = &l->conns[i];

		c->number = i;
		c->topic = i % LOAD_TOPICS;
		c->window = 1 + (window + i * 5) % 16;
		snprintf(c->key, sizeof(c->key), "k%u", i);
		conn_open(l, c);
	}
}

static void
conn_gone(struct load_conn *c)
{
	for (unsigned i = c->answered; i < c->n; i++)
		if (c->v[i].fate == FATE_WAITING)
			c->v[i].fate = FATE_UNKNOWN;
	c->answered = c->n;
	c->waiting = 0;
	peer_close(&c->peer);
}

void
load_reopen(struct load *l)
{
	for (unsigned i = 0; i < LOAD_CONNS; i++) {
		conn_gone(&l->conns[i]);
		conn_open(l, &l->conns[i]);
	}
}

void
load_close(struct load *l)
{
	for (unsigned i = 0; i < LOAD_CONNS; i++)
		conn_gone(&l->conns[i]);
}

static void
send_one(struct load *l, struct load_conn *c, bool sync)
{
	struct load_message *m = &c->v[c->n];
	char value[64];

	snprintf(value, sizeof(value), "s%u.c%u.m%u", l->sequence, c->number, c->n);
	m->sync = sync;
	c->n++;
	c->waiting++;
	l->sent++;
	peer_ask_produce(&c->peer, &(struct msg_produce){ kp_slice_str(l->topics[c->topic]),
	    kp_slice_str(c->key), kp_slice_str(value), sync }, REQUEST_MS);
}

unsigned
load_send(struct load *l, unsigned n, unsigned sync_every)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < LOAD_CONNS; i++) {
		struct load_conn *c = &l->conns[i];

		while (sent < n && c->waiting < c->window && c->n < LOAD_MAX) {
			send_one(l, c, (l->sent + 1) % sync_every == 0);
			sent++;
		}
	}
	return sent;
}

enum fate
load_fate(enum kp_err err, struct kp_slice text)
{
	static const char not_sent[] = "nothing was sent";

	switch (err) {
	case KP_ETOOBIG:
	case KP_EDENIED:
	case KP_ENOTFOUND:
	case KP_EKAFKA:
		return FATE_REFUSED;
	default:
		return memmem(text.p, text.n, not_sent, sizeof(not_sent) - 1) ?
		    FATE_NOT_SENT : FATE_UNKNOWN;
	}
}

static void
take_one(struct load *l, struct load_conn *c, const struct wire_frame *f)
{
	unsigned number = c->first + f->id - 1;
	struct load_message *m = &c->v[number];
	struct msg_produced r;
	struct msg_error e;

	assert_in_range(f->id, 1, c->n - c->first);
	assert_int_equal(m->fate, FATE_WAITING);
	if (f->type == MSG_PRODUCED) {
		assert_err(msg_produced_decode(f->body, &r), KP_OK);
		m->fate = FATE_KEPT;
		m->partition = r.partition;
		m->offset = r.offset;
		m->id = r.id;
		l->kept++;
	} else {
		assert_string_equal(msg_type_name(f->type), msg_type_name(MSG_ERROR));
		assert_err(msg_error_decode(f->body, &e), KP_OK);
		m->fate = load_fate(e.err, e.text);
		l->refused += m->fate == FATE_REFUSED;
	}
	c->waiting--;
	while (c->answered < c->n && c->v[c->answered].fate != FATE_WAITING)
		c->answered++;
}

void
load_take(struct load *l, int wait_ms)
{
	struct pollfd fds[LOAD_CONNS];
	struct wire_frame f;

	for (unsigned i = 0; i < LOAD_CONNS; i++)
		fds[i] = (struct pollfd){ l->conns[i].peer.fd, POLLIN, 0 };
	if (poll(fds, LOAD_CONNS, wait_ms) <= 0)
		return;
	for (unsigned i = 0; i < LOAD_CONNS; i++)
		if (fds[i].revents)
			while (l->conns[i].waiting && peer_recv(&l->conns[i].peer, &f, 0))
				take_one(l, &l->conns[i], &f);
}

void
load_take_all(struct load *l)
{
	for (unsigned i = 0; i < LOAD_CONNS; i++) {
		struct load_conn *c = &l->conns[i];
		struct wire_frame f;

		while (c->waiting) {
			if (!peer_recv(&c->peer, &f, PEER_WAIT_MS))
				fail_msg("sequence %u: %u answers of connection %u do not come",
				    l->sequence, c->waiting, i);
			take_one(l, c, &f);
		}
	}
}

/* ---- the accounts ---- */

bool
load_permanent(const char *text)
{
	static const rd_kafka_resp_err_t errors[] = {
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_INVALID_RECORD,
		RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
		RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
	};

	for (size_t i = 0; i < COUNT(errors); i++)
		if (strstr(text, rd_kafka_err2str(errors[i])))
			return true;
	return false;
}

/* False: of another sequence. */
static bool
parse(const struct load *l, const char *value, unsigned *conn, unsigned *number)
{
	unsigned sequence;
	char end;

	if (sscanf(value, "s%u.c%u.m%u%c", &sequence, conn, number, &end) != 3)
		fail_msg("nobody sent \"%.60s\"", value);
	if (sequence != l->sequence)
		return false;
	if (*conn >= LOAD_CONNS || *number >= l->conns[*conn].n)
		fail_msg("nobody sent \"%.60s\"", value);
	return true;
}

static void
take_dead_letter(struct load *l, const struct msg_row *row)
{
	char value[64], reason[256];
	struct load_message *m;
	unsigned conn, number;

	snprintf(value, sizeof(value), "%.*s", (int)row->value.n, (const char *)row->value.p);
	snprintf(reason, sizeof(reason), "%.*s", (int)row->reason.n, (const char *)row->reason.p);
	if (!parse(l, value, &conn, &number))
		return;
	m = &l->conns[conn].v[number];
	if (!load_permanent(reason))
		fail_msg("%s is a dead letter: %s", value, reason);
	if (m->fate == FATE_KEPT && (m->sync || m->id != row->id))
		fail_msg("%s is a dead letter under the id %lld, not %lld", value,
		    (long long)row->id, (long long)m->id);
	l->dead += !m->dead;
	m->dead = true;
}

static void
read_dead_letters(struct load *l, unsigned topic)
{
	struct msg_list m = { .dead = true, .with_bodies = true,
	    .topic = kp_slice_str(l->topics[topic]), .limit = ROWS_MAX };
	struct peer p;

	peer_open(&p, l->helper);
	do {
		struct msg_rows r;

		assert_err(peer_list(&p, &m, &r), KP_OK);
		for (size_t i = 0; i < r.n; i++)
			take_dead_letter(l, &r.v[i]);
		m.after = r.next;
		msg_rows_free(&r);
	} while (m.after);
	peer_close(&p);
}

static void
count_copies(struct load *l, unsigned topic, const struct mock_records *r)
{
	for (unsigned i = topic; i < LOAD_CONNS; i += LOAD_TOPICS)
		for (unsigned k = 0; k < l->conns[i].n; k++)
			l->conns[i].v[k].copies = 0;
	for (size_t i = 0; i < r->n; i++) {
		struct load_message *m;
		unsigned conn, number;

		if (!parse(l, r->v[i].value, &conn, &number))
			continue;
		assert_int_equal(l->conns[conn].topic, topic);
		assert_string_equal(r->v[i].key, l->conns[conn].key);
		m = &l->conns[conn].v[number];
		if (m->copies++ == 0)
			m->first_copy = i;
		if (r->v[i].partition == m->partition && r->v[i].offset == m->offset)
			m->there = true;
	}
}

/* Messages of the topic that were answered 200 and are nowhere. */
static unsigned
missing(const struct load *l, unsigned topic, const struct load_message **first)
{
	unsigned n = 0;

	for (unsigned i = topic; i < LOAD_CONNS; i += LOAD_TOPICS)
		for (unsigned k = 0; k < l->conns[i].n; k++) {
			const struct load_message *m = &l->conns[i].v[k];

			if (m->fate != FATE_KEPT || m->copies || m->dead)
				continue;
			if (n++ == 0)
				*first = m;
		}
	return n;
}

/* What is late is still there. */
static int64_t
pending(const struct load *l)
{
	struct msg_status s;
	struct peer p;

	peer_open(&p, l->helper);
	assert_err(peer_status(&p, &s), KP_OK);
	peer_close(&p);
	return s.pending;
}

static void
wait_for_all(struct load *l, struct mock *m, unsigned topic)
{
	int64_t until = clock_mono_ms() + LOAD_WAIT_MS;
	const struct load_message *first = NULL;
	struct mock_records r;
	unsigned lost;

	do {
		mock_read(m, l->topics[topic], 1, 1000, &r);
		read_dead_letters(l, topic);
		count_copies(l, topic, &r);
		mock_records_free(&r);
		lost = missing(l, topic, &first);
	} while (lost && clock_mono_ms() < until);
	if (lost)
		fail_msg("sequence %u: LOST %u of %s, the first: id %lld, %s; pending are %lld",
		    l->sequence, lost, l->topics[topic], (long long)first->id,
		    first->sync ? "sync" : "async", (long long)pending(l));
}

static void
check_order(const struct load *l, const struct load_conn *c, unsigned number)
{
	const struct load_message *m = &c->v[number];

	for (unsigned i = 0; i < number; i++) {
		const struct load_message *e = &c->v[i];

		if (!e->sync && e->fate == FATE_KEPT && e->copies && e->first_copy > m->first_copy)
			fail_msg("s%u.c%u.m%u comes before m%u, which was sent before",
			    l->sequence, c->number, number, i);
	}
}

static void
check_one(struct load *l, const struct load_conn *c, unsigned number, unsigned what)
{
	const struct load_message *m = &c->v[number];
	bool clean = what & LOAD_CLEAN, mild = what & LOAD_MILD;
	char name[64];

	snprintf(name, sizeof(name), "s%u.c%u.m%u", l->sequence, c->number, number);
	l->dup += m->copies > 1 ? m->copies - 1 : 0;
	l->unknown += m->fate == FATE_UNKNOWN;
	if (m->sync && m->fate == FATE_KEPT && !m->there)
		fail_msg("%s is not at partition %d offset %lld", name, m->partition,
		    (long long)m->offset);
	if (m->fate == FATE_NOT_SENT && m->copies)
		fail_msg("%s was not sent, and is there", name);
	if (m->dead && m->fate != FATE_KEPT && m->fate != FATE_UNKNOWN)
		fail_msg("%s was not answered 200, and is a dead letter", name);
	if (clean && m->copies > 1)
		fail_msg("%s is there %u times", name, m->copies);
	if (clean && m->copies && (m->fate == FATE_REFUSED || m->dead))
		fail_msg("%s was refused, and is there", name);
	if (mild && (m->dead || (!m->sync && m->fate == FATE_REFUSED)))
		fail_msg("%s was refused, and nothing was wrong with it", name);
	if (!m->sync && m->copies)
		check_order(l, c, number);
}

void
load_check(struct load *l, struct mock *m, unsigned what)
{
	for (unsigned t = 0; t < LOAD_TOPICS; t++)
		wait_for_all(l, m, t);
	for (unsigned i = 0; i < LOAD_CONNS; i++)
		for (unsigned k = 0; k < l->conns[i].n; k++)
			check_one(l, &l->conns[i], k, what);
	if ((what & LOAD_MILD) && l->dead)
		fail_msg("sequence %u: %u dead letters, and nothing was wrong with them",
		    l->sequence, l->dead);
}
