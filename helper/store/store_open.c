/*
 * Opening the store's file: settings, statements, and whether it is sound. One
 * connection holds the file's lock for as long as it is open (EXCLUSIVE, set before
 * WAL): no second process can read or write it, and SQLite needs no shared memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fault.h"
#include "common/log.h"
#include "helper/store/store_disk.h"
#include "helper/store/store_path.h"
#include "helper/store/store_state.h"

/* No version of ours will have such a number: the file is damaged. */
#define SCHEMA_VERSION_MAX 15
/* What stays of the log's file after it was long. */
#define WAL_KEEP_BYTES "8388608"
/* A larger file is only searched for damage when there is a sign of it: its rows
 * are checked one by one as they are read. */
#define CHECK_BYTES_MAX (32 * 1024 * 1024)
/* The most that a row may take: a message, its key, the rest. */
#define ROW_BYTES_MAX (68 * 1024 * 1024)

#define LISTED "id, topic, accepted_ms, attempts, was, crc, key, value"
#define LISTED_DEAD "id, topic, accepted_ms, attempts, NULL, crc, key, value, buried_ms, reason"

static const char *const sql[Q_N] = {
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_APPEND] = "INSERT INTO pending (" LISTED ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[Q_ROW] = "SELECT topic, length(value) + coalesce(length(key), 0) FROM pending"
	    " WHERE id = ?1",
	[Q_REMOVE] = "DELETE FROM pending WHERE id = ?1",
	[Q_BURY] = "INSERT OR REPLACE INTO dead (id, topic, accepted_ms, attempts, crc, key,"
	    " value, buried_ms, reason) SELECT coalesce(was, id), topic, accepted_ms,"
	    " attempts + ?2, crc, key, value, ?3, ?4 FROM pending WHERE id = ?1",
	[Q_DEAD_ROW] = "SELECT topic, length(value) + coalesce(length(key), 0) FROM dead"
	    " WHERE id = ?1",
	[Q_REVIVE] = "INSERT INTO pending (" LISTED ") SELECT ?2, topic, accepted_ms, attempts,"
	    " id, crc, key, value FROM dead WHERE id = ?1",
	[Q_DROP] = "DELETE FROM dead WHERE id = ?1",
	[Q_TOPIC_ADD] = "INSERT INTO topic (name) VALUES (?1)",
	[Q_TOPIC_DROP] = "DELETE FROM topic WHERE id = ?1",
	[Q_TOPIC_COUNT] = "UPDATE topic SET pending = ?2, pending_bytes = ?3, dead = ?4,"
	    " dead_bytes = ?5 WHERE id = ?1",
	[Q_COUNT] = "UPDATE counts SET accepted = ?1, delivered = ?2, dropped = ?3",
	[Q_LOAD] = "SELECT " LISTED " FROM pending WHERE topic = ?1 AND id > ?2"
	    " ORDER BY id LIMIT ?3",
	[Q_LIST_PENDING] = "SELECT " LISTED " FROM pending WHERE id > ?2 ORDER BY id LIMIT ?3",
	[Q_LIST_PENDING_OF] = "SELECT " LISTED " FROM pending WHERE topic = ?1 AND id > ?2"
	    " ORDER BY id LIMIT ?3",
	[Q_LIST_DEAD] = "SELECT " LISTED_DEAD " FROM dead WHERE id > ?2 ORDER BY id LIMIT ?3",
	[Q_LIST_DEAD_OF] = "SELECT " LISTED_DEAD " FROM dead WHERE topic = ?1 AND id > ?2"
	    " ORDER BY id LIMIT ?3",
	[Q_FIND_PENDING] = "SELECT " LISTED " FROM pending WHERE id = ?1 AND was IS NULL",
	[Q_FIND_WAS] = "SELECT " LISTED " FROM pending WHERE was = ?1",
	[Q_FIND_DEAD] = "SELECT " LISTED_DEAD " FROM dead WHERE id = ?1",
	[Q_OLDEST] = "SELECT " LISTED " FROM pending ORDER BY id LIMIT 1",
	[Q_PAGES] = "PRAGMA page_count",
	[Q_FREE] = "PRAGMA freelist_count",
};

enum kp_err
db_err(int rc)
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

