/*
 * The store's thread. It takes the commands that wait, runs them in one
 * transaction, and hands them back to the loop after the commit. While it commits,
 * the next batch gathers: the slower the disk, the larger.
 */
#include "helper/store/store_thread.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "helper/store/store_disk.h"

/* One transaction is no larger, whatever waits: the log and the time of a commit
 * stay bounded. */
#define BATCH_COMMANDS 10000
#define BATCH_BYTES (16u * 1024 * 1024)
#define PART_COMMANDS 200		/* their pages fit into the reserve */
#define LOOK_MS 200			/* between two looks at the free space */
#define RESERVE_MS 5000			/* between two tries to have a reserve again */

/* ---- the queues ---- */

uint64_t
store_cmd_bytes(const struct store_cmd *cmd)
{
	return cmd->verb == STORE_APPEND ? cmd->row.key.n + cmd->row.value.n + 64 : 64;
}

void
store_queue_init(struct store_queue *q)
{
	TAILQ_INIT(&q->cmds);
	STAILQ_INIT(&q->asks);
}

void
store_queue_move(struct store_queue *to, struct store_queue *from)
{
	TAILQ_CONCAT(&to->cmds, &from->cmds, link);
	STAILQ_CONCAT(&to->asks, &from->asks);
}

/* Moves the first commands, up to the size of a batch, and the questions that come
 * after no others. Under the lock. */
static void
queue_take(struct store_queue *from, struct store_queue *to)
{
	struct store_cmd *c;
	struct store_ask *ask;
	size_t n = 0;
	uint64_t bytes = 0;

	store_queue_init(to);
	while ((c = TAILQ_FIRST(&from->cmds)) != NULL && n++ < BATCH_COMMANDS &&
	    bytes < BATCH_BYTES) {
		TAILQ_REMOVE(&from->cmds, c, link);
		TAILQ_INSERT_TAIL(&to->cmds, c, link);
		c->waiting = false;
		bytes += store_cmd_bytes(c);
	}
	while ((ask = STAILQ_FIRST(&from->asks)) != NULL &&
	    (c == NULL || ask->number < c->number)) {
		STAILQ_REMOVE_HEAD(&from->asks, link);
		STAILQ_INSERT_TAIL(&to->asks, ask, link);
	}
}

/* ---- transactions ---- */

static bool
takes_room(const struct store_cmd *cmd)
{
	return cmd->verb == STORE_APPEND || cmd->verb == STORE_REVIVE;
}

enum kp_err
store_run_transaction(struct store *s, struct store_cmd *first, const struct store_cmd *end,
    bool with_room)
{
	int64_t direct = atomic_exchange(&s->direct, 0);
	enum kp_err err = db_begin(s->db);

	db_count_direct(s->db, direct);
	for (struct store_cmd *c = first; c != end && err == KP_OK; c = TAILQ_NEXT(c, link)) {
		if (takes_room(c) && !with_room)
			continue;
		c->err = db_run(s->db, c);
		/* Of this one alone. */
		err = c->err == KP_ENOTFOUND || c->err == KP_EBUSY ? KP_OK : c->err;
		if (c->verb == STORE_APPEND)
			fault_point("P2");
		else
			fault_point("P9");
	}
	if (err == KP_OK)
		err = db_commit(s->db);
	else
		db_rollback(s->db);
	if (err)
		atomic_fetch_add(&s->direct, direct);
	return err;
}

enum kp_err
store_reserve_ids(struct store *s)
{
	int64_t next = atomic_load(&s->next_id), end = atomic_load(&s->end_id);
	enum kp_err err;

	if (end - next > IDS_RESERVE / 2)
		return KP_OK;
	err = db_reserve_ids(s->db, &next, &end);
	if (err)
		return err;
	/* They go on where the last ones end. */
	if (atomic_load(&s->next_id) == 0)
		atomic_store(&s->next_id, next);
	atomic_store(&s->end_id, end);
	return KP_OK;
}

/* After a failed write or sync nobody knows what the disk holds. */
void
store_poison(struct store *s)
{
	if (atomic_exchange(&s->failed, true))
		return;
	log_error("store failed path=%s: until a restart has checked it an async message is only "
	    "accepted once Kafka has it; sync produce goes on", s->path);
	disk_mark_suspect(s->path);
}

static void
note_full(struct store *s)
{
	uv_mutex_lock(&s->lock);
	s->full_ms = clock_mono_ms();
	uv_mutex_unlock(&s->lock);
}

static enum kp_err
run_roomless(struct store *s, struct store_cmd *first, const struct store_cmd *end)
{
	enum kp_err err = store_run_transaction(s, first, end, false);

	for (struct store_cmd *c = first; c != end && err; c = TAILQ_NEXT(c, link))
		c->err = err;
	return err;
}

