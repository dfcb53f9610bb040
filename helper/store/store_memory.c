/*
 * The store of durability `memory`: it has no file and no thread. Each command is done at
 * once and only counted, as its row is with its owner; questions find nothing.
 */
#include "helper/store/store_thread.h"

/* What a command changes in the counters. Nothing is ever dead: what is buried is lost. */
static const struct { int accepted, delivered, dropped, pending; } changes[] = {
	[STORE_APPEND] = { .accepted = 1, .pending = 1 },
	[STORE_REMOVE] = { .delivered = 1, .pending = -1 },
	[STORE_REFUSE] = { .accepted = -1, .pending = -1 },
	[STORE_BURY] = { .dropped = 1, .pending = -1 },
	[STORE_REVIVE] = { 0 },
	[STORE_DROP] = { 0 },
};

static void
memory_submit(struct store *s, struct store_cmd *cmd)
{
	bool of_dead = cmd->verb == STORE_REVIVE || cmd->verb == STORE_DROP;

	s->counts.accepted += changes[cmd->verb].accepted;
	s->counts.delivered += changes[cmd->verb].delivered;
	s->counts.dropped += changes[cmd->verb].dropped;
	s->counts.pending += changes[cmd->verb].pending;
	cmd->waiting = false;
	cmd->err = of_dead ? KP_ENOTFOUND : KP_OK;
	cmd->done(cmd, cmd->err);
}

static void
memory_ask(struct store *s, struct store_ask *ask)
{
	(void)s;
	ask->rows = NULL;
	ask->err = KP_OK;
	ask->done(ask);
}

/* Nothing stays behind. */
static int64_t
memory_finish(struct store *s)
{
	(void)s;
	return 0;
}

const struct store_backend store_memory = {
	.submit = memory_submit, .ask = memory_ask, .finish = memory_finish,
};
