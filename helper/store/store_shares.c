/* What each topic has of the store: a table by name, as the loop sees it. */
#include "helper/store/store_shares.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

struct share {
	struct share *next;		/* of its bucket */
	int64_t rows, bytes;
	char name[];
};

struct shares {
	struct share *buckets[BUCKETS];
	size_t n;
};

struct shares *
shares_new(void)
{
	return calloc(1, sizeof(struct shares));
}

void
shares_free(struct shares *s)
{
	for (size_t i = 0; s && i < BUCKETS; i++)
		while (s->buckets[i]) {
			struct share *gone = s->buckets[i];

			s->buckets[i] = gone->next;
			free(gone);
		}
	free(s);
}

/* Where the topic is, or would be. */
static struct share **
place_of(struct shares *s, struct kp_slice topic)
{
	struct share **at = &s->buckets[kp_slice_hash(topic) % BUCKETS];

	while (*at && !kp_slice_eq(topic, kp_slice_str((*at)->name)))
		at = &(*at)->next;
	return at;
}

static struct share *
new_share(struct shares *s, struct share **at, struct kp_slice topic)
{
	struct share *new = calloc(1, sizeof(*new) + topic.n + 1);

	if (new == NULL)
		return NULL;
	memcpy(new->name, topic.p, topic.n);
	*at = new;
	s->n++;
	return new;
}

void
shares_add(struct shares *s, struct kp_slice topic, int64_t rows, int64_t bytes)
{
	struct share **at = place_of(s, topic), *share = *at;

	if (share == NULL && rows > 0)
		share = new_share(s, at, topic);
	if (share == NULL)
		return;
	share->rows += rows;
	share->bytes += bytes;
	if (share->rows > 0)
		return;
	*at = share->next;
	free(share);
	s->n--;
}

static void
change(struct shares *s, const struct store_row *row, int rows)
{
	int64_t bytes = (int64_t)(row->key.n + row->value.n);

	if (row->topic.p)
		shares_add(s, row->topic, rows, rows * bytes);
}

void
shares_submitted(struct shares *s, const struct store_cmd *cmd)
{
	if (cmd->verb == STORE_APPEND)
		change(s, &cmd->row, 1);
}

void
shares_cancelled(struct shares *s, const struct store_cmd *cmd)
{
	if (cmd->verb == STORE_APPEND)
		change(s, &cmd->row, -1);
}

void
shares_settled(struct shares *s, const struct store_cmd *cmd)
{
	/* Whether the row is not there after it; what was never found is not. */
	static const struct { bool well, in_vain, unfound; } gone[] = {
		[STORE_APPEND] = { false, true, true }, [STORE_REMOVE] = { true, false, true },
		[STORE_REFUSE] = { true, false, true }, [STORE_BURY] = { false, false, true },
		[STORE_REVIVE] = { false, false, false }, [STORE_DROP] = { true, false, false },
	};

	if (cmd->err == KP_OK ? gone[cmd->verb].well : cmd->err == KP_ENOTFOUND ?
	    gone[cmd->verb].unfound : gone[cmd->verb].in_vain)
		change(s, &cmd->row, -1);
}

bool
shares_find(const struct shares *s, struct kp_slice topic, int64_t *bytes)
{
	const struct share *share = *place_of((struct shares *)s, topic);

	*bytes = share ? share->bytes : 0;
	return share != NULL;
}

size_t
shares_topics(const struct shares *s)
{
	return s->n;
}
