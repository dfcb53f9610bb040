/* A table of names, and a list for each state, so that nothing is ever searched. */
#include "helper/kafka/topics_dir.h"

#include <stdlib.h>

static const size_t limits[TOPIC_STATES] = {
	[TOPIC_KNOWN] = 16384,
	[TOPIC_OTHER] = 1024,
	[TOPIC_LOOK] = 4096,
	[TOPIC_LOOKED] = SIZE_MAX,
	[TOPIC_CREATE] = 1024,
	[TOPIC_CREATED] = SIZE_MAX,
	[TOPIC_COMING] = 1024,
};

static void
put(struct topics_dir *d, struct topic *e, enum topic_state state)
{
	e->state = state;
	TAILQ_INSERT_TAIL(&d->lists[state], e, link);
	d->n[state]++;
}

static void
take(struct topics_dir *d, struct topic *e)
{
	TAILQ_REMOVE(&d->lists[e->state], e, link);
	d->n[e->state]--;
}

static void
drop(struct topics_dir *d, struct topic *e)
{
	names_remove(&d->by_name, &e->by_name);
	take(d, e);
	free(e);
}

void
topics_dir_init(struct topics_dir *d)
{
	*d = (struct topics_dir){ .n = { 0 } };
	for (int i = 0; i < TOPIC_STATES; i++)
		TAILQ_INIT(&d->lists[i]);
}

void
topics_dir_clear(struct topics_dir *d)
{
	struct names_entry *e;

	while ((e = names_take(&d->by_name)) != NULL)
		free(e);
	topics_dir_init(d);
}

struct topic *
topics_dir_find(struct topics_dir *d, struct kp_slice name)
{
	return (struct topic *)names_find(&d->by_name, name);
}

struct topic *
topics_dir_add(struct topics_dir *d, struct kp_slice name)
{
	struct topic *e = names_new(&d->by_name, sizeof(*e), name);

	if (e == NULL)
		return NULL;
	e->last = &e->first;
	put(d, e, TOPIC_OTHER);
	return e;
}

struct topic *
topics_dir_first(struct topics_dir *d, enum topic_state state)
{
	return TAILQ_FIRST(&d->lists[state]);
}

bool
topics_dir_full(const struct topics_dir *d, enum topic_state state)
{
	return d->n[state] >= limits[state];
}

void
topics_dir_move(struct topics_dir *d, struct topic *e, enum topic_state state)
{
	take(d, e);
	put(d, e, state);
}

void
topics_dir_rest(struct topics_dir *d, struct topic *e)
{
	enum topic_state state = e->ever_known ? TOPIC_KNOWN : TOPIC_OTHER;

	topics_dir_move(d, e, state);
	while (d->n[state] > limits[state])
		drop(d, topics_dir_first(d, state));
}
