/* A list, and a mark for each of its names. */
#include "helper/kafka/kafka_peers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peer {
	char *name;
	bool out;
};

struct kafka_peers {
	struct peer *v;			/* the names never change */
	size_t n;
	size_t room;			/* for all names, and what is between them */
	pthread_mutex_t lock;		/* guards what does */
	size_t n_out;
	unsigned generation;
};

/* The next name of the list, without blanks around it. NULL: it has none. */
static char *
next_name(const char **at)
{
	const char *begin = *at + strspn(*at, ", \t");
	size_t n = strcspn(begin, ", \t");

	*at = begin + n;
	return n ? strndup(begin, n) : NULL;
}

struct kafka_peers *
kafka_peers_new(const char *list)
{
	struct kafka_peers *p = calloc(1, sizeof(*p));
	const char *at = list;

	if (p == NULL)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->room = strlen(list) + 1;
	p->v = calloc(p->room, sizeof(*p->v));	/* more than it has names */
	while (p->v && (p->v[p->n].name = next_name(&at)) != NULL)
		p->n++;
	if (p->v && *at == '\0')
		return p;
	kafka_peers_free(p);
	return NULL;
}

void
kafka_peers_free(struct kafka_peers *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].name);
	free(p->v);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

size_t
kafka_peers_count(const struct kafka_peers *p)
{
	return p->n;
}

const char *
kafka_peers_name(const struct kafka_peers *p, size_t i)
{
	return p->v[i].name;
}

bool
kafka_peers_leave_out(struct kafka_peers *p, size_t i, bool out)
{
	bool news;

	pthread_mutex_lock(&p->lock);
	news = p->v[i].out != out;
	if (news) {
		p->v[i].out = out;
		p->n_out += out ? 1 : -(size_t)1;
		p->generation++;
	}
	pthread_mutex_unlock(&p->lock);
	return news;
}

unsigned
kafka_peers_generation(struct kafka_peers *p)
{
	unsigned generation;

	pthread_mutex_lock(&p->lock);
	generation = p->generation;
	pthread_mutex_unlock(&p->lock);
	return generation;
}

/* Into p->room, which holds all names. */
static void
write_names(const struct kafka_peers *p, bool out, bool all, char *to)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < p->n; i++)
		if (all || p->v[i].out == out)
			n += (size_t)snprintf(to + n, p->room - n, "%s%s", n ? "," : "",
			    p->v[i].name);
}

char *
kafka_peers_list(struct kafka_peers *p)
{
	char *to = malloc(p->room);

	if (to == NULL)
		return NULL;
	pthread_mutex_lock(&p->lock);
	write_names(p, false, p->n_out == p->n, to);
	pthread_mutex_unlock(&p->lock);
	return to;
}

bool
kafka_peers_none(struct kafka_peers *p)
{
	bool none;

	pthread_mutex_lock(&p->lock);
	none = p->n > 0 && p->n_out == p->n;
	pthread_mutex_unlock(&p->lock);
	return none;
}

bool
kafka_peers_trouble(struct kafka_peers *p, char *out, size_t cap)
{
	char *names = malloc(p->room);
	size_t n;

	out[0] = '\0';
	if (names == NULL)
		return false;
	pthread_mutex_lock(&p->lock);
	n = p->n_out;
	write_names(p, true, false, names);
	pthread_mutex_unlock(&p->lock);
	if (n > 0)
		snprintf(out, cap, "%s in --kafkaPeers %s: %s", names,
		    n == 1 ? "is no broker" : "are no brokers", n == p->n ?
		    "name brokers there, not controllers" : "left out");
	free(names);
	return n > 0;
}
