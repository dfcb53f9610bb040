/*
 * The counters of the store: how many rows each topic has, and how many messages
 * were accepted and delivered at all. They change with the rows in the same
 * transaction, so that they are right after any crash, and nothing is ever counted
 * row by row. Names without rows leave, some at a time: a busy topic is without rows
 * again and again.
 */
#include <stdlib.h>

#include "helper/store/store_state.h"

/* Names without rows leave, all of them, once there are more. */
#define EMPTY_TOPICS_MAX 256

struct db_topic *
db_topic_by_name(const struct store_db *db, struct kp_slice name)
{
	return (struct db_topic *)names_find(&db->topics.by_name, name);
}

/* Where the topic is, or would be. */
static struct db_topic **
place_of_id(struct db_topics *all, int64_t id)
{
	struct db_topic **at = &all->by_id[(uint64_t)id % DB_IDS_BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next_by_id;
	return at;
}

struct db_topic *
db_topic_by_id(struct store_db *db, int64_t id)
{
	return *place_of_id(&db->topics, id);
}

struct db_topic *
db_topic_add(struct store_db *db, struct kp_slice name, int64_t id)
{
	struct db_topics *all = &db->topics;
	struct db_topic **at = place_of_id(all, id), *t;

	if (!msg_topic_ok(name) || *at || db_topic_by_name(db, name))
		return NULL;
	t = names_new(&all->by_name, sizeof(*t), name);
	if (t == NULL)
		return NULL;
	t->id = id;
	*at = t;
	all->empty++;
	return t;
}

static bool
has_rows(const struct topic_counts *c)
{
	return c->pending || c->dead;
}

static void
set_counts(struct store_db *db, struct db_topic *t, struct topic_counts now)
{
	db->topics.empty += (size_t)has_rows(&t->now) - (size_t)has_rows(&now);
	t->now = now;
}

static void
forget(struct store_db *db, struct db_topic *t)
{
	names_remove(&db->topics.by_name, &t->by_name);
	*place_of_id(&db->topics, t->id) = t->next_by_id;
	db->topics.empty -= !has_rows(&t->now);
	free(t);
}

/* It takes part in the open transaction. */
static void
touch(struct store_db *db, struct db_topic *t)
{
	if (t->touched)
		return;
	t->touched = true;
	t->next_touched = db->topics.touched;
	db->topics.touched = t;
}

static struct db_topic *
next(const struct store_db *db, const struct db_topic *t)
{
	return (struct db_topic *)names_next(&db->topics.by_name, t ? &t->by_name : NULL);
}

void
db_each_topic(struct store_db *db, void (*each)(void *arg, const char *topic, int64_t pending,
    int64_t dead, int64_t bytes), void *arg)
{
	for (const struct db_topic *t = next(db, NULL); t; t = next(db, t))
		if (has_rows(&t->kept))
			each(arg, t->by_name.name, t->kept.pending, t->kept.dead,
			    t->kept.pending_bytes + t->kept.dead_bytes);
}

/* ---- reading them ---- */

/* A counter of the row that `st` is at; *rc becomes SQLITE_CORRUPT when it is none. */
static int64_t
count_of(sqlite3_stmt *st, int column, int *rc)
{
	int64_t n = sqlite3_column_int64(st, column);

	if (n < 0 || n > COUNT_MAX)
		*rc = SQLITE_CORRUPT;
	return n;
}

static int
read_topics(struct store_db *db)
{
	struct store_counts *now = &db->topics.now;
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sqlite,
	    "SELECT id, name, pending, pending_bytes, dead, dead_bytes FROM topic", -1, &st,
	    NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		struct db_topic *t;

		rc = sqlite3_step(st);
		if (rc != SQLITE_ROW)
			break;
		t = db_topic_add(db, db_column_bytes(st, 1), sqlite3_column_int64(st, 0));
		if (t == NULL || db->topics.by_name.n > TOPICS_READ_MAX) {
			rc = SQLITE_CORRUPT;
			break;
		}
		t->kept = (struct topic_counts){ count_of(st, 2, &rc), count_of(st, 3, &rc),
		    count_of(st, 4, &rc), count_of(st, 5, &rc) };
		set_counts(db, t, t->kept);
		now->pending += t->now.pending;
		now->dead += t->now.dead;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
read_counts(struct store_db *db)
{
	struct store_counts *now = &db->topics.now;
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sqlite, "SELECT accepted, delivered, dropped FROM counts",
	    -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		now->accepted = count_of(st, 0, &rc);
		now->delivered = count_of(st, 1, &rc);
		now->dropped = count_of(st, 2, &rc);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

int
db_topics_read(struct store_db *db)
{
	/* Names of long ago make room. */
	int rc = sqlite3_exec(db->sqlite, "DELETE FROM topic WHERE pending = 0 AND dead = 0",
	    NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = read_topics(db);
	if (rc == SQLITE_OK)
		rc = read_counts(db);
	db->topics.kept = db->topics.now;
	return rc;
}

void
db_topics_end(struct store_db *db)
{
	struct names_entry *e;

	while ((e = names_take(&db->topics.by_name)) != NULL)
		free(e);
}

/* ---- changing them ---- */

enum kp_err
db_topic_get(struct store_db *db, struct kp_slice name, struct db_topic **out)
{
	enum kp_err err;

	*out = db_topic_by_name(db, name);
	if (*out)
		return KP_OK;
	sqlite3_bind_text(db->q[Q_TOPIC_ADD], 1, (const char *)name.p, (int)name.n, SQLITE_STATIC);
	err = db_step(db, Q_TOPIC_ADD);
	if (err)
		return err;
	*out = db_topic_add(db, name, sqlite3_last_insert_rowid(db->sqlite));
	if (*out == NULL)
		return KP_ENOMEM;
	(*out)->added = true;
	touch(db, *out);
	return KP_OK;
}

bool
db_topics_are_full(const struct store_db *db)
{
	return db->topics.by_name.n - db->topics.empty >= STORE_TOPICS_MAX;
}

void
db_topic_change(struct store_db *db, struct db_topic *t, struct topic_counts by)
{
	struct topic_counts now = t->now;

	now.pending += by.pending;
	now.pending_bytes += by.pending_bytes;
	now.dead += by.dead;
	now.dead_bytes += by.dead_bytes;
	set_counts(db, t, now);
	db->topics.now.pending += by.pending;
	db->topics.now.dead += by.dead;
	touch(db, t);
}

/* Names without rows leave the file with the open transaction, and memory after it. */
static enum kp_err
let_empty_leave(struct store_db *db)
{
	enum kp_err err = KP_OK;

	for (struct db_topic *t = next(db, NULL); t && err == KP_OK; t = next(db, t)) {
		if (has_rows(&t->now))
			continue;
		sqlite3_bind_int64(db->q[Q_TOPIC_DROP], 1, t->id);
		err = db_step(db, Q_TOPIC_DROP);
		t->leaving = true;
		touch(db, t);
	}
	return err;
}

enum kp_err
db_topics_write(struct store_db *db)
{
	const struct store_counts *now = &db->topics.now, *kept = &db->topics.kept;
	sqlite3_stmt *st = db->q[Q_TOPIC_COUNT];
	enum kp_err err = KP_OK;

	if (db->topics.empty > EMPTY_TOPICS_MAX)
		err = let_empty_leave(db);
	for (struct db_topic *t = db->topics.touched; t && err == KP_OK; t = t->next_touched) {
		if (t->leaving)
			continue;
		sqlite3_bind_int64(st, 1, t->id);
		sqlite3_bind_int64(st, 2, t->now.pending);
		sqlite3_bind_int64(st, 3, t->now.pending_bytes);
		sqlite3_bind_int64(st, 4, t->now.dead);
		sqlite3_bind_int64(st, 5, t->now.dead_bytes);
		err = db_step(db, Q_TOPIC_COUNT);
	}
	if (err || (now->accepted == kept->accepted && now->delivered == kept->delivered &&
	    now->dropped == kept->dropped))
		return err;
	st = db->q[Q_COUNT];
	sqlite3_bind_int64(st, 1, now->accepted);
	sqlite3_bind_int64(st, 2, now->delivered);
	sqlite3_bind_int64(st, 3, now->dropped);
	return db_step(db, Q_COUNT);
}

void
db_topics_committed(struct store_db *db)
{
	struct db_topic *t = db->topics.touched, *next;

	for (; t; t = next) {
		next = t->next_touched;
		t->kept = t->now;
		t->touched = t->added = false;
		if (t->leaving)
			forget(db, t);
	}
	db->topics.touched = NULL;
	db->topics.kept = db->topics.now;
}

void
db_topics_undone(struct store_db *db)
{
	struct db_topic *t = db->topics.touched, *next;

	for (; t; t = next) {
		next = t->next_touched;
		set_counts(db, t, t->kept);
		t->touched = t->leaving = false;
		if (t->added)
			forget(db, t);	/* it is no more in the file */
	}
	db->topics.touched = NULL;
	db->topics.now = db->topics.kept;
}
