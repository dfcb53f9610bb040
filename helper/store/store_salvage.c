/*
 * A damaged store: what can be read of it goes into a new file, the old one is kept
 * under a dated name for who wants to look closer.
 *
 *	PATH -> PATH-salvage (being written) -> PATH-salvaged (complete, synced)
 *	PATH, PATH-wal get a second name PATH.damaged-DATE…; PATH-wal goes;
 *	PATH-salvaged becomes PATH
 *
 * A crash before "salvaged" begins anew, after it goes on from there.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "helper/store/store_disk.h"
#include "helper/store/store_state.h"

#define DAMAGED "damaged on the disk: this is not what was accepted"
#define ROWS_A_COMMIT 10000
/* A row takes more bytes; and a step may be in vain. */
#define BYTES_A_STEP 8

struct salvage {
	struct store_db *from, *to;
	bool old_schema;		/* version 1 */
	bool dead;			/* of which table the rows are now */
	int64_t rows, dead_letters, max_id;
	bool ids_known;			/* of the old file */
	int64_t end_id;			/* no row has this one, or one past it */
	int64_t budget;			/* of steps: a tree that leads in circles must end */
	unsigned uncommitted;
	enum kp_err err;		/* of the new file: ends it */
};

/* ---- reading around the damage ---- */

static sqlite3_stmt *
select_rows(struct salvage *s, const char *where_order)
{
	char text[512];
	sqlite3_stmt *st = NULL;

	snprintf(text, sizeof(text), "SELECT id, accepted_ms, %s, %s, %s, key, value, %s, topic"
	    " FROM %s WHERE %s", s->old_schema ? "0" : "attempts",
	    s->old_schema || s->dead ? "0" : "was",
	    s->old_schema ? "NULL" : "crc", s->dead ? "buried_ms, reason" : "0, ''",
	    s->dead ? "dead" : "pending", where_order);
	if (sqlite3_prepare_v2(s->from->sqlite, text, -1, &st, NULL) != SQLITE_OK)
		return NULL;
	return st;
}

static void
commit_now_and_then(struct salvage *s)
{
	if (++s->uncommitted < ROWS_A_COMMIT)
		return;
	s->uncommitted = 0;
	s->err = db_commit(s->to);
	if (s->err == KP_OK)
		s->err = db_checkpoint(s->to, false);
	if (s->err == KP_OK)
		s->err = db_begin(s->to);
}

static bool
is_plausible(const struct salvage *s, int64_t id)
{
	return id > 0 && id < s->end_id;
}

/* Two ways may lead to a row. */
static bool
has_row(struct salvage *s, int64_t id)
{
	static const enum statement places[] = { Q_ROW, Q_DEAD_ROW };
	bool has = false;

	for (size_t i = 0; i < 2 && !has; i++) {
		sqlite3_stmt *st = s->to->q[places[i]];

		sqlite3_bind_int64(st, 1, id);
		has = sqlite3_step(st) == SQLITE_ROW;
		sqlite3_reset(st);
	}
	return has;
}

/* Into the new file: pending, or a dead letter when it was one or is no more what
 * it was. */
static void
keep_row(struct salvage *s, sqlite3_stmt *st)
{
	const struct db_topic *t = db_topic_by_id(s->from, sqlite3_column_int64(st, 9));
	bool damaged;
	char unknown[32];
	struct store_cmd bury = { .verb = STORE_BURY, .reason = DAMAGED };
	struct store_row row = {
		.id = sqlite3_column_int64(st, 0), .accepted_ms = sqlite3_column_int64(st, 1),
		.attempts = (uint32_t)sqlite3_column_int64(st, 2),
		.was = sqlite3_column_int64(st, 3),
		.key = db_column_bytes(st, 5), .value = db_column_bytes(st, 6),
		.topic = kp_slice_str(t ? t->by_name.name : NULL),
	};

	if (row.id <= 0 || sqlite3_column_type(st, 6) != SQLITE_BLOB || row.key.n > KEY_MAX ||
	    has_row(s, row.id))
		return;
	damaged = t == NULL || !is_plausible(s, row.id) ||
	    (!s->old_schema && (sqlite3_column_type(st, 4) != SQLITE_INTEGER ||
	    sqlite3_column_int64(st, 4) != db_row_crc(&row)));
	/* Nor is the id of an earlier life, which may be that of another letter. */
	if (damaged)
		row.was = 0;
	if (t == NULL && s->to->topics.by_name.n > TOPICS_READ_MAX - STORE_TOPICS_MAX) {
		row.topic = LIT("unknown");
	} else if (t == NULL) {
		snprintf(unknown, sizeof(unknown), "unknown-%lld",
		    (long long)(sqlite3_column_int64(st, 9) & INT32_MAX));
		row.topic = kp_slice_str(unknown);
	}
	s->err = db_insert(s->to, &row);
	if (row.id > s->max_id && is_plausible(s, row.id))
		s->max_id = row.id;
	s->rows++;
	if (s->err || !(s->dead || damaged)) {
		commit_now_and_then(s);
		return;
	}
	bury.row.id = row.id;
	if (!damaged)
		bury.reason = (const char *)sqlite3_column_text(st, 8);
	s->err = db_run(s->to, &bury);
	s->rows--;
	s->dead_letters++;
	commit_now_and_then(s);
}

