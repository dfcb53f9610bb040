/*
 * Range assignment: known vectors, and random groups against an oracle that knows no
 * formula: it sorts the takers and deals partitions out to them one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper/coordination/assign.h"

#define MEMBERS_MAX 12
#define THREADS_MAX 4
#define TAKERS_MAX (MEMBERS_MAX * THREADS_MAX)
#define PARTITIONS_MAX 64
#define ROUNDS 2000

static void
check_vector(int32_t partitions, size_t takers, const int32_t *want)
{
	int32_t next = 0;

	for (size_t i = 0; i < takers; i++) {
		struct assign_range r = assign_range(partitions, takers, i);

		assert_int_equal(r.first, next);
		assert_int_equal(r.n, want[i]);
		next += r.n;
	}
	assert_int_equal(next, partitions);
}

static void
test_known_vectors(void **state)
{
	(void)state;
	check_vector(10, 1, (int32_t[]){ 10 });
	check_vector(10, 2, (int32_t[]){ 5, 5 });
	check_vector(10, 3, (int32_t[]){ 4, 3, 3 });
	check_vector(2, 5, (int32_t[]){ 1, 1, 0, 0, 0 });
	check_vector(0, 2, (int32_t[]){ 0, 0 });
	check_vector(10000, 3, (int32_t[]){ 3334, 3333, 3333 });
}

static void
test_java_threads(void **state)
{
	static const struct assign_member v[] = { { "C2", 2 }, { "C1", 2 } };
	static const struct {
		size_t me;
		int32_t thread, first, n;
	} want[] = {
		{ 1, 0, 0, 2 }, { 1, 1, 2, 1 }, { 0, 0, 3, 1 }, { 0, 1, 4, 1 },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct assign_range r = assign_slice(ASSIGN_THREADS, v, 2, want[i].me,
		    want[i].thread, 5);

		assert_int_equal(r.first, want[i].first);
		assert_int_equal(r.n, want[i].n);
	}
}

/* "a" before "a+", but "a+-0" before "a-0": the one case where the rules differ when
 * every member has one thread. */
static void
test_an_id_that_begins_another(void **state)
{
	static const struct assign_member v[] = { { "a", 1 }, { "a+", 1 } };

	(void)state;
	assert_int_equal(assign_slice(ASSIGN_MEMBERS, v, 2, 0, 0, 2).first, 0);
	assert_int_equal(assign_slice(ASSIGN_THREADS, v, 2, 0, 0, 2).first, 1);
}

struct group {
	struct assign_member v[MEMBERS_MAX];
	char ids[MEMBERS_MAX][8];
	size_t n;
};

struct taker {
	char id[32];
	int32_t partitions;
	int32_t first;
};

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct taker *)a)->id, ((const struct taker *)b)->id);
}

static void
taker_id(char id[32], enum assign_rule rule, const char *member, int32_t thread)
{
	if (rule == ASSIGN_THREADS)
		snprintf(id, 32, "%s-%d", member, thread);
	else
		snprintf(id, 32, "%s", member);
}

static void
random_group(struct group *g)
{
	static const char letters[] = "ab-+_.Z0\x7f\xc3";
	size_t len, i;

	for (g->n = 0; g->n < 1 + (size_t)rand() % MEMBERS_MAX;) {
		len = 1 + (size_t)rand() % 6;
		for (i = 0; i < len; i++)
			g->ids[g->n][i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		g->ids[g->n][len] = '\0';
		for (i = 0; i < g->n && strcmp(g->ids[i], g->ids[g->n]) != 0; i++)
			;
		if (i < g->n)
			continue;
		g->v[g->n] = (struct assign_member){ g->ids[g->n], 1 + rand() % THREADS_MAX };
		g->n++;
	}
}

/* Everybody in turn takes one until none is left; then the slices are laid end to end. */
static size_t
deal(const struct group *g, enum assign_rule rule, int32_t partitions, struct taker *t)
{
	size_t n = 0;
	int32_t next = 0;

	for (size_t i = 0; i < g->n; i++)
		for (int32_t k = 0; k < (rule == ASSIGN_THREADS ? g->v[i].threads : 1); k++) {
			t[n] = (struct taker){ .partitions = 0 };
			taker_id(t[n].id, rule, g->v[i].id, k);
			n++;
		}
	qsort(t, n, sizeof(*t), by_id);
	for (int32_t p = 0; p < partitions; p++)
		t[(size_t)p % n].partitions++;
	for (size_t i = 0; i < n; i++) {
		t[i].first = next;
		next += t[i].partitions;
	}
	return n;
}

static const struct taker *
find(const struct taker *t, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(t[i].id, id) == 0)
			return &t[i];
	fail_msg("no taker %s", id);
	return NULL;
}

static void
check_group(const struct group *g, enum assign_rule rule, int32_t partitions)
{
	struct taker t[TAKERS_MAX];
	size_t n = deal(g, rule, partitions, t);

	for (size_t i = 0; i < g->n; i++)
		for (int32_t k = 0; k < (rule == ASSIGN_THREADS ? g->v[i].threads : 1); k++) {
			struct assign_range r = assign_slice(rule, g->v, g->n, i, k, partitions);
			const struct taker *want;
			char id[32];

			taker_id(id, rule, g->v[i].id, k);
			want = find(t, n, id);
			assert_int_equal(r.n, want->partitions);
			assert_int_equal(r.first, want->first);
		}
}

static void
test_random_groups(void **state)
{
	struct group g;

	(void)state;
	srand(20150924);
	for (int i = 0; i < ROUNDS; i++) {
		random_group(&g);
		check_group(&g, i % 2 ? ASSIGN_THREADS : ASSIGN_MEMBERS, rand() % PARTITIONS_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_vectors),
		cmocka_unit_test(test_java_threads),
		cmocka_unit_test(test_an_id_that_begins_another),
		cmocka_unit_test(test_random_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
