/*
 * The store's file. One connection that holds the file's lock for as long as it
 * is open (EXCLUSIVE, set before WAL): no second process can read or write it,
 * and SQLite needs no shared memory.
 *
 *	topic(id, name)
 *	pending(id, topic, accepted_ms, key, value)	waiting for Kafka
 *	dead(id, topic, accepted_ms, key, value, buried_ms, reason)
 *	meta(name, value)				boots: how often it was opened
 */
#include "helper/produce/store_db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/msg.h"
#include "helper/produce/store_path.h"

#define SCHEMA_VERSION 1
/* Ids of one process: 2^36 messages, and 2^27 processes. */
#define IDS_PER_BOOT (INT64_C(1) << 36)
#define WAL_KEEP_BYTES "8388608"

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE pending (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
    " accepted_ms INTEGER NOT NULL, key BLOB, value BLOB NOT NULL);"
    "CREATE INDEX pending_topic ON pending (topic, id);"
    "CREATE TABLE dead (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
    " accepted_ms INTEGER NOT NULL, key BLOB, value BLOB NOT NULL,"
    " buried_ms INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('boots', 0);"
    "PRAGMA user_version = 1;"
    "COMMIT;";

enum statement {
	Q_BEGIN, Q_COMMIT, Q_ROLLBACK, Q_TOPIC_ADD, Q_TOPIC_ID, Q_APPEND, Q_REMOVE, Q_BURY,
	Q_LOAD, Q_TOPICS, Q_COUNT, Q_BOOT, Q_BOOTS, Q_PAGES, Q_FREE, Q_PAGE_SIZE, Q_N
};

static const char *const sql[Q_N] = {
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_TOPIC_ADD] = "INSERT OR IGNORE INTO topic (name) VALUES (?1)",
	[Q_TOPIC_ID] = "SELECT id FROM topic WHERE name = ?1",
	[Q_APPEND] = "INSERT INTO pending (id, topic, accepted_ms, key, value)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)",
	[Q_REMOVE] = "DELETE FROM pending WHERE id = ?1",
	[Q_BURY] = "INSERT OR IGNORE INTO dead SELECT id, topic, accepted_ms, key, value, ?2, ?3"
	    " FROM pending WHERE id = ?1",
	[Q_LOAD] = "SELECT id, accepted_ms, key, value FROM pending"
	    " WHERE topic = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
	[Q_TOPICS] = "SELECT name FROM topic t WHERE EXISTS"
	    " (SELECT 1 FROM pending p WHERE p.topic = t.id)",
	[Q_COUNT] = "SELECT count(*) FROM pending",
	[Q_BOOT] = "UPDATE meta SET value = value + 1 WHERE name = 'boots'",
	[Q_BOOTS] = "SELECT value FROM meta WHERE name = 'boots'",
	[Q_PAGES] = "PRAGMA page_count",
	[Q_FREE] = "PRAGMA freelist_count",
	[Q_PAGE_SIZE] = "PRAGMA page_size",
};

struct store_db {
	sqlite3 *sqlite;
	sqlite3_stmt *q[Q_N];
	/* The topic looked up last: most batches are of one topic. */
	char last_topic[TOPIC_MAX + 1];
	int64_t last_topic_id;
};

static enum kp_err
err_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return KP_OK;
	case SQLITE_FULL:
		return KP_EFULL;
	case SQLITE_NOMEM:
		return KP_ENOMEM;
	default:
		return KP_EIO;
	}
}

static int64_t
wall_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* ---- opening ---- */

static int
exec(struct store_db *db, const char *text)
{
	return sqlite3_exec(db->sqlite, text, NULL, NULL, NULL);
}

static int
configure(struct store_db *db, enum conf_durability durability)
{
	int rc = SQLITE_OK;

	sqlite3_busy_timeout(db->sqlite, 0);
	sqlite3_extended_result_codes(db->sqlite, 1);
	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	rc = exec(db, "PRAGMA locking_mode = EXCLUSIVE");
	if (rc == SQLITE_OK)
		rc = exec(db, "PRAGMA journal_mode = WAL");
	/* FULL: a commit syncs the log. NORMAL: it reaches the kernel only. */
	if (rc == SQLITE_OK)
		rc = exec(db, durability == DURABLE_FSYNC ? "PRAGMA synchronous = FULL" :
		    "PRAGMA synchronous = NORMAL");
	if (fault_break("no-sync"))
		rc = exec(db, "PRAGMA synchronous = OFF");
	if (rc == SQLITE_OK)
		rc = exec(db, "PRAGMA journal_size_limit = " WAL_KEEP_BYTES);
	if (rc == SQLITE_OK)
		rc = exec(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
		    " PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY");
	return rc;
}

