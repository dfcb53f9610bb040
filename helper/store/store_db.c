/* What is written to the store's file: one transaction at a time. */
#include "helper/store/store_db.h"

#include "common/clock.h"
#include "common/log.h"
#include "helper/store/store_state.h"

/* A longer log is moved into the file after the commit: 4 MiB. */
#define WAL_PAGES 1000

enum kp_err
db_step(struct store_db *db, enum statement q)
{
	int rc = sqlite3_step(db->q[q]);
	enum kp_err err = db_err(rc);

	if (err)
		log_error("store sqlite err=%d: %s", rc, sqlite3_errmsg(db->sqlite));
	sqlite3_reset(db->q[q]);
	return err;
}

enum kp_err
db_begin(struct store_db *db)
{
	return db_step(db, Q_BEGIN);
}

void
db_rollback(struct store_db *db)
{
	if (!sqlite3_get_autocommit(db->sqlite))
		db_step(db, Q_ROLLBACK);
	db_topics_undone(db);
}

enum kp_err
db_commit(struct store_db *db)
{
	enum kp_err err = db_topics_write(db);

	if (err == KP_OK)
		err = db_step(db, Q_COMMIT);
	if (err)
		db_rollback(db);
	else
		db_topics_committed(db);
	return err;
}

void
db_count_direct(struct store_db *db, int64_t n)
{
	db->topics.now.accepted += n;
	db->topics.now.delivered += n;
}

enum kp_err
db_checkpoint(struct store_db *db, bool now)
{
	unsigned dropped;
	int rc;

	if (!now && db->wal_pages < WAL_PAGES)
		return KP_OK;
	rc = sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (rc == SQLITE_OK)
		db->wal_pages = 0;
	else if (log_rate_ok(&db->checkpoint_rate, &dropped))
		log_error("store checkpoint err=%d dropped_lines=%u: %s", rc, dropped,
		    sqlite3_errmsg(db->sqlite));
	return db_err(rc);
}

/* ---- commands ---- */

/* An empty blob is not a NULL: an empty key stays a key. */
static void
bind_bytes(sqlite3_stmt *st, int i, struct kp_slice s)
{
	if (s.p == NULL)
		sqlite3_bind_null(st, i);
	else if (s.n == 0)
		sqlite3_bind_zeroblob(st, i, 0);
	else
		sqlite3_bind_blob(st, i, s.p, (int)s.n, SQLITE_STATIC);
}

enum kp_err
db_insert(struct store_db *db, const struct store_row *row)
{
	sqlite3_stmt *st = db->q[Q_APPEND];
	struct db_topic *t;
	enum kp_err err = db_topic_get(db, row->topic, &t);

	if (err)
		return err;
	sqlite3_bind_int64(st, 1, row->id);
	sqlite3_bind_int64(st, 2, t->id);
	sqlite3_bind_int64(st, 3, row->accepted_ms);
	sqlite3_bind_int64(st, 4, row->attempts);
	if (row->was)
		sqlite3_bind_int64(st, 5, row->was);
	else
		sqlite3_bind_null(st, 5);
	sqlite3_bind_int64(st, 6, db_row_crc(row));
	bind_bytes(st, 7, row->key);
	bind_bytes(st, 8, row->value);
	err = db_step(db, Q_APPEND);
	sqlite3_clear_bindings(st);
	if (err == KP_OK)
		db_topic_change(db, t, (struct topic_counts){ .pending = 1,
		    .pending_bytes = (int64_t)(row->key.n + row->value.n) });
	return err;
}

/* The topic and the bytes of a row; KP_ENOTFOUND. */
static enum kp_err
look_up(struct store_db *db, enum statement q, int64_t id, struct db_topic **t, int64_t *bytes)
{
	sqlite3_stmt *st = db->q[q];
	enum kp_err err;
	int rc;

	sqlite3_bind_int64(st, 1, id);
	rc = sqlite3_step(st);
	err = rc == SQLITE_DONE ? KP_ENOTFOUND : db_err(rc);
	if (err == KP_OK) {
		*t = db_topic_by_id(db, sqlite3_column_int64(st, 0));
		*bytes = sqlite3_column_int64(st, 1);
		if (*t == NULL)
			err = KP_EIO;
	}
	if (err && err != KP_ENOTFOUND)
		log_error("store row id=%lld err=%d: %s", (long long)id, rc,
		    sqlite3_errmsg(db->sqlite));
	sqlite3_reset(st);
	return err;
}

