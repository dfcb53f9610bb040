/* What each topic has of the store: a table by name, as the loop sees it. */
#include "helper/store/store_shares.h"

#include <stdlib.h>

#include "common/names.h"

struct share {
	struct names_entry by_name;	/* first */
	int64_t rows, bytes;
};

struct shares {
	struct names by_name;
};

struct shares *
shares_new(void)
{
	return calloc(1, sizeof(struct shares));
}

void
shares_free(struct shares *s)
{
	struct names_entry *e;

	if (s == NULL)
		return;
	while ((e = names_take(&s->by_name)) != NULL)
		free(e);
	free(s);
}

static struct share *
find(const struct shares *s, struct kp_slice topic)
{
	return (struct share *)names_find(&s->by_name, topic);
}

void
shares_add(struct shares *s, struct kp_slice topic, int64_t rows, int64_t bytes)
{
	struct share *share = find(s, topic);

	if (share == NULL && rows > 0)
		share = names_new(&s->by_name, sizeof(*share), topic);
	if (share == NULL)
		return;
	share->rows += rows;
	share->bytes += bytes;
	if (share->rows > 0)
		return;
	names_remove(&s->by_name, &share->by_name);
	free(share);
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
	const struct share *share = find(s, topic);

	*bytes = share ? share->bytes : 0;
	return share != NULL;
}

size_t
shares_topics(const struct shares *s)
{
	return s->by_name.n;
}
