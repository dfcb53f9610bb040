/* Offers against a model that knows nothing but arrays: what may be committed is the
 * lowest offset that is not done, and what is committed with it is exactly the rest. */
#include "helper/consume/offers.h"
#include "tests/unit/unit.h"

static int dropped;

static void
drop(void *message)
{
	(void)message;
	dropped++;
}

static char token;

static struct offer *
add(struct offers *o, int64_t offset)
{
	return offers_add(o, offset, &token, 1);
}

static enum offers_ack
ack(struct offers *o, int64_t offset)
{
	void *message;

	return offers_ack(o, offset, &message);
}

static void
assert_ranges(const struct offers *o, const char *want)
{
	struct sparse_text t;

	offers_ranges(o, &t);
	assert_string_equal(t.p, want);
}

static void
test_in_order(void **state)
{
	struct offers o;
	struct offer *a, *b;

	(void)state;
	offers_init(&o, 7, 7);
	assert_int_equal(offers_commit(&o), 7);
	a = add(&o, 7);
	b = add(&o, 9);			/* 8 was compacted away */
	assert_int_equal(offers_commit(&o), 7);
	assert_ptr_equal(offers_confirm(&o, a), &token);
	assert_int_equal(offers_commit(&o), 9);
	assert_ptr_equal(offers_confirm(&o, b), &token);
	assert_int_equal(offers_commit(&o), 10);
	assert_int_equal(o.n, 0);
	assert_ranges(&o, "");
}

static void
test_lowest_unconfirmed_holds(void **state)
{
	struct offers o;
	struct offer *f[3];

	(void)state;
	offers_init(&o, 0, 0);
	for (int i = 0; i < 3; i++)
		f[i] = add(&o, i);
	offers_confirm(&o, f[2]);
	offers_confirm(&o, f[1]);
	assert_int_equal(offers_commit(&o), 0);
	assert_ranges(&o, "BC");
	offers_return(&o, f[0]);
	assert_int_equal(offers_commit(&o), 0);
	assert_ptr_equal(offers_again(&o), f[0]);
	assert_null(offers_again(&o));
	offers_confirm(&o, f[0]);
	assert_int_equal(offers_commit(&o), 3);
	assert_ranges(&o, "");
}

static void
test_returned_come_back_lowest_first(void **state)
{
	struct offers o;
	struct offer *f[4];

	(void)state;
	offers_init(&o, 10, 10);
	for (int i = 0; i < 4; i++)
		f[i] = add(&o, 10 + i);
	offers_return(&o, f[3]);
	offers_return(&o, f[1]);
	assert_ptr_equal(offers_again(&o), f[1]);
	assert_ptr_equal(offers_again(&o), f[3]);
	dropped = 0;
	offers_clear(&o, drop);
	assert_int_equal(dropped, 4);
	assert_int_equal(offers_commit(&o), 10);
}

/* Marks of transactions, and what was aborted. */
static void
test_passes_over_what_has_no_messages(void **state)
{
	struct offers o;
	struct offer *a, *b;
	uint64_t changes;

	(void)state;
	offers_init(&o, 7, 20);
	offers_pass(&o, 9);
	assert_int_equal(offers_commit(&o), 9);
	a = add(&o, 9);
	b = add(&o, 11);
	offers_pend(&o, b, 1);
	offers_pass(&o, 15);
	assert_int_equal(offers_commit(&o), 9);
	assert_ranges(&o, "BBBD");
	offers_confirm(&o, a);
	assert_int_equal(offers_commit(&o), 11);
	assert_int_equal(ack(&o, 17), OFFERS_DONE);
	assert_int_equal(ack(&o, 11), OFFERS_DONE);
	assert_int_equal(offers_commit(&o), 15);
	assert_int_equal(ack(&o, 14), OFFERS_AGAIN);
	changes = o.changes;
	offers_pass(&o, 15);
	offers_pass(&o, 9);
	assert_int_equal(o.changes, changes);
	/* Up to what was acknowledged before it was read, and into it. */
	offers_pass(&o, 17);
	assert_int_equal(offers_commit(&o), 18);
	offers_pass(&o, 19);
	assert_int_equal(offers_commit(&o), 19);
	assert_ranges(&o, "");
	offers_clear(&o, drop);
}

static void
test_bounds(void **state)
{
	struct offers o;

	(void)state;
	offers_init(&o, 0, 0);
	for (int i = 0; i < OFFERS_MAX; i++) {
		assert_false(offers_full(&o));
		offers_pend(&o, add(&o, i), 1);
	}
	assert_true(offers_full(&o));
	assert_int_equal(ack(&o, 500), OFFERS_DONE);
	assert_false(offers_full(&o));
	/* What is done takes no room, whatever it waits for. */
	for (int i = 0; i < 10 * OFFERS_MAX; i++)
		offers_confirm(&o, add(&o, OFFERS_MAX + i));
	assert_false(offers_full(&o));
	assert_int_equal(offers_commit(&o), 0);
	offers_clear(&o, drop);
	offers_init(&o, 0, 0);
	offers_add(&o, 0, &token, OFFERS_BYTES_MAX);
	assert_true(offers_full(&o));
	offers_clear(&o, drop);
}

