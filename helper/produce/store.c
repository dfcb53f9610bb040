/*
 * The store's thread. It takes all commands that wait, runs them in one
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
#include "common/msg.h"
#include "helper/produce/store_db.h"

struct load {
	struct load *next;
	char topic[TOPIC_MAX + 1];
	int64_t after;
	unsigned max_rows;
	size_t max_bytes;
	enum kp_err err;
	struct store_loaded *rows;
	void (*found)(void *arg, enum kp_err err, struct store_loaded *rows);
	void *arg;
};

/* What the two threads hand to each other. */
struct queue {
	struct store_cmd *first, *last;
	struct load *loads;		/* run after the commands, in any order */
};

struct store {
	struct loop *loop;
	struct store_db *db;		/* the thread's while it runs */
	bool poisoned;			/* likewise */
	uv_thread_t thread;
	bool running;
	int64_t next_id;
	struct loop_timer flush;	/* for removes that wait for company */
	bool flush_set;

	uv_mutex_t lock;		/* guards all below */
	uv_cond_t wake;
	struct queue waiting;
	uint64_t batch;			/* number of the one that is waiting */
	struct queue finished;
	bool hurry;			/* something waits that is worth a commit */
	bool ending;
	bool posted;
	struct loop_task task;

	_Atomic uint64_t bytes;		/* in the file */
	_Atomic uint64_t waiting_bytes;
};

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

static uint64_t
cmd_bytes(const struct store_cmd *cmd)
{
	return cmd->verb == STORE_APPEND ? cmd->row.key.n + cmd->row.value.n + 64 : 0;
}

/* ---- the store's thread ---- */

static enum kp_err
run_one(struct store_db *db, const struct store_cmd *cmd)
{
	switch (cmd->verb) {
	case STORE_APPEND:
		return db_append(db, &cmd->row);
	case STORE_REMOVE:
		return db_remove(db, cmd->row.id);
	case STORE_BURY:
		return db_bury(db, cmd->row.id, cmd->reason);
	}
	return KP_EBADREQ;
}

/* One transaction, all or nothing. */
static enum kp_err
run_transaction(struct store *s, struct store_cmd *first, bool with_appends)
{
	enum kp_err err = db_begin(s->db);

	for (struct store_cmd *c = first; c && err == KP_OK; c = c->next) {
		if (with_appends || c->verb != STORE_APPEND)
			err = run_one(s->db, c);
		if (c->verb == STORE_APPEND)
			fault_point("P2");
		else
			fault_point("P9");
	}
	if (err == KP_OK)
		return db_commit(s->db);
	db_rollback(s->db);
	return err;
}

static void
run_batch(struct store *s, struct store_cmd *first)
{
	enum kp_err err, rest;

	if (first == NULL)
		return;
	err = rest = s->poisoned ? KP_EIO : run_transaction(s, first, true);
	/* On a full disk what has been delivered must still be able to leave. */
	if (err == KP_EFULL)
		rest = run_transaction(s, first, false);
	/* After a failed write or sync nobody knows what the disk holds. */
	if ((err == KP_EIO || rest == KP_EIO) && !s->poisoned) {
		s->poisoned = true;
		log_error("store failed: until a restart an async message is only accepted "
		    "once Kafka has it; sync produce goes on");
	}
	for (struct store_cmd *c = first; c; c = c->next) {
		c->err = c->verb == STORE_APPEND ? err : rest;
		atomic_fetch_sub(&s->waiting_bytes, cmd_bytes(c));
	}
	atomic_store(&s->bytes, db_bytes(s->db));
}

static void run_finished(struct loop_task *t);

/* Under the lock. */
static void
hand_back(struct store *s, struct queue *batch)
{
	if (batch->first) {
		if (s->finished.last) {
			s->finished.last->next = batch->first;
			batch->first->prev = s->finished.last;
		} else {
			s->finished.first = batch->first;
		}
		s->finished.last = batch->last;
	}
	while (batch->loads) {
		struct load *l = batch->loads;

		batch->loads = l->next;
		l->next = s->finished.loads;
		s->finished.loads = l;
	}
	if (!s->posted && !s->ending) {
		s->posted = true;
		s->task.run = run_finished;
		loop_post(s->loop, &s->task);
	}
}

