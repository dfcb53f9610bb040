/*
 * All owner nodes of the group: what is due, what a lost connection does to them, and who
 * has to wait for whom. The group is told from below claims_step() and claims_lost(), so
 * the topics may change meanwhile: more in front, more claims in one; none goes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/coordination/group_zookeeper_state.h"

static void
retry_fired(void *arg)
{
	struct coordination *c = arg;

	c->retrying = false;
	for (struct ztopic *t = c->topics; t; t = t->next)
		for (int32_t i = 0; i < t->n_claims; i++)
			if (t->claims[i]->state == CLAIM_WAIT && !t->claims[i]->busy)
				claim_enter(t->claims[i], CLAIM_FREE);
	group_pump(c);
}

void
claims_retry_later(struct coordination *c)
{
	if (c->retrying)
		return;
	c->retrying = true;
	loop_timer_set(c->env->loop, &c->retry, RETRY_MS, 0, retry_fired, c);
}

void
claims_step(struct coordination *c)
{
	for (struct ztopic *t = c->topics; t; t = t->next)
		for (int32_t i = 0; i < t->n_claims; i++)
			if (!t->claims[i]->busy)
				claim_step(t->claims[i]);
}

enum kp_err
claims_grow(struct ztopic *t, int32_t n)
{
	struct claim **v;

	if (n > t->n_claims) {
		v = realloc(t->claims, (size_t)n * sizeof(struct claim *));
		if (v == NULL)
			return KP_ENOMEM;
		t->claims = v;
	}
	for (; t->n_claims < n; t->n_claims++) {
		struct claim *k = calloc(1, sizeof(*k));

		if (k == NULL)
			return KP_ENOMEM;
		k->t = t;
		k->partition = t->n_claims;
		t->claims[t->n_claims] = k;
	}
	t->n = n;
	return KP_OK;
}

void
claims_want(struct ztopic *t, int32_t first, int32_t n)
{
	for (int32_t i = 0; i < t->n_claims; i++)
		t->claims[i]->wanted = i >= first && i < first + n;
}

void
claims_down(struct coordination *c)
{
	for (struct ztopic *t = c->topics; t; t = t->next)
		for (int32_t i = 0; i < t->n_claims; i++) {
			struct claim *k = t->claims[i];

			k->busy = false;
			k->doubt = k->state == CLAIM_HELD;
			if (k->state == CLAIM_CREATE)
				claim_enter(k, CLAIM_RELEASE);
			else if (k->state == CLAIM_WAIT)
				claim_enter(k, CLAIM_FREE);
		}
}

void
claims_lost(struct coordination *c, bool expired)
{
	for (struct ztopic *t = c->topics; t; t = t->next)
		for (int32_t i = 0; i < t->n_claims; i++) {
			struct claim *k = t->claims[i];

			if (expired)
				k->wanted = false;
			if (k->state != CLAIM_FREE)
				claim_lose(k, expired ? CLAIM_FREE : CLAIM_RELEASE);
		}
}

/* `path` is /owners/<topic>/<partition>. */
static struct claim *
claim_find(struct coordination *c, const char *path)
{
	const char *topic = path + strlen("/owners/"), *slash = strrchr(path, '/');
	size_t n = slash > topic ? (size_t)(slash - topic) : 0;
	unsigned long partition = strtoul(slash + 1, NULL, 10);
	struct ztopic *t = c->topics;

	while (t && (strncmp(t->name, topic, n) != 0 || t->name[n] != '\0'))
		t = t->next;
	return t && n > 0 && partition < (unsigned long)t->n_claims ? t->claims[partition] : NULL;
}

void
claims_changed(struct coordination *c, const char *path)
{
	struct claim *k = claim_find(c, path);

	if (k == NULL)
		return;
	if (k->state == CLAIM_HELD)
		k->doubt = true;
	else if (k->state == CLAIM_REVOKED && !k->busy)
		claim_look(k);
	else if (k->state == CLAIM_WAIT && !k->busy)
		claim_enter(k, CLAIM_FREE);
	group_pump(c);
}

void
claims_released(struct ztopic *t, int32_t partition)
{
	struct claim *k;

	if (partition < 0 || partition >= t->n_claims)
		return;
	k = t->claims[partition];
	if (k->state != CLAIM_REVOKED)
		return;			/* lost meanwhile */
	claim_enter(k, CLAIM_RELEASE);
	group_pump(t->c);
}

const char *
claims_trouble(struct ztopic *t)
{
	for (int32_t i = 0; i < t->n_claims; i++) {
		const struct claim *k = t->claims[i];

		if (!k->wanted || k->state == CLAIM_HELD)
			continue;
		snprintf(t->text, sizeof(t->text), k->state == CLAIM_WAIT ?
		    "partition %d has not been released yet by another member of the group" :
		    "partition %d is being claimed", k->partition);
		return t->text;
	}
	return NULL;
}

bool
claims_waiting(const struct ztopic *t)
{
	for (int32_t i = 0; i < t->n_claims; i++)
		if (t->claims[i]->wanted && t->claims[i]->state == CLAIM_WAIT)
			return true;
	return false;
}

bool
claims_none(const struct ztopic *t)
{
	for (int32_t i = 0; i < t->n_claims; i++)
		if (t->claims[i]->state != CLAIM_FREE || t->claims[i]->busy)
			return false;
	return true;
}

void
claims_abandon(struct ztopic *t)
{
	char path[PATH_CAP];

	for (int32_t i = 0; i < t->n_claims; i++) {
		if (t->claims[i]->state == CLAIM_FREE || t->claims[i]->state == CLAIM_WAIT)
			continue;
		claim_path(t->claims[i], path);
		zk_abandon(t->c->env->zk, path);
	}
}

void
claims_free(struct ztopic *t)
{
	for (int32_t i = 0; i < t->n_claims; i++)
		free(t->claims[i]);
	free(t->claims);
}