/* Rows past `from` (or before it, downwards, to `to`): SQLITE_DONE at the end, else
 * where reading stopped is in *last. A wrong id among right ones leads astray only
 * if it is the last before the damage. */
static int
scan(struct salvage *s, bool down, int64_t from, int64_t to, int64_t *last)
{
	sqlite3_stmt *st = select_rows(s, down ? "id < ?1 AND id > ?2 ORDER BY id DESC" :
	    "id > ?1 ORDER BY id");
	int rc = SQLITE_CORRUPT;

	if (st == NULL)
		return SQLITE_ERROR;
	sqlite3_bind_int64(st, 1, from);
	if (down)
		sqlite3_bind_int64(st, 2, to);
	while (s->err == KP_OK && --s->budget > 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(st, 0);

		if (is_plausible(s, id))
			*last = id;
		keep_row(s, st);
	}
	sqlite3_finalize(st);
	return rc;
}

/* Whether a row at or past `id` can be reached; it is then in *found. */
static bool
reach(struct salvage *s, int64_t id, int64_t *found)
{
	sqlite3_stmt *st = select_rows(s, "id >= ?1 ORDER BY id LIMIT 1");
	bool ok = false;

	if (st == NULL)
		return false;
	sqlite3_bind_int64(st, 1, id);
	if (--s->budget > 0 && sqlite3_step(st) == SQLITE_ROW) {
		*found = sqlite3_column_int64(st, 0);
		ok = *found >= id;
	}
	sqlite3_finalize(st);
	return ok;
}

/* The first readable row past the damage that begins after `last`: leaps that
 * double, then back to the shortest leap that leads out. */
static bool
leap(struct salvage *s, int64_t last, int64_t *found)
{
	int64_t low = 1, high = 1, at;

	while (!reach(s, last + high, found)) {
		low = high;
		if (high > (INT64_MAX - last) / 2)
			return false;
		high *= 2;
	}
	while (low + 1 < high) {
		int64_t middle = low + (high - low) / 2;

		if (reach(s, last + middle, &at)) {
			high = middle;
			*found = at;
		} else {
			low = middle;
		}
	}
	return true;
}

static void
walk(struct salvage *s, bool dead)
{
	int64_t from = 0, last = 0, found, below;

	s->dead = dead;
	while (s->err == KP_OK && s->budget > 0 &&
	    scan(s, false, from, 0, &last) != SQLITE_DONE) {
		if (last < from)
			last = from;
		if (s->err || !leap(s, last, &found))
			break;
		/* What is readable on this side of it, then on from there. */
		scan(s, true, found, last, &below);
		from = found > last + 1 ? found - 1 : found;
	}
}

/* Both ways to the names: the table, and the index that has them as well. */
static void
read_topics(struct salvage *s)
{
	static const char *const ways[] = {
		"SELECT id, name FROM topic ORDER BY id",
		"SELECT id, name FROM topic INDEXED BY sqlite_autoindex_topic_1 ORDER BY name",
	};
	const struct names *names = &s->from->topics.by_name;

	for (size_t i = 0; i < 2; i++) {
		sqlite3_stmt *st;

		if (sqlite3_prepare_v2(s->from->sqlite, ways[i], -1, &st, NULL) != SQLITE_OK)
			continue;
		while (sqlite3_step(st) == SQLITE_ROW && names->n < TOPICS_READ_MAX / 2)
			db_topic_add(s->from, db_column_bytes(st, 1), sqlite3_column_int64(st, 0));
		sqlite3_finalize(st);
	}
}

/* ---- the new file ---- */

/* 0 for one that cannot be read, or cannot be. */
static int64_t
read_number(struct store_db *db, const char *text)
{
	int64_t n;

	return db_read_number(db, text, &n) == SQLITE_OK && n > 0 && n <= COUNT_MAX ? n : 0;
}

/* The counters go on from what can be read, and so that they add up. */
static void
carry_counts(struct salvage *s)
{
	struct store_counts *now = &s->to->topics.now;

	now->delivered = read_number(s->from, "SELECT delivered FROM counts");
	now->dropped = read_number(s->from, "SELECT dropped FROM counts");
	now->accepted = now->delivered + now->dropped + now->pending + now->dead;
}

/* Without the key of before nobody finds by its id what was accepted with it; nor does a
 * new id repeat one of those. */
