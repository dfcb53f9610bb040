/* Offers against a model that knows nothing but arrays: what may be committed is the
 * lowest offset that is not done, and what is committed with it is exactly the rest. */
#include "tests/unit/offers_fixture.h"

#define LOG 120
#define TIMEOUT 50

enum fate { UNREAD, OUT, RETURNED, PENDING, DONE };

/* A partition, its consumers, and what Kafka has of the group. */
static struct model {
	struct offers o;
	bool exists[LOG];		/* else compacted away */
	enum fate fate[LOG];
	bool acked[LOG];		/* also what was not read in this life */
	int64_t due[LOG];
	int end;			/* messages so far */
	int started_at;			/* `end` when this life began */
	int read;
	int64_t now;
	int64_t committed;
	char metadata[METADATA_MAX + 1];
	bool acked_then[LOG];		/* when that was committed */
} m;

static struct {
	unsigned sequences, offers, acks, late, doubled, early, never, expired;
	unsigned restarts, rebalances, skipped, lost;
} count;

static int
lowest_not_acked(void)
{
	for (int i = 0; i < LOG; i++)
		if (m.exists[i] && !m.acked[i] && (i < m.end))
			return i;
	return m.end;
}

/* The text says of each message above the offset whether it is done. */
static void
check_commit(void)
{
	static struct sparse_range v[SPARSE_MAX];
	int64_t commit = offers_commit(&m.o);
	struct sparse_text t;
	size_t n, k = 0;

	assert_true(commit <= lowest_not_acked());
	/* A hole that was not read yet might be a message. */
	for (int i = (int)commit; i < lowest_not_acked() && i < m.o.read; i++)
		assert_false(m.exists[i] && m.acked[i]);
	offers_ranges(&m.o, &t);
	assert_err(sparse_decode(kp_slice_str(t.p), commit, v, &n), KP_OK);
	for (int i = (int)commit; i < m.end; i++) {
		while (k < n && v[k].to <= i)
			k++;
		if (m.exists[i])
			assert_int_equal(k < n && v[k].from <= i, m.acked[i]);
	}
}

static void
commit(void)
{
	struct sparse_text t;

	offers_ranges(&m.o, &t);
	m.committed = offers_commit(&m.o);
	memcpy(m.metadata, t.p, t.n + 1);
	memcpy(m.acked_then, m.acked, sizeof(m.acked));
}

/* From what is committed, as any host would. */
static void
start(void)
{
	static struct sparse_range v[SPARSE_MAX];
	size_t n;

	offers_clear(&m.o, drop);
	assert_err(sparse_decode(kp_slice_str(m.metadata), m.committed, v, &n), KP_OK);
	offers_init(&m.o, m.committed, m.end);
	assert_true(offers_restore(&m.o, v, n));
	m.started_at = m.end;
	m.read = (int)m.committed;
	memcpy(m.acked, m.acked_then, sizeof(m.acked));
	for (int i = 0; i < LOG; i++)
		m.fate[i] = i < m.committed ? DONE : UNREAD;
}

static void
step_read(void)
{
	struct offer *f;

	while (m.read < m.end && !m.exists[m.read])
		m.read++;
	if (m.read == m.end)
		return;
	assert_int_equal(offers_skip(&m.o, m.read), m.acked[m.read]);
	if (m.acked[m.read]) {
		m.fate[m.read++] = DONE;
		count.skipped++;
		return;
	}
	f = add(&m.o, m.read);
	assert_non_null(f);
	m.fate[m.read++] = OUT;
	count.offers++;
}

static void
step_again(void)
{
	struct offer *f = offers_again(&m.o);
	int i = 0;

	while (i < LOG && m.fate[i] != RETURNED)
		i++;
	assert_int_equal(f ? f->offset : LOG, i);
	if (f)
		m.fate[i] = OUT;
}

static void
step_out(int i)
{
	struct offer *f = offers_find(&m.o, i);

	if (m.fate[i] != OUT)
		return;
	assert_non_null(f);
	switch (random() % 5) {
	case 0:
		offers_return(&m.o, f);
		m.fate[i] = RETURNED;
		break;
	case 1:
		offers_confirm(&m.o, f);
		m.fate[i] = DONE;
		m.acked[i] = true;
		break;
	default:
		offers_pend(&m.o, f, m.now + TIMEOUT);
		m.fate[i] = PENDING;
		m.due[i] = m.now + TIMEOUT;
	}
}

