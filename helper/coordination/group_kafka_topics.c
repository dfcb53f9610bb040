/* A list: there are few. */
#include "helper/coordination/group_kafka_topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/msg.h"

struct ktopic {
	struct ktopic *next;
	char name[TOPIC_MAX + 1];
	bool wanted;
	bool told;
};

static struct ktopic *
find(const struct ktopics *ts, const char *name)
{
	struct ktopic *t = ts->first;

	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	return t;
}

enum kp_err
ktopics_want(struct ktopics *ts, const char *name)
{
	struct ktopic *t = find(ts, name);

	if (t == NULL) {
		t = calloc(1, sizeof(*t));
		if (t == NULL)
			return KP_ENOMEM;
		snprintf(t->name, sizeof(t->name), "%s", name);
		t->next = ts->first;
		ts->first = t;
	}
	t->wanted = true;
	return KP_OK;
}

void
ktopics_unwant(struct ktopics *ts, const char *name)
{
	struct ktopic *t = find(ts, name);

	if (t)
		t->wanted = false;
}

bool
ktopics_given_up(const struct ktopics *ts, const char *name)
{
	const struct ktopic *t = find(ts, name);

	return t && t->told && !t->wanted;
}

bool
ktopics_changed(const struct ktopics *ts)
{
	for (const struct ktopic *t = ts->first; t; t = t->next)
		if (t->wanted != t->told)
			return true;
	return false;
}

const char **
ktopics_wanted(const struct ktopics *ts, size_t *n)
{
	const char **names;

	*n = 0;
	for (const struct ktopic *t = ts->first; t; t = t->next)
		*n += t->wanted;
	names = calloc(*n + 1, sizeof(*names));
	*n = 0;
	for (const struct ktopic *t = ts->first; names && t; t = t->next)
		if (t->wanted)
			names[(*n)++] = t->name;
	return names;
}

void
ktopics_set_told(struct ktopics *ts)
{
	struct ktopic **at = &ts->first, *t;

	while ((t = *at) != NULL) {
		t->told = t->wanted;
		if (t->wanted) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		free(t);
	}
}

bool
ktopics_told(const struct ktopics *ts, const char *name)
{
	for (const struct ktopic *t = ts->first; t; t = t->next)
		if (t->told && (name == NULL || strcmp(t->name, name) == 0))
			return true;
	return false;
}

void
ktopics_free(struct ktopics *ts)
{
	while (ts->first) {
		struct ktopic *t = ts->first;

		ts->first = t->next;
		free(t);
	}
}
