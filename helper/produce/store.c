/*
 * The store's thread. It takes the commands that wait, runs them in one
 * transaction, and hands them back to the loop after the commit:
 *
 *	loop:   submit -> queue ------------------------+   done <- finished
 *	thread:                 take all -> run -> commit ------------^
 *
 * While it commits, the next batch gathers: the slower the disk, the larger.
 */
#include "helper/produce/store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/sock.h"
#include "helper/produce/store_db.h"
#include "helper/produce/store_disk.h"

/* One transaction is no larger, whatever waits: the log and the time of a commit
 * stay bounded. */
#define BATCH_COMMANDS 10000
#define BATCH_BYTES (16u * 1024 * 1024)
/* Past this much that waits to be written, the disk is too slow. */
#define WAITING_BYTES_MAX (64u * 1024 * 1024)
#define LOOK_MS 200			/* between two looks at the free space */
#define RESERVE_MS 5000			/* between two tries to have a reserve again */
#define HUNG_MS 5000
#define FULL_SHOWN_MS 2000
/* Of a store that does not work: ids that no file will ever have. */
#define FAILED_FIRST_ID (INT64_C(1) << 62)

#define FAILED "the store has failed: restart the helper to check it; until then an async " \
	"message is only accepted once Kafka has it"

/* What the two threads hand to each other. */
struct queue {
	struct store_cmd *first, *last;
	struct store_ask *asks, *last_ask;
};

struct store {
	struct loop *loop;
	char *path;
	int64_t next_id;
	struct loop_timer flush;	/* for removes that wait for company */
	bool flush_set;
	uv_thread_t thread;
	bool running;

	/* The thread's while it runs. */
	struct store_db *db;		/* NULL: could not be opened */
	bool has_reserve;
	int64_t looked_ms, reserve_ms;

	uv_mutex_t lock;		/* guards all below */
	uv_cond_t wake;
	struct queue waiting;
	uint64_t submitted;		/* number of the last command */
	struct queue finished;
	bool hurry;			/* something waits that is worth a commit */
	bool ending;
	bool posted;
	struct loop_task task;
	struct store_counts counts;
	int64_t busy_since_ms;		/* 0: nothing runs */
	int64_t full_ms;		/* when the disk was last found full */

	_Atomic bool failed;
	_Atomic uint64_t bytes;		/* in the file */
	_Atomic uint64_t waiting_bytes;
	_Atomic int64_t free_bytes;	/* of the disk, -1: not known */
	_Atomic int64_t direct;		/* not counted in the file yet */
	uint64_t min_free_bytes;
};

static uint64_t
cmd_bytes(const struct store_cmd *cmd)
{
	return cmd->verb == STORE_APPEND ? cmd->row.key.n + cmd->row.value.n + 64 : 64;
}

static void
queue_put(struct queue *q, struct store_cmd *cmd)
{
	cmd->next = NULL;
	cmd->prev = q->last;
	if (q->last)
		q->last->next = cmd;
	else
		q->first = cmd;
	q->last = cmd;
}

static void
queue_put_ask(struct queue *q, struct store_ask *ask)
{
	ask->next = NULL;
	if (q->asks)
		q->last_ask->next = ask;
	else
		q->asks = ask;
	q->last_ask = ask;
}

/* Moves the first commands, up to the size of a batch, and the questions that come
 * after no others. Under the lock. */
static void
queue_take(struct queue *from, struct queue *to)
{
	struct store_cmd *c = from->first;
	size_t n = 0;
	uint64_t bytes = 0;

	*to = (struct queue){ .first = c };
	for (; c && n < BATCH_COMMANDS && bytes < BATCH_BYTES; c = c->next, n++) {
		c->waiting = false;
		bytes += cmd_bytes(c);
		to->last = c;
	}
	if (to->last == NULL)
		to->first = NULL;
	else
		to->last->next = NULL;
	from->first = c;
	if (c)
		c->prev = NULL;
	else
		from->last = NULL;
	while (from->asks && (c == NULL || from->asks->number < c->number)) {
		struct store_ask *ask = from->asks;

		from->asks = ask->next;
		queue_put_ask(to, ask);
	}
}

/* ---- the store's thread ---- */

