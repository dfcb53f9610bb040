/*
 * The state of the store's file, shared by the store_*.c that look after it:
 * store_open.c (opening, closing), store_schema.c, store_db.c (what is written),
 * store_read.c (what is read), store_topics.c (the counters), store_ids.c (ids),
 * store_salvage.c (a damaged file). Nobody else includes it.
 *
 *	topic(id, name, pending, pending_bytes, dead, dead_bytes)
 *	pending(id, topic, accepted_ms, attempts, was, crc, key, value)
 *	dead(id, topic, accepted_ms, attempts, crc, key, value, buried_ms, reason)
 *	counts(accepted, delivered, dropped)		one row
 *	ids(one, key, next, crc)			one row; see ids.h
 *
 * A dead letter has the id that its sender knows it by; tried again, it gets a
 * new place in the queue, and keeps that id in `was`.
 */
#ifndef KP_STORE_STATE_H
#define KP_STORE_STATE_H

#include <sqlite3.h>

#include "common/log.h"
#include "common/names.h"
#include "helper/store/store_db.h"

#define SCHEMA_VERSION 3
/* More than was ever counted in a file: one that says so is damaged. */
#define COUNT_MAX (INT64_C(1) << 48)
/* A file that has more names is damaged, or was made by somebody else. */
#define TOPICS_READ_MAX (4 * STORE_TOPICS_MAX)

enum statement {
	Q_BEGIN, Q_COMMIT, Q_ROLLBACK,
	Q_APPEND, Q_ROW, Q_REMOVE, Q_BURY, Q_DEAD_ROW, Q_REVIVE, Q_DROP,
	Q_TOPIC_ADD, Q_TOPIC_DROP, Q_TOPIC_COUNT, Q_COUNT,
	Q_LOAD, Q_LIST_PENDING, Q_LIST_PENDING_OF, Q_LIST_DEAD, Q_LIST_DEAD_OF,
	Q_FIND_PENDING, Q_FIND_WAS, Q_FIND_DEAD, Q_OLDEST,
	Q_PAGES, Q_FREE, Q_N
};

/* What a topic has in the file. */
struct topic_counts {
	int64_t pending, pending_bytes, dead, dead_bytes;
};

struct db_topic {
	struct names_entry by_name;	/* first */
	struct db_topic *next_by_id;	/* of its bucket */
	struct db_topic *next_touched;
	int64_t id;
	bool touched;			/* by the open transaction */
	bool added;			/* by it, too */
	bool leaving;			/* with it: has no rows any more */
	struct topic_counts now;	/* with the open transaction */
	struct topic_counts kept;	/* as committed */
};

/* Rows have the number of their topic alone, so it is looked up by that with each row. */
#define DB_IDS_BUCKETS 512
struct db_topics {
	struct names by_name;
	struct db_topic *by_id[DB_IDS_BUCKETS];
	size_t empty;			/* without rows, as of the last look */
	struct db_topic *touched;
	struct store_counts now, kept;
};

struct store_db {
	sqlite3 *sqlite;
	sqlite3_stmt *q[Q_N];
	char *path;
	struct db_topics topics;
	struct ids ids;
	int64_t ids_next;		/* none has been given from here on */
	bool lazy;			/* commits do not sync: durability `os` */
	int64_t page_size;
	int wal_pages;			/* since the last checkpoint */
	struct log_rate checkpoint_rate;
};

/* store_open.c */
enum kp_err db_err(int rc);
/* A file with our schema and settings, no other than `path`; nothing is looked at
 * yet. Returns SQLite's code, and *db in any case. */
int db_connect(const char *path, enum conf_durability durability, bool salvage,
    struct store_db **out);
/* Schema, statements and counters. SQLite's code; *version is set. */
int db_prepare(struct store_db *db, int *version);
/* The first column of the first row; -1 when SQLite's code is not SQLITE_OK. */
int db_read_number(struct store_db *db, const char *text, int64_t *value);
/* Whether it has a view or a trigger, which no store of ours has. SQLite's code. */
int db_is_foreign(struct store_db *db, bool *foreign);

/* store_schema.c: the schema of today, in one transaction; 0: there is none. SQLite's code. */
int db_upgrade(struct store_db *db, int version);
int db_exec(struct store_db *db, const char *text);

/* store_db.c: one step of a statement that returns no row we need. */
enum kp_err db_step(struct store_db *db, enum statement q);
/* A row as it is, its crc checked by whoever reads it. */
enum kp_err db_insert(struct store_db *db, const struct store_row *row);

/* store_topics.c: the counters in memory, in step with the transactions. */
int db_topics_read(struct store_db *db);
void db_topics_end(struct store_db *db);
struct db_topic *db_topic_by_id(struct store_db *db, int64_t id);
struct db_topic *db_topic_by_name(const struct store_db *db, struct kp_slice name);
/* In memory, under an id that the file gave it. NULL: no memory, a bad name, or the id
 * or the name has been seen. */
struct db_topic *db_topic_add(struct store_db *db, struct kp_slice name, int64_t id);
/* Found, or added to the file. */
enum kp_err db_topic_get(struct store_db *db, struct kp_slice name, struct db_topic **out);
/* Topics have rows, as many as may. */
bool db_topics_are_full(const struct store_db *db);
/* By so many, each with its bytes. */
void db_topic_change(struct store_db *db, struct db_topic *t, struct topic_counts by);
/* Before the commit; after it; after a rollback. */
enum kp_err db_topics_write(struct store_db *db);
void db_topics_committed(struct store_db *db);
void db_topics_undone(struct store_db *db);

/* store_ids.c: what the file says; SQLITE_CORRUPT when that cannot be. */
int db_read_ids(struct store_db *db);
/* With the open transaction, if there is one. SQLite's code. */
int db_write_ids(struct store_db *db, const struct ids *ids, int64_t next);

/* store_read.c: over all that its sender gave, and the id that he was told. */
uint32_t db_row_crc(const struct store_row *row);
/* Of a column; an empty blob is not a NULL. Valid until the next step. */
struct kp_slice db_column_bytes(sqlite3_stmt *st, int i);

/*
 * store_salvage.c: moves what can be read of the damaged file at `path` into a new
 * one there, and the old one to a dated name. All or nothing; a crash in between
 * leaves one or the other.
 */
enum kp_err db_salvage(const char *path, const char *what_is_wrong);
/* Ends a salvage that a crash interrupted. */
enum kp_err db_salvage_resume(const char *path);

#endif
