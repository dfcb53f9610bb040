/* The loop's side of the store: it is opened, given commands and questions, and ended. */
#include "helper/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "helper/store/store_disk.h"
#include "helper/store/store_thread.h"

static const struct store_backend store_file;

/* ---- opening and ending ---- */

static void
count_rows(void *arg, const char *topic, int64_t pending, int64_t dead, int64_t bytes)
{
	shares_add(arg, kp_slice_str(topic), pending + dead, bytes);
}

/* Of a store without a file, or whose file does not work: told in a way of their own, so
 * that they are none of a file. */
static enum kp_err
ids_of_this_process(struct store *s)
{
	atomic_store(&s->next_id, IDS_FIRST);
	atomic_store(&s->end_id, IDS_END);
	return ids_new(&s->ids);
}

/* Sync produce and consume do not need it. */
static enum kp_err
open_failed(struct store *s)
{
	db_close(s->db);
	s->db = NULL;
	store_poison(s);
	return ids_of_this_process(s);
}

static enum kp_err
open_file(struct store *s, enum conf_durability durability)
{
	enum kp_err err = db_open(s->path, durability, &s->db);

	s->backend = &store_file;
	if (err == KP_OK)
		err = store_reserve_ids(s);
	if (err == KP_EFULL && s->db && disk_release_reserve(s->path))
		err = store_reserve_ids(s);
	if (err == KP_OK) {
		s->ids = *db_ids(s->db);
		s->has_reserve = disk_make_reserve(s->path);
		s->counts = db_counts(s->db);
		db_each_topic(s->db, count_rows, s->shares);
		store_look_after(s);
	} else if (err == KP_EIO || err == KP_EFULL) {
		err = open_failed(s);
	}
	return err;
}

static enum kp_err
open_memory(struct store *s)
{
	s->backend = &store_memory;
	return ids_of_this_process(s);
}

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
	store_queue_init(&s->waiting);
	store_queue_init(&s->finished);
	s->path = strdup(path);
	s->shares = shares_new();
	atomic_store(&s->free_bytes, -1);
	if (s->path && s->shares)
		err = durability == DURABLE_MEMORY ? open_memory(s) : open_file(s, durability);
	if (err) {
		store_close(s);
		return err == KP_ENOMEM ? err : KP_EIO;
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

static int64_t
file_finish(struct store *s)
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
		store_run_waiting(s);
		uv_mutex_unlock(&s->lock);
		store_run_finished(&s->task);
	} while (!TAILQ_EMPTY(&s->waiting.cmds) || !STAILQ_EMPTY(&s->waiting.asks));
	if (atomic_load(&s->direct) && !atomic_load(&s->failed))
		store_run_transaction(s, NULL, NULL, true);
	return s->counts.pending;
}

int64_t
store_finish(struct store *s)
{
	return s->backend->finish(s);
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	db_close(s->db);
	uv_cond_destroy(&s->wake);
	uv_mutex_destroy(&s->lock);
	shares_free(s->shares);
	free(s->path);
	free(s);
}

/* ---- the loop's thread ---- */

/* They may submit again, or free their commands. */
void
store_run_finished(struct loop_task *t)
{
	struct store *s = loop_owner(t, struct store, task);
	struct store_queue done;
	struct store_cmd *c;
	struct store_ask *ask;

	store_queue_init(&done);
	uv_mutex_lock(&s->lock);
	store_queue_move(&done, &s->finished);
	s->posted = false;
	uv_mutex_unlock(&s->lock);
	while ((c = TAILQ_FIRST(&done.cmds)) != NULL) {
		TAILQ_REMOVE(&done.cmds, c, link);
		shares_settled(s->shares, c);
		c->done(c, c->err);
	}
	while ((ask = STAILQ_FIRST(&done.asks)) != NULL) {
		STAILQ_REMOVE_HEAD(&done.asks, link);
		ask->done(ask);
	}
}

bool
store_keeps(const struct store *s)
{
	return s->backend->keeps;
}

int64_t
store_next_id(struct store *s)
{
	int64_t id = atomic_load(&s->next_id);

	if (id >= atomic_load(&s->end_id))
		return 0;
	atomic_store(&s->next_id, id + 1);
	return id;
}

const struct ids *
store_ids(const struct store *s)
{
	return &s->ids;
}

void
store_count_direct(struct store *s)
{
	atomic_fetch_add(&s->direct, 1);
}

/* The thread looks at the free space with what it does; here nothing may be done. */
void
store_wake(struct store *s)
{
	start_thread(s);
	uv_mutex_lock(&s->lock);
	s->hurry = true;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}

static void
flush(void *arg)
{
	struct store *s = arg;

	s->flush_set = false;
	uv_mutex_lock(&s->lock);
	s->hurry = s->hurry || !TAILQ_EMPTY(&s->waiting.cmds);
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}

static void
file_submit(struct store *s, struct store_cmd *cmd)
{
	bool leaves = cmd->verb == STORE_REMOVE || cmd->verb == STORE_REFUSE;

	start_thread(s);
	shares_submitted(s->shares, cmd);
	atomic_fetch_add(&s->waiting_bytes, store_cmd_bytes(cmd));
	uv_mutex_lock(&s->lock);
	TAILQ_INSERT_TAIL(&s->waiting.cmds, cmd, link);
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

void
store_submit(struct store *s, struct store_cmd *cmd)
{
	s->backend->submit(s, cmd);
}

bool
store_cancel(struct store *s, struct store_cmd *cmd)
{
	bool found;

	uv_mutex_lock(&s->lock);
	found = cmd->waiting;
	if (found)
		TAILQ_REMOVE(&s->waiting.cmds, cmd, link);
	cmd->waiting = false;
	uv_mutex_unlock(&s->lock);
	if (found) {
		atomic_fetch_sub(&s->waiting_bytes, store_cmd_bytes(cmd));
		shares_cancelled(s->shares, cmd);
	}
	return found;
}

struct each_topic {
	void (*each)(void *arg, const char *topic);
	void *arg;
};

static void
each_pending(void *arg, const char *topic, int64_t pending, int64_t dead, int64_t bytes)
{
	const struct each_topic *e = arg;

	(void)dead, (void)bytes;
	if (pending)
		e->each(e->arg, topic);
}

void
store_each_topic(struct store *s, void (*each)(void *arg, const char *topic), void *arg)
{
	if (s->db)
		db_each_topic(s->db, each_pending, &(struct each_topic){ each, arg });
}

static void
file_ask(struct store *s, struct store_ask *ask)
{
	start_thread(s);
	uv_mutex_lock(&s->lock);
	ask->number = s->submitted;
	STAILQ_INSERT_TAIL(&s->waiting.asks, ask, link);
	s->hurry = true;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
}

void
store_ask(struct store *s, struct store_ask *ask)
{
	s->backend->ask(s, ask);
}

static const struct store_backend store_file = {
	.keeps = true, .submit = file_submit, .ask = file_ask, .finish = file_finish,
};

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