/* In the order of their deadlines, and each once. */
static void
test_expiry(void **state)
{
	struct offers o;
	struct offer *f[3];

	(void)state;
	offers_init(&o, 0, 0);
	for (int i = 0; i < 3; i++)
		f[i] = add(&o, i);
	offers_pend(&o, f[2], 100);
	offers_pend(&o, f[0], 200);
	offers_pend(&o, f[1], 200);
	assert_int_equal(offers_expire(&o, 99), 0);
	assert_int_equal(offers_expire(&o, 100), 1);
	assert_ptr_equal(offers_again(&o), f[2]);
	assert_int_equal(ack(&o, 0), OFFERS_DONE);
	assert_int_equal(ack(&o, 0), OFFERS_AGAIN);
	assert_int_equal(offers_expire(&o, 1000), 1);
	assert_int_equal(ack(&o, 1), OFFERS_DONE);	/* late */
	assert_null(offers_again(&o));
	assert_int_equal(offers_commit(&o), 2);
	assert_int_equal(ack(&o, 2), OFFERS_DONE);	/* late, and out again */
	assert_int_equal(o.n + o.out + o.pending + o.returned + o.bytes, 0);
	assert_int_equal(ack(&o, 3), OFFERS_NEVER);
	assert_int_equal(ack(&o, INT64_MAX), OFFERS_NEVER);
}

/* A new owner knows what the one before had handed out only by where it ended. */
static void
test_acknowledged_before_it_is_read(void **state)
{
	const struct sparse_range v[] = { { 12, 14 }, { 16, 17 } };
	struct offers o;

	(void)state;
	offers_init(&o, 10, 20);
	assert_true(offers_restore(&o, v, 2));
	assert_ranges(&o, "CCCB");
	assert_int_equal(ack(&o, 13), OFFERS_AGAIN);
	assert_int_equal(ack(&o, 15), OFFERS_DONE);
	assert_int_equal(ack(&o, 14), OFFERS_DONE);
	assert_ranges(&o, "CF");
	assert_int_equal(ack(&o, 10), OFFERS_DONE);
	assert_int_equal(offers_commit(&o), 11);
	assert_int_equal(ack(&o, 11), OFFERS_DONE);
	assert_int_equal(offers_commit(&o), 17);
	assert_ranges(&o, "");
	for (int i = 10; i < 17; i++)
		assert_true(offers_skip(&o, i));
	assert_false(offers_skip(&o, 17));
	assert_int_equal(offers_commit(&o), 17);
	assert_int_equal(ack(&o, 20), OFFERS_NEVER);
	offers_clear(&o, drop);
	/* Ranges past the end were never handed out: somebody's text that looks like some. */
	offers_init(&o, 10, 16);
	assert_false(offers_restore(&o, v, 2));
	assert_ranges(&o, "");
	offers_clear(&o, drop);
}

static void
test_too_many_ranges_leave_out_the_highest(void **state)
{
	static struct sparse_range got[SPARSE_MAX];
	struct sparse_text t;
	struct offers o;
	size_t n;

	(void)state;
	offers_init(&o, 0, 3 * SPARSE_MAX);
	for (int i = 0; i < SPARSE_MAX; i++)
		assert_int_equal(ack(&o, 2 * i + 1), OFFERS_DONE);
	assert_int_equal(ack(&o, 2 * SPARSE_MAX + 1), OFFERS_FULL);
	assert_int_equal(ack(&o, 2 * SPARSE_MAX), OFFERS_DONE);
	offers_ranges(&o, &t);
	assert_true(t.n <= METADATA_MAX);
	offers_clear(&o, drop);
	/* A thousand ranges, each long and far from the next. */
	offers_init(&o, 0, 0);
	for (int64_t i = 0; i < OFFERS_MAX; i++) {
		add(&o, i << 32);
		offers_confirm(&o, add(&o, (i << 32) + (1 << 30)));
	}
	offers_ranges(&o, &t);
	assert_in_range(t.n, METADATA_MAX - 20, METADATA_MAX);
	assert_err(sparse_decode(kp_slice_str(t.p), 0, got, &n), KP_OK);
	assert_int_equal(got[0].from, 1);
	assert_int_equal(n, METADATA_MAX / 8);
	offers_clear(&o, drop);
}

/* ---- against a model ---- */

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
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_lowest_unconfirmed_holds),
		cmocka_unit_test(test_returned_come_back_lowest_first),
		cmocka_unit_test(test_passes_over_what_has_no_messages),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_acknowledged_before_it_is_read),
		cmocka_unit_test(test_too_many_ranges_leave_out_the_highest),
		cmocka_unit_test(test_against_model),
	};

	unit_filter();
	return cmocka_run_group_tests_name("offers", tests, NULL, NULL);
}
