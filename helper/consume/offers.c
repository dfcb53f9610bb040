/* A list ordered by offset; the confirmed head falls off and moves the commit. */
#include "helper/consume/offers.h"

#include <stdlib.h>

void
offers_init(struct offers *o, int64_t offset)
{
	*o = (struct offers){ .commit = offset };
}

bool
offers_full(const struct offers *o)
{
	return o->n >= OFFERS_MAX;
}

struct offer *
offers_add(struct offers *o, int64_t offset, void *message)
{
	struct offer *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->offset = offset;
	f->state = OFFER_OUT;
	f->message = message;
	f->prev = o->last;
	if (o->last)
		o->last->next = f;
	else
		o->first = f;
	o->last = f;
	o->n++;
	o->out++;
	return f;
}

struct offer *
offers_again(struct offers *o)
{
	struct offer *f = o->first;

	while (f && f->state != OFFER_RETURNED)
		f = f->next;
	if (f) {
		f->state = OFFER_OUT;
		o->out++;
	}
	return f;
}

void
offers_return(struct offers *o, struct offer *f)
{
	f->state = OFFER_RETURNED;
	o->out--;
}

void *
offers_confirm(struct offers *o, struct offer *f)
{
	void *message = f->message;

	f->state = OFFER_CONFIRMED;
	f->message = NULL;
	o->out--;
	while (o->first && o->first->state == OFFER_CONFIRMED) {
		struct offer *head = o->first;

		o->commit = head->offset + 1;
		o->first = head->next;
		if (o->first)
			o->first->prev = NULL;
		else
			o->last = NULL;
		o->n--;
		free(head);
	}
	return message;
}

int64_t
offers_commit(const struct offers *o)
{
	return o->commit;
}

void
offers_clear(struct offers *o, void (*drop)(void *message))
{
	while (o->first) {
		struct offer *f = o->first;

		o->first = f->next;
		if (f->message)
			drop(f->message);
		free(f);
	}
	offers_init(o, o->commit);
}