/* Everything that waits, in one transaction. Entered and left with the lock. */
static void
run_waiting(struct store *s)
{
	struct queue batch = s->waiting;

	s->waiting = (struct queue){ 0 };
	s->batch++;
	s->hurry = false;
	uv_mutex_unlock(&s->lock);
	run_batch(s, batch.first);
	for (struct load *l = batch.loads; l; l = l->next)
		l->err = db_load(s->db, l->topic, l->after, l->max_rows, l->max_bytes, &l->rows);
	uv_mutex_lock(&s->lock);
	hand_back(s, &batch);
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
	while (done.loads) {
		struct load *l = done.loads;

		done.loads = l->next;
		l->found(l->arg, l->err, l->rows);
		free(l);
	}
}

enum kp_err
store_open(struct loop *loop, const char *path, enum conf_durability durability,
    struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	enum kp_err err;

	*out = NULL;
	if (s == NULL)
		return KP_ENOMEM;
	s->loop = loop;
	uv_mutex_init(&s->lock);
	uv_cond_init(&s->wake);
	err = db_open(path, durability, &s->db);
	if (err == KP_OK)
		err = db_first_id(s->db, &s->next_id);
	if (err == KP_OK) {
		atomic_store(&s->bytes, db_bytes(s->db));
		*out = s;
		return KP_OK;
	}
	store_close(s);
	return err;
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
	} while (s->waiting.first || s->waiting.loads);
	return db_count(s->db);
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	db_close(s->db);
	uv_cond_destroy(&s->wake);
	uv_mutex_destroy(&s->lock);
	free(s);
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

static void
flush(void *arg)
{
	struct store *s = arg;

	s->flush_set = false;
	uv_mutex_lock(&s->lock);
	s->hurry = s->waiting.first != NULL;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}

void
store_submit(struct store *s, struct store_cmd *cmd)
{
	start_thread(s);
	atomic_fetch_add(&s->waiting_bytes, cmd_bytes(cmd));
	uv_mutex_lock(&s->lock);
	queue_put(&s->waiting, cmd);
	cmd->batch = s->batch;
	if (cmd->verb != STORE_REMOVE && !s->hurry) {
		s->hurry = true;
		uv_cond_signal(&s->wake);
	}
	uv_mutex_unlock(&s->lock);
	if (cmd->verb == STORE_REMOVE && !s->flush_set && !s->ending) {
		s->flush_set = true;
		loop_timer_set(s->loop, &s->flush, STORE_REMOVE_MS, 0, flush, s);
	}
}

bool
store_cancel(struct store *s, struct store_cmd *cmd)
{
	bool found;

	uv_mutex_lock(&s->lock);
	found = cmd->batch == s->batch;
	if (found) {
		if (cmd->prev)
			cmd->prev->next = cmd->next;
		else
			s->waiting.first = cmd->next;
		if (cmd->next)
			cmd->next->prev = cmd->prev;
		else
			s->waiting.last = cmd->prev;
	}
	uv_mutex_unlock(&s->lock);
	if (found)
		atomic_fetch_sub(&s->waiting_bytes, cmd_bytes(cmd));
	return found;
}

void
store_each_topic(struct store *s, void (*each)(void *arg, const char *topic), void *arg)
{
	if (db_each_topic(s->db, each, arg) != KP_OK)
		log_error("store topics cannot be listed");
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
	memcpy(l->topic, topic, strlen(topic) + 1);
	l->after = after;
	l->max_rows = max_rows;
	l->max_bytes = max_bytes;
	l->found = found;
	l->arg = arg;
	start_thread(s);
	uv_mutex_lock(&s->lock);
	l->next = s->waiting.loads;
	s->waiting.loads = l;
	s->hurry = true;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}