static bool
takes_room(const struct store_cmd *cmd)
{
	return cmd->verb == STORE_APPEND || cmd->verb == STORE_REVIVE;
}

/* One transaction, all or nothing, but for commands about rows that are not there. */
static enum kp_err
run_transaction(struct store *s, struct store_cmd *first, bool with_room)
{
	int64_t direct = atomic_exchange(&s->direct, 0);
	enum kp_err err = db_begin(s->db);

	db_count_direct(s->db, direct);
	for (struct store_cmd *c = first; c && err == KP_OK; c = c->next) {
		if (takes_room(c) && !with_room)
			continue;
		c->err = db_run(s->db, c);
		err = c->err == KP_ENOTFOUND ? KP_OK : c->err;
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

/* After a failed write or sync nobody knows what the disk holds. */
static void
poison(struct store *s)
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
	s->full_ms = sock_now_ms();
	uv_mutex_unlock(&s->lock);
}

/* On a full disk what has been delivered must still be able to leave. */
static enum kp_err
run_without_room(struct store *s, struct store_cmd *first)
{
	enum kp_err err = run_transaction(s, first, false);

	note_full(s);
	if (err == KP_EFULL && s->has_reserve) {
		s->has_reserve = false;
		disk_release_reserve(s->path);
		err = run_transaction(s, first, false);
	}
	return err;
}

static void
run_batch(struct store *s, struct store_cmd *first)
{
	enum kp_err err, rest;

	if (first == NULL)
		return;
	err = rest = atomic_load(&s->failed) ? KP_EIO : run_transaction(s, first, true);
	if (err == KP_EFULL)
		rest = run_without_room(s, first);
	if (err == KP_EIO || rest == KP_EIO)
		poison(s);
	for (struct store_cmd *c = first; c; c = c->next) {
		enum kp_err all = takes_room(c) ? err : rest;

		if (all)
			c->err = all;
		atomic_fetch_sub(&s->waiting_bytes, cmd_bytes(c));
	}
}

/* What is worth doing after a commit, before the next one. */
static void
look_after(struct store *s)
{
	int64_t now = sock_now_ms();

	if (!atomic_load(&s->failed) && db_checkpoint(s->db) == KP_EIO)
		poison(s);
	if (s->db && !atomic_load(&s->failed))
		atomic_store(&s->bytes, db_bytes(s->db));
	if (now - s->looked_ms < LOOK_MS)
		return;
	s->looked_ms = now;
	atomic_store(&s->free_bytes, disk_free_bytes(s->path));
	if (s->has_reserve || now - s->reserve_ms < RESERVE_MS ||
	    atomic_load(&s->free_bytes) < 2 * RESERVE_BYTES)
		return;
	s->reserve_ms = now;
	s->has_reserve = disk_make_reserve(s->path);
}

static void run_finished(struct loop_task *t);

/* Under the lock. */
static void
hand_back(struct store *s, struct queue *batch)
{
	while (batch->first) {
		struct store_cmd *c = batch->first;

		batch->first = c->next;
		queue_put(&s->finished, c);
	}
	while (batch->asks) {
		struct store_ask *ask = batch->asks;

		batch->asks = ask->next;
		queue_put_ask(&s->finished, ask);
	}
	if (s->db)
		s->counts = db_counts(s->db);
	if (!s->posted && !s->ending) {
		s->posted = true;
		s->task.run = run_finished;
		loop_post(s->loop, &s->task);
	}
}

/* As much as fits into one transaction. Entered and left with the lock. */
static void
run_waiting(struct store *s)
{
	struct queue batch;

	queue_take(&s->waiting, &batch);
	s->hurry = s->waiting.first != NULL;
	s->busy_since_ms = sock_now_ms();
	uv_mutex_unlock(&s->lock);
	run_batch(s, batch.first);
	for (struct store_ask *ask = batch.asks; ask; ask = ask->next) {
		ask->rows = NULL;
		ask->err = s->db ? db_answer(s->db, ask) : KP_EIO;
		if (ask->err == KP_EIO && s->db)
			poison(s);
	}
	uv_mutex_lock(&s->lock);
	hand_back(s, &batch);
	uv_mutex_unlock(&s->lock);
	/* The answers are on their way already. */
	look_after(s);
	uv_mutex_lock(&s->lock);
	s->busy_since_ms = 0;
}

static void
store_thread(void *arg)
{
	struct store *s = arg;

	uv_mutex_lock(&s->lock);
	while (!s->ending) {
		if (s->hurry)
			run_waiting(s);
		else
			uv_cond_wait(&s->wake, &s->lock);
	}
	uv_mutex_unlock(&s->lock);
}

/* ---- opening and ending ---- */

enum kp_err
store_open(struct loop *loop, const char *path, enum conf_durability durability,
    struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	enum kp_err err = KP_ENOMEM;

	*out = NULL;
	if (s == NULL)
		return KP_ENOMEM;
	s->loop = loop;
	uv_mutex_init(&s->lock);
	uv_cond_init(&s->wake);
	s->path = strdup(path);
	s->next_id = FAILED_FIRST_ID;
	atomic_store(&s->free_bytes, -1);
	if (s->path)
		err = db_open(path, durability, &s->db);
	if (err == KP_OK)
		err = db_first_id(s->db, &s->next_id);
	if (err == KP_EFULL && s->db && disk_release_reserve(path))
		err = db_first_id(s->db, &s->next_id);
	if (err == KP_EIO || err == KP_EFULL) {
		/* Sync produce and consume do not need it. */
		db_close(s->db);
		s->db = NULL;
		s->next_id = FAILED_FIRST_ID;
		poison(s);
	} else if (err) {
		store_close(s);
		return err == KP_ENOMEM ? err : KP_EIO;
	} else {
		s->has_reserve = disk_make_reserve(path);
		s->counts = db_counts(s->db);
		look_after(s);
	}
	*out = s;
	return KP_OK;
}

/* The thread starts with the first command, so that store_each_topic() can use
 * the connection before. */
static void
start_thread(struct store *s)
{
	if (s->running || s->ending)
		return;
	s->running = uv_thread_create(&s->thread, store_thread, s) == 0;
	if (!s->running)
		abort();	/* at boot only; nothing was accepted yet */
}

int64_t
store_finish(struct store *s)
{
	loop_timer_end(&s->flush);
	if (s->running) {
		uv_mutex_lock(&s->lock);
		s->ending = true;
		uv_cond_signal(&s->wake);
		uv_mutex_unlock(&s->lock);
		uv_thread_join(&s->thread);
		s->running = false;
	}
	s->ending = true;
	/* A done() may submit again. */
	do {
		uv_mutex_lock(&s->lock);
		run_waiting(s);
		uv_mutex_unlock(&s->lock);
		run_finished(&s->task);
	} while (s->waiting.first || s->waiting.asks);
	if (atomic_load(&s->direct) && !atomic_load(&s->failed))
		run_transaction(s, NULL, true);
	return s->counts.pending;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	db_close(s->db);
	uv_cond_destroy(&s->wake);
	uv_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

/* ---- the loop's thread ---- */

/* Tells the owners; they may submit again, or free their commands. */
static void
run_finished(struct loop_task *t)
{
	struct store *s = (struct store *)((char *)t - offsetof(struct store, task));
	struct queue done;

	uv_mutex_lock(&s->lock);
	done = s->finished;
	s->finished = (struct queue){ 0 };
	s->posted = false;
	uv_mutex_unlock(&s->lock);
	while (done.first) {
		struct store_cmd *c = done.first;

		done.first = c->next;
		c->done(c, c->err);
	}
	while (done.asks) {
		struct store_ask *ask = done.asks;

		done.asks = ask->next;
		ask->done(ask);
	}
}

int64_t
store_next_id(struct store *s)
{
	return s->next_id++;
}

uint64_t
store_bytes(const struct store *s)
{
	return atomic_load(&s->bytes) + atomic_load(&s->waiting_bytes);
}

void
store_set_min_free(struct store *s, uint64_t bytes)
{
	s->min_free_bytes = bytes;
}

/* The thread looks at the free space with what it does; here nothing may be done. */
static void
wake_to_look(struct store *s)
{
	start_thread(s);
	uv_mutex_lock(&s->lock);
	s->hurry = true;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}

const char *
store_refuses(struct store *s)
{
	int64_t free_bytes = atomic_load(&s->free_bytes);

	if (atomic_load(&s->waiting_bytes) > WAITING_BYTES_MAX)
		return "the disk of the store is slower than what comes in";
	if (free_bytes < 0 || (uint64_t)free_bytes >= s->min_free_bytes)
		return NULL;
	wake_to_look(s);
	return "the disk of the store is nearly full: make room, or see --storeMinFreeBytes";
}

void
store_count_direct(struct store *s)
{
	atomic_fetch_add(&s->direct, 1);
}

void
store_stats(struct store *s, struct store_stats *out)
{
	int64_t now = sock_now_ms(), direct = atomic_load(&s->direct);
	bool hung, full;

	uv_mutex_lock(&s->lock);
	out->counts = s->counts;
	hung = s->busy_since_ms && now - s->busy_since_ms > HUNG_MS;
	full = s->full_ms && now - s->full_ms < FULL_SHOWN_MS;
	uv_mutex_unlock(&s->lock);
	out->counts.accepted += direct;
	out->counts.delivered += direct;
	out->free_bytes = atomic_load(&s->free_bytes);
	out->trouble = atomic_load(&s->failed) ? FAILED :
	    hung ? "the disk of the store does not answer" :
	    full ? "the disk of the store is full" : store_refuses(s);
}

static void
flush(void *arg)
{
	struct store *s = arg;

	s->flush_set = false;
	uv_mutex_lock(&s->lock);
	s->hurry = s->hurry || s->waiting.first != NULL;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}

void
store_submit(struct store *s, struct store_cmd *cmd)
{
	bool leaves = cmd->verb == STORE_REMOVE || cmd->verb == STORE_REFUSE;

	start_thread(s);
	atomic_fetch_add(&s->waiting_bytes, cmd_bytes(cmd));
	uv_mutex_lock(&s->lock);
	queue_put(&s->waiting, cmd);
	cmd->waiting = true;
	cmd->err = KP_OK;
	cmd->number = ++s->submitted;
	if (!leaves && !s->hurry) {
		s->hurry = true;
		uv_cond_signal(&s->wake);
	}
	uv_mutex_unlock(&s->lock);
	if (leaves && !s->flush_set && !s->ending) {
		s->flush_set = true;
		loop_timer_set(s->loop, &s->flush, STORE_REMOVE_MS, 0, flush, s);
	}
}

bool
store_cancel(struct store *s, struct store_cmd *cmd)
{
	bool found;

	uv_mutex_lock(&s->lock);
	found = cmd->waiting;
	if (found) {
		if (cmd->prev)
			cmd->prev->next = cmd->next;
		else
			s->waiting.first = cmd->next;
		if (cmd->next)
			cmd->next->prev = cmd->prev;
		else
			s->waiting.last = cmd->prev;
		cmd->waiting = false;
	}
	uv_mutex_unlock(&s->lock);
	if (found)
		atomic_fetch_sub(&s->waiting_bytes, cmd_bytes(cmd));
	return found;
}

void
store_each_topic(struct store *s,
    void (*each)(void *arg, const char *topic, int64_t pending_bytes), void *arg)
{
	if (s->db)
		db_each_topic(s->db, each, arg);
}

void
store_ask(struct store *s, struct store_ask *ask)
{
	start_thread(s);
	uv_mutex_lock(&s->lock);
	ask->number = s->submitted;
	queue_put_ask(&s->waiting, ask);
	s->hurry = true;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}

/* ---- LOAD ---- */

struct load {
	struct store_ask ask;		/* first */
	void (*found)(void *arg, enum kp_err err, struct store_loaded *rows);
};

static void
load_done(struct store_ask *ask)
{
	struct load *l = (struct load *)ask;

	l->found(ask->arg, ask->err, ask->rows);
	free(l);
}

void
store_load(struct store *s, const char *topic, int64_t after, unsigned max_rows,
    size_t max_bytes, void (*found)(void *arg, enum kp_err err, struct store_loaded *rows),
    void *arg)
{
	struct load *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		found(arg, KP_ENOMEM, NULL);
		return;
	}
	memcpy(l->ask.topic, topic, strlen(topic) + 1);
	l->ask.question = STORE_LOAD;
	l->ask.after = after;
	l->ask.max_rows = max_rows;
	l->ask.max_bytes = max_bytes;
	l->ask.done = load_done;
	l->ask.arg = arg;
	l->found = found;
	store_ask(s, &l->ask);
}