static int
count_wal(void *arg, sqlite3 *sqlite, const char *name, int pages)
{
	struct store_db *db = arg;

	(void)sqlite, (void)name;
	db->wal_pages = pages;
	return SQLITE_OK;
}

/* Checkpoints are ours: SQLite's automatic ones ignore an error, and after a sync
 * that failed a second one may succeed without the data being there. */
static int
configure(struct store_db *db, enum conf_durability durability, bool salvage)
{
	/* FULL: a commit syncs the log. NORMAL: it reaches the kernel only. */
	const char *const pragmas[] = {
		"PRAGMA locking_mode = EXCLUSIVE",
		"PRAGMA journal_mode = WAL",
		fault_break("no-sync") ? "PRAGMA synchronous = OFF" :
		    durability == DURABLE_FSYNC ? "PRAGMA synchronous = FULL" :
		    "PRAGMA synchronous = NORMAL",
		"PRAGMA journal_size_limit = " WAL_KEEP_BYTES,
		"PRAGMA wal_autocheckpoint = 0",
		"PRAGMA cell_size_check = ON",
		"PRAGMA mmap_size = 0",
		"PRAGMA cache_size = -2048",
		"PRAGMA temp_store = MEMORY",
	};
	int rc = SQLITE_OK;

	db->lazy = durability == DURABLE_OS && !fault_break("no-sync");
	sqlite3_busy_timeout(db->sqlite, 0);
	sqlite3_extended_result_codes(db->sqlite, 1);
	/* A writable schema means to SQLite that a file that is too short, or whose
	 * schema is odd, is opened all the same. */
	sqlite3_db_config(db->sqlite, salvage ? SQLITE_DBCONFIG_WRITABLE_SCHEMA :
	    SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(db->sqlite, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
	sqlite3_limit(db->sqlite, SQLITE_LIMIT_ATTACHED, 0);
	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]) && rc == SQLITE_OK; i++)
		rc = db_exec(db, pragmas[i]);
	sqlite3_wal_hook(db->sqlite, count_wal, db);
	return rc;
}

int
db_connect(const char *path, enum conf_durability durability, bool salvage, struct store_db **out)
{
	struct store_db *db = calloc(1, sizeof(*db));
	mode_t mask = umask(077);
	int rc = SQLITE_NOMEM;

	*out = db;
	/* Its own statistics take a lock at each allocation. Only the first call does anything. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (db && (db->path = strdup(path)) != NULL)
		rc = sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE |
		    SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, NULL);
	/* What is to be salvaged stays as it is. */
	if (rc == SQLITE_OK && salvage)
		rc = sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = configure(db, durability, salvage);
	umask(mask);
	return rc;
}

int
db_read_number(struct store_db *db, const char *text, int64_t *value)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sqlite, text, -1, &st, NULL);

	*value = -1;
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int
db_is_foreign(struct store_db *db, bool *foreign)
{
	int64_t n;
	int rc = db_read_number(db, "SELECT count(*) FROM sqlite_master"
	    " WHERE type IN ('view', 'trigger')", &n);

	*foreign = n > 0;
	return rc;
}

int
db_prepare(struct store_db *db, int *version)
{
	int64_t n;
	int rc = db_read_number(db, "PRAGMA user_version", &n);

	*version = (int)n;
	if (rc == SQLITE_OK && (*version < 0 || *version > SCHEMA_VERSION_MAX))
		return SQLITE_CORRUPT;
	if (rc == SQLITE_OK && *version > SCHEMA_VERSION)
		return SQLITE_OK;
	if (rc == SQLITE_OK && *version < SCHEMA_VERSION) {
		if (*version > 0)
			log_info("store upgrade path=%s from=%d to=%d", db->path, *version,
			    SCHEMA_VERSION);
		rc = db_upgrade(db, *version);
	}
	for (int i = 0; i < Q_N && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(db->sqlite, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
		    &db->q[i], NULL);
	if (rc == SQLITE_OK)
		rc = db_read_number(db, "PRAGMA page_size", &db->page_size);
	if (rc == SQLITE_OK)
		rc = db_read_ids(db);
	return rc == SQLITE_OK ? db_topics_read(db) : rc;
}

/* ---- is it sound? ---- */

static bool
is_damage(int rc)
{
	/* A schema that does not parse, or lacks what we know of: SQLITE_ERROR. A file
	 * that may be written, and says that it is of a later SQLite: SQLITE_READONLY. */
	return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB ||
	    (rc & 0xff) == SQLITE_ERROR || (rc & 0xff) == SQLITE_CONSTRAINT ||
	    (rc & 0xff) == SQLITE_MISMATCH || rc == SQLITE_IOERR_SHORT_READ ||
	    rc == SQLITE_READONLY;
}

/* The first thing that is wrong; an empty text when nothing is. */
static int
check(struct store_db *db, char *wrong, size_t cap)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sqlite, "PRAGMA integrity_check(1)", -1, &st, NULL);

	wrong[0] = '\0';
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		if (text == NULL || strcmp(text, "ok") != 0)
			snprintf(wrong, cap, "%s", text ? text : "out of memory");
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