/* While the log cannot be moved, as the file has no room to grow, the log grows with
 * all that is written: whatever others give back is the file's first, or the log
 * ends with all of the disk, and nothing can leave. */
static enum kp_err
move_log(struct store *s, bool now)
{
	enum kp_err err = db_checkpoint(s->db, now || s->log_stays);

	s->log_stays = err == KP_EFULL;
	return err;
}

/* A few at a time, each in the room of those before: the log is moved into the file,
 * and begins anew. Each command has a result of its own; KP_EIO: it went no further. */
static enum kp_err
run_roomless_by_parts(struct store *s, struct store_cmd *first)
{
	enum kp_err err = move_log(s, true);

	while (first && err != KP_EIO) {
		struct store_cmd *end = first;

		for (unsigned n = 0; n < PART_COMMANDS && end; n++)
			end = TAILQ_NEXT(end, link);
		err = run_roomless(s, first, end);
		if (err == KP_OK)
			err = move_log(s, true);
		first = end;
	}
	return err;
}

/* On a full disk what has been delivered must still be able to leave. */
static enum kp_err
run_without_room(struct store *s, struct store_cmd *first)
{
	enum kp_err err = run_roomless(s, first, NULL);

	note_full(s);
	if (err != KP_EFULL)
		return err;
	if (s->has_reserve)
		disk_release_reserve(s->path);
	s->has_reserve = false;
	return run_roomless_by_parts(s, first);
}

static void
run_batch(struct store *s, struct store_cmd *first)
{
	enum kp_err err;
	bool full;

	if (first == NULL)
		return;
	err = atomic_load(&s->failed) ? KP_EIO : move_log(s, false);
	if (err == KP_OK)
		err = store_run_transaction(s, first, NULL, true);
	full = err == KP_EFULL;
	if (full && run_without_room(s, first) == KP_EIO)
		err = KP_EIO;
	if (err == KP_EIO)
		store_poison(s);
	for (struct store_cmd *c = first; c; c = TAILQ_NEXT(c, link)) {
		if (err && (!full || takes_room(c)))
			c->err = err;
		atomic_fetch_sub(&s->waiting_bytes, store_cmd_bytes(c));
	}
}

void
store_look_after(struct store *s)
{
	int64_t now = clock_mono_ms();

	if (!atomic_load(&s->failed) &&
	    (move_log(s, false) == KP_EIO || store_reserve_ids(s) == KP_EIO))
		store_poison(s);
	if (s->db && !atomic_load(&s->failed))
		atomic_store(&s->bytes, db_bytes(s->db));
	if (now - s->looked_ms < LOOK_MS)
		return;
	s->looked_ms = now;
	atomic_store(&s->free_bytes, disk_free_bytes(s->path));
	if (s->has_reserve || now - s->reserve_ms < RESERVE_MS ||
	    atomic_load(&s->free_bytes) < 2 * DISK_RESERVE_BYTES)
		return;
	s->reserve_ms = now;
	s->has_reserve = disk_make_reserve(s->path);
}

/* Under the lock. */
static void
hand_back(struct store *s, struct store_queue *batch)
{
	store_queue_move(&s->finished, batch);
	if (s->db)
		s->counts = db_counts(s->db);
	if (!s->posted && !s->ending) {
		s->posted = true;
		s->task.run = store_run_finished;
		loop_post(s->loop, &s->task);
	}
}

void
store_run_waiting(struct store *s)
{
	struct store_queue batch;
	struct store_ask *ask;

	queue_take(&s->waiting, &batch);
	s->hurry = !TAILQ_EMPTY(&s->waiting.cmds);
	s->busy_since_ms = clock_mono_ms();
	uv_mutex_unlock(&s->lock);
	run_batch(s, TAILQ_FIRST(&batch.cmds));
	STAILQ_FOREACH(ask, &batch.asks, link) {
		ask->rows = NULL;
		ask->err = s->db ? db_answer(s->db, ask) : KP_EIO;
		if (ask->err == KP_EIO && s->db)
			store_poison(s);
	}
	uv_mutex_lock(&s->lock);
	hand_back(s, &batch);
	uv_mutex_unlock(&s->lock);
	/* The answers are on their way already. */
	store_look_after(s);
	uv_mutex_lock(&s->lock);
	s->busy_since_ms = 0;
}

void
store_thread(void *arg)
{
	struct store *s = arg;

	uv_mutex_lock(&s->lock);
	while (!s->ending) {
		if (s->hurry)
			store_run_waiting(s);
		else
			uv_cond_wait(&s->wake, &s->lock);
	}
	uv_mutex_unlock(&s->lock);
}

