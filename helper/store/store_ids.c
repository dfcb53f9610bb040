/* Ids in the file: the row that has their key, and how far numbers may have been given. */
#include <string.h>
#include <zlib.h>

#include "helper/store/store_state.h"

/* SQLite notices no bit that changes: another key, or a number of before, would do harm
 * for long. */
static int64_t
ids_crc(const struct ids *ids, int64_t next)
{
	unsigned long crc = crc32(0, ids->key, sizeof(ids->key));
	uint8_t number[8];

	for (int i = 0; i < 8; i++)
		number[i] = (uint8_t)((uint64_t)next >> (56 - 8 * i));
	return (int64_t)crc32(crc, number, sizeof(number));
}

int
db_read_ids(struct store_db *db)
{
	struct kp_slice key;
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sqlite, "SELECT key, next, crc FROM ids WHERE one = 1", -1,
	    &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		key = db_column_bytes(st, 0);
		db->ids_next = sqlite3_column_int64(st, 1);
		if (key.n == IDS_KEY_BYTES)
			memcpy(db->ids.key, key.p, key.n);
		rc = key.n == IDS_KEY_BYTES && db->ids_next >= IDS_FIRST &&
		    db->ids_next <= IDS_END &&
		    sqlite3_column_int64(st, 2) == ids_crc(&db->ids, db->ids_next) ?
		    SQLITE_OK : SQLITE_CORRUPT;
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_CORRUPT;
	}
	sqlite3_finalize(st);
	return rc;
}

int
db_write_ids(struct store_db *db, const struct ids *ids, int64_t next)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sqlite, "INSERT OR REPLACE INTO ids (one, key, next, crc)"
	    " VALUES (1, ?1, ?2, ?3)", -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_blob(st, 1, ids->key, sizeof(ids->key), SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, next);
	sqlite3_bind_int64(st, 3, ids_crc(ids, next));
	rc = sqlite3_step(st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

const struct ids *
db_ids(const struct store_db *db)
{
	return &db->ids;
}

/* Commits sync from now on, whatever the durability; or as that says again. */
static enum kp_err
sync_commits(struct store_db *db, bool always)
{
	return !db->lazy ? KP_OK : db_err(db_exec(db, always ? "PRAGMA synchronous = FULL" :
	    "PRAGMA synchronous = NORMAL"));
}

enum kp_err
db_reserve_ids(struct store_db *db, int64_t *first, int64_t *end)
{
	int64_t next = db->ids_next + IDS_RESERVE;
	enum kp_err err;

	if (next > IDS_END) {
		log_error("store ids: there are none left");
		return KP_EIO;
	}
	err = sync_commits(db, true);
	if (err == KP_OK)
		err = db_begin(db);
	if (err == KP_OK)
		err = db_err(db_write_ids(db, &db->ids, next));
	if (err == KP_OK)
		err = db_commit(db);
	else
		db_rollback(db);
	sync_commits(db, false);
	if (err)
		return err;
	*first = db->ids_next;
	*end = db->ids_next = next;
	return KP_OK;
}