/* Whoever knows the topic and the sizes saves the question for them: a third of the cost. */
static enum kp_err
delete_pending(struct store_db *db, const struct store_cmd *cmd, bool dead)
{
	const struct store_row *row = &cmd->row;
	int64_t bytes = (int64_t)(row->key.n + row->value.n);
	struct db_topic *t = row->topic.p ? db_topic_by_name(db, row->topic) : NULL;
	enum kp_err err = t ? KP_OK : look_up(db, Q_ROW, row->id, &t, &bytes);

	if (err)
		return err;
	sqlite3_bind_int64(db->q[Q_REMOVE], 1, row->id);
	err = db_step(db, Q_REMOVE);
	if (err == KP_OK && sqlite3_changes(db->sqlite) == 0)
		err = KP_ENOTFOUND;
	if (err == KP_OK)
		db_topic_change(db, t, (struct topic_counts){ .pending = -1,
		    .pending_bytes = -bytes, .dead = dead, .dead_bytes = dead ? bytes : 0 });
	return err;
}

static enum kp_err
run_append(struct store_db *db, const struct store_cmd *cmd)
{
	bool new = db_topics_are_full(db) && !db_topic_by_name(db, cmd->row.topic);
	enum kp_err err = new ? KP_EBUSY : db_insert(db, &cmd->row);

	db->topics.now.accepted += err == KP_OK;
	return err;
}

static enum kp_err
run_remove(struct store_db *db, const struct store_cmd *cmd)
{
	enum kp_err err = delete_pending(db, cmd, false);

	db->topics.now.delivered += err == KP_OK;
	return err;
}

static enum kp_err
run_refuse(struct store_db *db, const struct store_cmd *cmd)
{
	enum kp_err err = delete_pending(db, cmd, false);

	db->topics.now.accepted -= err == KP_OK;
	return err;
}

static enum kp_err
run_bury(struct store_db *db, const struct store_cmd *cmd)
{
	sqlite3_stmt *st = db->q[Q_BURY];
	enum kp_err err;

	sqlite3_bind_int64(st, 1, cmd->row.id);
	sqlite3_bind_int64(st, 2, cmd->row.attempts);
	sqlite3_bind_int64(st, 3, clock_wall_ms());
	sqlite3_bind_text(st, 4, cmd->reason, -1, SQLITE_STATIC);
	err = db_step(db, Q_BURY);
	return err ? err : delete_pending(db, cmd, true);
}

static enum kp_err
run_drop(struct store_db *db, const struct store_cmd *cmd)
{
	bool revive = cmd->verb == STORE_REVIVE;
	int64_t bytes, id = revive ? cmd->row.was : cmd->row.id;
	struct db_topic *t;
	enum kp_err err = look_up(db, Q_DEAD_ROW, id, &t, &bytes);

	if (err == KP_OK && revive) {
		sqlite3_bind_int64(db->q[Q_REVIVE], 1, id);
		sqlite3_bind_int64(db->q[Q_REVIVE], 2, cmd->row.id);
		err = db_step(db, Q_REVIVE);
	}
	if (err)
		return err;
	sqlite3_bind_int64(db->q[Q_DROP], 1, id);
	err = db_step(db, Q_DROP);
	if (err == KP_OK)
		db_topic_change(db, t, (struct topic_counts){ .pending = revive,
		    .pending_bytes = revive ? bytes : 0, .dead = -1, .dead_bytes = -bytes });
	db->topics.now.dropped += err == KP_OK && !revive;
	return err;
}

enum kp_err
db_run(struct store_db *db, const struct store_cmd *cmd)
{
	static enum kp_err (*const run[])(struct store_db *db, const struct store_cmd *cmd) = {
		[STORE_APPEND] = run_append, [STORE_REMOVE] = run_remove,
		[STORE_REFUSE] = run_refuse, [STORE_BURY] = run_bury,
		[STORE_REVIVE] = run_drop, [STORE_DROP] = run_drop,
	};

	return run[cmd->verb](db, cmd);
}

/* ---- what there is ---- */

static int64_t
number(struct store_db *db, enum statement q)
{
	int64_t n = 0;

	if (sqlite3_step(db->q[q]) == SQLITE_ROW)
		n = sqlite3_column_int64(db->q[q], 0);
	sqlite3_reset(db->q[q]);
	return n;
}

uint64_t
db_bytes(struct store_db *db)
{
	return (uint64_t)(number(db, Q_PAGES) - number(db, Q_FREE)) *
	    (uint64_t)db->page_size;
}

struct store_counts
db_counts(const struct store_db *db)
{
	return db->topics.kept;
}
