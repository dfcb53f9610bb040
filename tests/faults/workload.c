/* See workload.h. */
#include "tests/faults/workload.h"

#include <string.h>

#define FIRST_MS INT64_C(1700000000000)

const char *const workload_topics[] = { "alpha", "beta.b", "gamma-c", "delta_d" };

uint64_t
rng_next(struct rng *r)
{
	uint64_t z = r->x += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

unsigned
rng_below(struct rng *r, unsigned n)
{
	return (unsigned)(rng_next(r) % n);
}

struct rng
rng_of(unsigned seed, uint64_t what)
{
	struct rng r = { ((uint64_t)seed << 32) ^ what };

	r.x = rng_next(&r);
	return r;
}

static void
fill(struct rng *r, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t x = rng_next(r);

		memcpy(p + i, &x, n - i < 8 ? n - i : 8);
	}
}

/* Mostly small; some that need a chain of pages; some with nothing in them. */
static size_t
value_bytes(struct rng *r)
{
	static const unsigned most[] = { 1, 100, 100, 100, 200, 200, 500, 1000, 3000, VALUE_MAX };

	return rng_below(r, most[rng_below(r, sizeof(most) / sizeof(most[0]))] + 1);
}

struct store_row
workload_row(unsigned seed, unsigned n, struct message_room *room)
{
	struct rng r = rng_of(seed, n);
	struct store_row row = { .accepted_ms = FIRST_MS + n };
	unsigned key = rng_below(&r, 4);

	row.topic = kp_slice_str(workload_topics[rng_below(&r, WORKLOAD_TOPICS)]);
	fill(&r, room->key, sizeof(room->key));
	if (key)
		row.key = (struct kp_slice){ room->key,
		    key == 1 ? 0 : rng_below(&r, sizeof(room->key)) };
	row.value = (struct kp_slice){ room->value, value_bytes(&r) };
	fill(&r, room->value, row.value.n);
	return row;
}

bool
workload_number(const struct store_row *row, unsigned *n)
{
	if (row->accepted_ms < FIRST_MS || row->accepted_ms >= FIRST_MS + MESSAGES_MAX)
		return false;
	*n = (unsigned)(row->accepted_ms - FIRST_MS);
	return true;
}

const char *
workload_compare(unsigned seed, unsigned n, const struct store_row *row)
{
	static _Thread_local struct message_room room;
	struct store_row want = workload_row(seed, n, &room);

	if (row->topic.p && !kp_slice_eq(row->topic, want.topic))
		return "topic";
	if ((row->key.p == NULL) != (want.key.p == NULL) || !kp_slice_eq(row->key, want.key))
		return "key";
	return kp_slice_eq(row->value, want.value) ? NULL : "value";
}

void
loading_found(void *arg, enum kp_err err, struct store_loaded *rows)
{
	*(struct loading *)arg = (struct loading){ true, err, rows };
}
