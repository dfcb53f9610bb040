/* A taker's place is the number of takers before it, so nothing is sorted. */
#include "helper/coordination/assign.h"

#include <stdio.h>
#include <string.h>

/* The id of a thread, "<member>-<number>", in two parts. */
struct thread_id {
	const char *member;
	size_t n;
	char suffix[16];
};

struct assign_range
assign_range(int32_t partitions, size_t takers, size_t index)
{
	int64_t m = (int64_t)takers, i = (int64_t)index;
	int64_t each = partitions / m, rest = partitions % m;

	return (struct assign_range){
		.first = (int32_t)(each * i + (i < rest ? i : rest)),
		.n = (int32_t)(each + (i < rest)),
	};
}

static void
thread_id(struct thread_id *t, const char *member, int32_t number)
{
	t->member = member;
	t->n = strlen(member);
	snprintf(t->suffix, sizeof(t->suffix), "-%d", number);
}

static unsigned char
thread_char(const struct thread_id *t, size_t i)
{
	return (unsigned char)(i < t->n ? t->member[i] : t->suffix[i - t->n]);
}

static int
thread_compare(const struct thread_id *a, const struct thread_id *b)
{
	size_t i = 0;

	while (thread_char(a, i) == thread_char(b, i)) {
		if (thread_char(a, i) == '\0')
			return 0;
		i++;
	}
	return thread_char(a, i) - thread_char(b, i);
}

static size_t
members_before(const struct assign_member *v, size_t n, size_t me)
{
	size_t before = 0;

	for (size_t i = 0; i < n; i++)
		before += strcmp(v[i].id, v[me].id) < 0;
	return before;
}

static size_t
threads_before(const struct assign_member *v, size_t n, size_t me, int32_t thread)
{
	struct thread_id mine, other;
	size_t before = 0;

	thread_id(&mine, v[me].id, thread);
	for (size_t i = 0; i < n; i++)
		for (int32_t k = 0; k < v[i].threads; k++) {
			thread_id(&other, v[i].id, k);
			before += thread_compare(&other, &mine) < 0;
		}
	return before;
}

struct assign_range
assign_slice(enum assign_rule rule, const struct assign_member *v, size_t n, size_t me,
    int32_t thread, int32_t partitions)
{
	size_t takers = 0;

	if (rule == ASSIGN_MEMBERS)
		return assign_range(partitions, n, members_before(v, n, me));
	for (size_t i = 0; i < n; i++)
		takers += (size_t)v[i].threads;
	return assign_range(partitions, takers, threads_before(v, n, me, thread));
}