static int
schema_version(struct store_db *db)
{
	sqlite3_stmt *st;
	int version = -1;

	if (sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return version;
}

static int
prepare(struct store_db *db)
{
	int rc = SQLITE_OK;

	for (int i = 0; i < Q_N && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(db->sqlite, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
		    &db->q[i], NULL);
	return rc;
}

enum kp_err
db_open(const char *path, enum conf_durability durability, struct store_db **out)
{
	struct store_db *db;
	enum kp_err err;
	mode_t mask;
	int rc, version = 0;

	*out = NULL;
	err = store_path_check(path);
	if (err)
		return err;
	db = calloc(1, sizeof(*db));
	if (db == NULL)
		return KP_ENOMEM;
	mask = umask(077);
	rc = sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
	    SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = configure(db, durability);
	if (rc == SQLITE_OK)
		version = schema_version(db);
	if (rc == SQLITE_OK && version == 0)
		rc = exec(db, schema);
	if (rc == SQLITE_OK && version <= SCHEMA_VERSION)
		rc = prepare(db);
	umask(mask);
	if (rc == SQLITE_OK && version <= SCHEMA_VERSION) {
		*out = db;
		return KP_OK;
	}
	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		log_error("--store %s: another helper has it open; give each its own", path);
	else if (version > SCHEMA_VERSION)
		log_error("--store %s: written by a newer version (schema %d)", path, version);
	else
		log_error("--store %s: %s", path, sqlite3_errmsg(db->sqlite));
	db_close(db);
	return KP_EIO;
}

void
db_close(struct store_db *db)
{
	if (db == NULL)
		return;
	for (int i = 0; i < Q_N; i++)
		sqlite3_finalize(db->q[i]);
	sqlite3_close(db->sqlite);
	free(db);
}

/* ---- statements ---- */

/* One step of a statement that returns no row we need. */
static enum kp_err
run(struct store_db *db, enum statement q)
{
	int rc = sqlite3_step(db->q[q]);
	enum kp_err err = err_of(rc);

	if (err)
		log_error("store sqlite err=%d: %s", rc, sqlite3_errmsg(db->sqlite));
	sqlite3_reset(db->q[q]);
	return err;
}

static int64_t
number(struct store_db *db, enum statement q)
{
	int64_t n = 0;

	if (sqlite3_step(db->q[q]) == SQLITE_ROW)
		n = sqlite3_column_int64(db->q[q], 0);
	sqlite3_reset(db->q[q]);
	return n;
}

enum kp_err
db_first_id(struct store_db *db, int64_t *id)
{
	enum kp_err err = db_begin(db);

	if (err == KP_OK)
		err = run(db, Q_BOOT);
	*id = number(db, Q_BOOTS) * IDS_PER_BOOT + 1;
	if (err == KP_OK)
		err = db_commit(db);
	return err;
}

enum kp_err
db_begin(struct store_db *db)
{
	return run(db, Q_BEGIN);
}

void
db_rollback(struct store_db *db)
{
	if (!sqlite3_get_autocommit(db->sqlite))
		run(db, Q_ROLLBACK);
	db->last_topic[0] = '\0';
}

enum kp_err
db_commit(struct store_db *db)
{
	enum kp_err err = run(db, Q_COMMIT);

	if (err)
		db_rollback(db);
	return err;
}

/* The topic's id, 0 when it has none. */
static enum kp_err
topic_id(struct store_db *db, struct kp_slice topic, int64_t *id)
{
	sqlite3_stmt *st = db->q[Q_TOPIC_ID];
	int rc;

	*id = db->last_topic_id;
	if (db->last_topic[0] && kp_slice_eq(topic, kp_slice_str(db->last_topic)))
		return KP_OK;
	sqlite3_bind_text(st, 1, (const char *)topic.p, (int)topic.n, SQLITE_STATIC);
	rc = sqlite3_step(st);
	*id = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return err_of(rc);
}

static enum kp_err
add_topic(struct store_db *db, struct kp_slice topic, int64_t *id)
{
	enum kp_err err = topic_id(db, topic, id);

	if (err == KP_OK && *id == 0) {
		sqlite3_bind_text(db->q[Q_TOPIC_ADD], 1, (const char *)topic.p, (int)topic.n,
		    SQLITE_STATIC);
		err = run(db, Q_TOPIC_ADD);
		if (err == KP_OK)
			err = topic_id(db, topic, id);
		if (err == KP_OK && *id == 0)
			err = KP_EIO;	/* a row without a topic would never be found */
	}
	if (err)
		return err;
	snprintf(db->last_topic, sizeof(db->last_topic), "%.*s", (int)topic.n,
	    (const char *)topic.p);
	db->last_topic_id = *id;
	return KP_OK;
}

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
db_append(struct store_db *db, const struct store_row *row)
{
	sqlite3_stmt *st = db->q[Q_APPEND];
	int64_t topic;
	enum kp_err err = add_topic(db, row->topic, &topic);

	if (err)
		return err;
	sqlite3_bind_int64(st, 1, row->id);
	sqlite3_bind_int64(st, 2, topic);
	sqlite3_bind_int64(st, 3, row->accepted_ms);
	bind_bytes(st, 4, row->key);
	bind_bytes(st, 5, row->value);
	err = run(db, Q_APPEND);
	sqlite3_clear_bindings(st);
	return err;
}

enum kp_err
db_remove(struct store_db *db, int64_t id)
{
	sqlite3_bind_int64(db->q[Q_REMOVE], 1, id);
	return run(db, Q_REMOVE);
}

enum kp_err
db_bury(struct store_db *db, int64_t id, const char *reason)
{
	sqlite3_stmt *st = db->q[Q_BURY];
	enum kp_err err;

	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int64(st, 2, wall_now_ms());
	sqlite3_bind_text(st, 3, reason, -1, SQLITE_STATIC);
	err = run(db, Q_BURY);
	return err ? err : db_remove(db, id);
}

/* A row and its bytes in one allocation. */
static struct store_loaded *
copy_row(sqlite3_stmt *st)
{
	size_t key_n = (size_t)sqlite3_column_bytes(st, 2);
	size_t value_n = (size_t)sqlite3_column_bytes(st, 3);
	struct store_loaded *l = malloc(sizeof(*l) + key_n + value_n + 1);
	uint8_t *bytes;

	if (l == NULL)
		return NULL;
	bytes = (uint8_t *)(l + 1);
	*l = (struct store_loaded){ .row = {
	    .id = sqlite3_column_int64(st, 0),
	    .accepted_ms = sqlite3_column_int64(st, 1),
	    .value = { bytes + key_n, value_n },
	} };
	if (sqlite3_column_type(st, 2) != SQLITE_NULL)
		l->row.key = (struct kp_slice){ bytes, key_n };
	if (key_n)
		memcpy(bytes, sqlite3_column_blob(st, 2), key_n);
	if (value_n)
		memcpy(bytes + key_n, sqlite3_column_blob(st, 3), value_n);
	return l;
}

enum kp_err
db_load(struct store_db *db, const char *topic, int64_t after, unsigned max_rows,
    size_t max_bytes, struct store_loaded **rows)
{
	sqlite3_stmt *st = db->q[Q_LOAD];
	struct store_loaded **tail = rows;
	size_t bytes = 0;
	int64_t id;
	enum kp_err err;
	int rc;

	*rows = NULL;
	err = topic_id(db, kp_slice_str(topic), &id);
	if (err)
		return err;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int64(st, 2, after);
	sqlite3_bind_int64(st, 3, max_rows);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && (bytes < max_bytes || *rows == NULL)) {
		struct store_loaded *l = copy_row(st);

		if (l == NULL) {
			err = KP_ENOMEM;
			break;		/* what was read so far is a valid answer */
		}
		bytes += l->row.key.n + l->row.value.n;
		*tail = l;
		tail = &l->next;
	}
	sqlite3_reset(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		log_error("store load err=%d: %s", rc, sqlite3_errmsg(db->sqlite));
	return *rows ? KP_OK : err ? err : err_of(rc);
}

enum kp_err
db_each_topic(struct store_db *db, void (*each)(void *arg, const char *topic), void *arg)
{
	int rc;

	while ((rc = sqlite3_step(db->q[Q_TOPICS])) == SQLITE_ROW)
		each(arg, (const char *)sqlite3_column_text(db->q[Q_TOPICS], 0));
	sqlite3_reset(db->q[Q_TOPICS]);
	return err_of(rc);
}

uint64_t
db_bytes(struct store_db *db)
{
	return (uint64_t)(number(db, Q_PAGES) - number(db, Q_FREE)) *
	    (uint64_t)number(db, Q_PAGE_SIZE);
}

int64_t
db_count(struct store_db *db)
{
	return number(db, Q_COUNT);
}