static void
step_ack(int i)
{
	enum offers_ack got = ack(&m.o, i);

	if (m.exists[i] && i < m.end && m.acked[i]) {
		assert_int_equal(got, OFFERS_AGAIN);
		count.doubled++;
	} else if (m.fate[i] == UNREAD && i >= m.started_at && i >= m.read) {
		assert_int_equal(got, OFFERS_NEVER);
		count.never++;
	} else if (m.exists[i]) {
		assert_int_equal(got, OFFERS_DONE);
		count.acks++;
		count.late += m.fate[i] == RETURNED;
		count.early += m.fate[i] == UNREAD;
		m.acked[i] = true;
		if (m.fate[i] != UNREAD)
			m.fate[i] = DONE;
	}
}

static void
step_time(void)
{
	size_t n = 0;

	m.now += random() % (TIMEOUT / 2);
	for (int i = 0; i < LOG; i++)
		if (m.fate[i] == PENDING && m.due[i] <= m.now) {
			m.fate[i] = RETURNED;
			n++;
		}
	assert_int_equal(offers_expire(&m.o, m.now), n);
	count.expired += (unsigned)n;
}

static void
step(void)
{
	int i = (int)(random() % LOG);

	switch (random() % 24) {
	case 0: case 1: case 2: case 3: case 4:
		step_read();
		break;
	case 5: case 6:
		step_again();
		break;
	case 7: case 8: case 9: case 10: case 11: case 12:
		step_out(m.read ? i % m.read : 0);
		break;
	case 13: case 14: case 15: case 16:
		if (i < m.end)
			step_ack(i);
		break;
	case 17:
		for (int k = 0; k < m.read && random() % 2; k++)
			if (m.fate[k] == RETURNED)
				i = k;
		step_ack(i);
		break;
	case 18:
		step_time();
		break;
	case 19: case 20:
		commit();
		break;
	case 21:
		if (m.end < LOG)
			m.end += (int)(random() % (LOG - m.end)) + 1;
		break;
	case 22:
		if (random() % 3 == 0) {
			start();
			count.restarts++;
		}
		break;
	default:
		if (random() % 3 == 0) {
			commit();
			start();
			count.rebalances++;
		}
	}
}

/* Everything that is not done comes, and then everything is committed. */
static void
drain(void)
{
	for (int i = 0; i < 3 * LOG; i++) {
		m.now += TIMEOUT;
		step_time();
		step_again();
		step_read();
		for (int k = 0; k < m.read; k++)
			if (m.fate[k] == OUT)
				step_ack(k);
	}
	for (int i = 0; i < m.end; i++)
		count.lost += m.exists[i] && !m.acked[i];
	assert_int_equal(lowest_not_acked(), m.end);
	check_commit();
	assert_int_equal(m.o.n, 0);
}

static void
test_against_model(void **state)
{
	unsigned seed = unit_seed(), rounds = unit_rounds(1000, 100000);

	(void)state;
	srandom(seed);
	print_message("acks: seed=%u\n", seed);
	for (; count.sequences < rounds; count.sequences++) {
		bool holes = random() % 2;

		m = (struct model){ .end = (int)(random() % LOG) };
		for (int i = 0; i < LOG; i++)
			m.exists[i] = !holes || random() % 4;
		offers_init(&m.o, 0, m.end);
		m.started_at = m.end;
		for (int i = 0; i < 400; i++) {
			step();
			check_commit();
		}
		drain();
		offers_clear(&m.o, drop);
	}
	print_message("acks: sequences=%u offers=%u acks=%u late=%u doubled=%u early=%u never=%u "
	    "expired=%u restarts=%u rebalances=%u skipped=%u lost=%u seed=%u\n", count.sequences,
	    count.offers, count.acks, count.late, count.doubled, count.early, count.never,
	    count.expired, count.restarts, count.rebalances, count.skipped, count.lost, seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
	};

	unit_filter();
	return cmocka_run_group_tests_name("offers against a model", tests, NULL, NULL);
}
