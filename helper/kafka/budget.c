/* Sums and shares, and lists of who waits for room. Who does what about it: consumer_ahead.c. */
#include "helper/kafka/budget.h"

#define SHARE_MIN 4096
#define SHARES_MIN 32		/* not even a partition alone reads further ahead */
#define FETCHES 128		/* of the budget: the answer to one fetch of the first consumer */
#define FETCH_MIN 16384
#define FETCH_MAX (1u << 20)

void
budget_link_init(struct budget_link *l)
{
	l->prev = l->next = l;
}

bool
budget_link_alone(const struct budget_link *l)
{
	return l->next == l;
}

void
budget_link_leave(struct budget_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	budget_link_init(l);
}

void
budget_link_last(struct budget_link *list, struct budget_link *l)
{
	budget_link_leave(l);
	l->prev = list->prev;
	l->next = list;
	list->prev->next = l;
	list->prev = l;
}

void
budget_init(struct budget *b, size_t max)
{
	*b = (struct budget){ .max = max };
	budget_link_init(&b->held);
	budget_link_init(&b->hungry);
}

void
budget_take(struct budget *b, size_t bytes)
{
	b->used += bytes;
}

void
budget_give(struct budget *b, size_t bytes)
{
	b->used -= bytes;
}

bool
budget_is_full(const struct budget *b)
{
	return b->used >= b->max;
}

bool
budget_may_keep_more(const struct budget *b)
{
	return b->used - b->pending < b->max / 2;
}

bool
budget_has_room(const struct budget *b)
{
	return b->used <= b->max - b->max / 4;
}

bool
budget_may_pend(const struct budget *b)
{
	return b->pending < b->max / 2;
}

/* Half of it for what is read ahead. */
size_t
budget_share(const struct budget *b)
{
	size_t share = b->max / 2 / (b->readers ? b->readers : 1);

	if (share > b->max / SHARES_MIN)
		share = b->max / SHARES_MIN;
	return share < SHARE_MIN ? SHARE_MIN : share;
}

/* All of them together have a small part of it, as each has its fraction. */
size_t
budget_fetch_bytes(const struct budget *b)
{
	size_t bytes = b->max / FETCHES / (b->consumers + 1);

	return bytes < FETCH_MIN ? FETCH_MIN : bytes > FETCH_MAX ? FETCH_MAX : bytes;
}