static bool
worth_a_check(const char *path)
{
	struct stat st;

	return disk_is_suspect(path) || (stat(path, &st) == 0 && st.st_size <= CHECK_BYTES_MAX);
}

/* ---- opening ---- */

/* One attempt. On KP_EBADMSG the file is damaged, and `wrong` says how. */
static enum kp_err
try_open(const char *path, enum conf_durability durability, struct store_db **out, char *wrong,
    size_t cap)
{
	bool to_check = worth_a_check(path), foreign = false, ours;
	struct store_db *db;
	int version = 0, rc = db_connect(path, durability, false, &db);

	if (rc == SQLITE_OK)
		rc = db_is_foreign(db, &foreign);
	if (rc == SQLITE_OK && !foreign)
		rc = db_prepare(db, &version);
	ours = !foreign && version <= SCHEMA_VERSION;
	wrong[0] = '\0';
	if (rc == SQLITE_OK && ours && to_check)
		rc = check(db, wrong, cap);
	if (rc == SQLITE_OK && ours && !wrong[0]) {
		*out = db;
		return KP_OK;
	}
	if (!wrong[0])
		snprintf(wrong, cap, "%s", db && sqlite3_errcode(db->sqlite) == rc ?
		    sqlite3_errmsg(db->sqlite) : sqlite3_errstr(rc));
	db_close(db);
	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		log_error("--store %s: another helper has it open; give each its own", path);
	else if (foreign)
		log_error("--store %s: has a view or a trigger: is no store of ours", path);
	else if (rc == SQLITE_OK && version > SCHEMA_VERSION)
		log_error("--store %s: written by a newer version (schema %d)", path, version);
	else if (rc == SQLITE_OK || is_damage(rc))
		return KP_EBADMSG;
	else
		return db_err(rc);
	return KP_ECONFLICT;
}

enum kp_err
db_open(const char *path, enum conf_durability durability, struct store_db **out)
{
	char wrong[256];
	enum kp_err err;

	*out = NULL;
	err = store_path_check(path);
	if (err == KP_OK)
		err = db_salvage_resume(path);
	if (err)
		return err;
	err = try_open(path, durability, out, wrong, sizeof(wrong));
	if (err == KP_EFULL && disk_release_reserve(path))
		err = try_open(path, durability, out, wrong, sizeof(wrong));
	if (err == KP_EBADMSG && !disk_looks_like_ours(path)) {
		log_error("--store %s: is no store of ours: %s", path, wrong);
		return KP_ECONFLICT;
	}
	if (err == KP_EBADMSG) {
		err = db_salvage(path, wrong);
		if (err == KP_OK)
			err = try_open(path, durability, out, wrong, sizeof(wrong));
		if (err == KP_EBADMSG)
			err = KP_EIO;
	}
	if (err == KP_OK)
		disk_clear_suspect(path);
	else if (err != KP_ECONFLICT)
		log_error("--store %s: %s", path, wrong);
	return err;
}

void
db_close(struct store_db *db)
{
	if (db == NULL)
		return;
	for (int i = 0; i < Q_N; i++)
		sqlite3_finalize(db->q[i]);
	sqlite3_close(db->sqlite);
	db_topics_end(db);
	free(db->path);
	free(db);
}