static void
carry_ids(struct salvage *s)
{
	const struct store_db *from = s->ids_known ? s->from : s->to;
	int64_t next = from->ids_next > s->max_id ? from->ids_next : s->max_id + 1;

	s->err = db_err(db_write_ids(s->to, &from->ids, next));
}

static enum kp_err
write_new(struct salvage *s, const char *path)
{
	int version;

	if (db_connect(path, DURABLE_FSYNC, false, &s->to) != SQLITE_OK ||
	    db_prepare(s->to, &version) != SQLITE_OK)
		return KP_EIO;
	s->err = db_begin(s->to);
	s->ids_known = db_read_ids(s->from) == SQLITE_OK;
	s->end_id = s->ids_known ? s->from->ids_next : IDS_FIRST + (IDS_END - IDS_FIRST) / 2;
	read_topics(s);
	walk(s, false);
	walk(s, true);
	if (s->err == KP_OK)
		carry_counts(s);
	if (s->err == KP_OK)
		carry_ids(s);
	if (s->err == KP_OK)
		s->err = db_commit(s->to);
	/* All of it into the file itself, so that it can be renamed alone. */
	if (s->err == KP_OK && sqlite3_wal_checkpoint_v2(s->to->sqlite, NULL,
	    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
		s->err = KP_EIO;
	return s->err;
}

static enum kp_err
make_empty(const char *path)
{
	FILE *f;

	unlink(path);
	f = fopen(path, "wxe");
	if (f == NULL)
		return KP_EIO;
	return fclose(f) == 0 ? KP_OK : KP_EIO;
}

enum kp_err
db_salvage_resume(const char *path)
{
	char whole[PATH_MAX], wal[PATH_MAX], aside[PATH_MAX + 64], aside_wal[PATH_MAX + 80];
	time_t now = clock_wall_ms() / 1000;
	char date[32];
	struct tm tm;

	if (access(disk_beside(path, "-salvaged", whole), F_OK) < 0)
		return KP_OK;
	disk_beside(path, "-wal", wal);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	snprintf(aside, sizeof(aside), "%s.damaged-%s", path, date);
	snprintf(aside_wal, sizeof(aside_wal), "%s-wal", aside);
	if ((link(path, aside) < 0 && errno != EEXIST && errno != ENOENT) ||
	    (link(wal, aside_wal) < 0 && errno != EEXIST && errno != ENOENT) ||
	    disk_sync_folder(path) != KP_OK || (unlink(wal) < 0 && errno != ENOENT) ||
	    disk_sync_folder(path) != KP_OK || rename(whole, path) < 0 ||
	    disk_sync_folder(path) != KP_OK) {
		log_error("--store %s: the salvaged file cannot take its place: %s", path,
		    strerror(errno));
		return KP_EIO;
	}
	log_error("store damaged: the old file is kept as %s; remove it when nobody needs it",
	    aside);
	return KP_OK;
}

enum kp_err
db_salvage(const char *path, const char *what_is_wrong)
{
	char draft[PATH_MAX], whole[PATH_MAX];
	struct salvage s = { 0 };
	bool foreign = false;
	enum kp_err err;
	struct stat st;

	log_error("store damaged path=%s: %s; reading what can be read", path, what_is_wrong);
	disk_beside(path, "-salvaged", whole);
	err = make_empty(disk_beside(path, "-salvage", draft));
	s.budget = 1000 + (stat(path, &st) == 0 ? st.st_size / BYTES_A_STEP : 0);
	/* One that cannot be opened at all has no rows to read. */
	if (err == KP_OK && (db_connect(path, DURABLE_FSYNC, true, &s.from) != SQLITE_OK ||
	    db_is_foreign(s.from, &foreign) != SQLITE_OK))
		log_error("store damaged path=%s: nothing can be read: %s", path,
		    s.from ? sqlite3_errmsg(s.from->sqlite) : "out of memory");
	if (err == KP_OK && foreign)
		err = KP_ECONFLICT;
	if (err == KP_OK && s.from) {
		/* Both, as one may be damaged: rows of today are not taken unchecked. */
		s.old_schema = read_number(s.from, "PRAGMA user_version") == 1 &&
		    sqlite3_table_column_metadata(s.from->sqlite, NULL, "pending", "crc",
		    NULL, NULL, NULL, NULL, NULL) != SQLITE_OK;
		err = write_new(&s, draft);
	}
	db_close(s.to);
	db_close(s.from);
	if (err == KP_OK && (rename(draft, whole) < 0 || disk_sync_folder(path) != KP_OK))
		err = KP_EIO;
	if (err) {
		log_error("store damaged path=%s: it cannot be salvaged: %s", path,
		    kp_err_text(err));
		return err;
	}
	log_error("store salvaged rows=%lld dead=%lld from=%s", (long long)s.rows,
	    (long long)s.dead_letters, path);
	return db_salvage_resume(path);
}
