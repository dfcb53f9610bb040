/* What is read from the store's file: rows for Kafka, and rows for the operator. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/log.h"
#include "helper/store/store_state.h"

#define ASK_LOOK_MAX 1000

/* ---- is a row what was written? ---- */

static unsigned long
crc_bytes(unsigned long crc, struct kp_slice s)
{
	uint32_t n = s.p ? (uint32_t)s.n : UINT32_MAX;
	uint8_t length[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
	    (uint8_t)n };

	crc = crc32(crc, length, sizeof(length));
	return s.n ? crc32(crc, s.p, (unsigned)s.n) : crc;
}

uint32_t
db_row_crc(const struct store_row *row)
{
	uint64_t message = (uint64_t)(row->was ? row->was : row->id);
	unsigned long crc = crc32(0, NULL, 0);
	uint8_t numbers[16];

	for (int i = 0; i < 8; i++) {
		numbers[i] = (uint8_t)(message >> (56 - 8 * i));
		numbers[8 + i] = (uint8_t)((uint64_t)row->accepted_ms >> (56 - 8 * i));
	}
	crc = crc_bytes(crc, (struct kp_slice){ numbers, sizeof(numbers) });
	crc = crc_bytes(crc, row->topic);
	crc = crc_bytes(crc, row->key);
	return (uint32_t)crc_bytes(crc, row->value);
}

struct kp_slice
db_column_bytes(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);
	size_t n = (size_t)sqlite3_column_bytes(st, i);

	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		return (struct kp_slice){ 0 };
	return (struct kp_slice){ p ? p : (const uint8_t *)"", p ? n : 0 };
}

/* ---- copying rows ---- */

enum column { COL_ID, COL_TOPIC, COL_ACCEPTED, COL_ATTEMPTS, COL_WAS, COL_CRC, COL_KEY, COL_VALUE,
	COL_BURIED, COL_REASON };

static uint8_t *
put(uint8_t *at, struct kp_slice from, struct kp_slice *to)
{
	if (from.n)
		memcpy(at, from.p, from.n);
	*to = from.p ? (struct kp_slice){ at, from.n } : from;
	return at + from.n;
}

/* A row and its bytes in one allocation: topic, key, value and reason. */
static struct store_loaded *
copy_row(struct store_db *db, sqlite3_stmt *st, bool dead, bool bodies)
{
	const struct db_topic *t = db_topic_by_id(db, sqlite3_column_int64(st, COL_TOPIC));
	struct kp_slice topic = t ? kp_slice_str(t->by_name.name) : LIT("?");
	struct kp_slice key = db_column_bytes(st, COL_KEY), value = db_column_bytes(st, COL_VALUE);
	struct kp_slice reason = dead ? db_column_bytes(st, COL_REASON) : LIT(""), at;
	struct store_loaded *l;
	uint8_t *bytes;

	l = malloc(sizeof(*l) + topic.n + reason.n + 1 + (bodies ? key.n + value.n : 0));
	if (l == NULL)
		return NULL;
	*l = (struct store_loaded){
	    .dead = dead, .key_bytes = key.n, .value_bytes = value.n,
	    .row.id = sqlite3_column_int64(st, COL_ID),
	    .row.accepted_ms = sqlite3_column_int64(st, COL_ACCEPTED),
	    .row.attempts = (uint32_t)sqlite3_column_int64(st, COL_ATTEMPTS),
	    .row.was = sqlite3_column_int64(st, COL_WAS),
	    .row.topic = topic, .row.key = key, .row.value = value,
	};
	l->damaged = t == NULL || sqlite3_column_type(st, COL_VALUE) != SQLITE_BLOB ||
	    (bodies && (sqlite3_column_type(st, COL_CRC) != SQLITE_INTEGER ||
	    sqlite3_column_int64(st, COL_CRC) != db_row_crc(&l->row)));
	bytes = put((uint8_t *)(l + 1), topic, &l->row.topic);
	if (bodies) {
		bytes = put(put(bytes, key, &l->row.key), value, &l->row.value);
	} else {
		l->row.key = key.p ? LIT("") : key;
		l->row.value = (struct kp_slice){ 0 };
	}
	l->reason = (char *)bytes;
	*put(bytes, reason, &at) = '\0';
	if (dead)
		l->buried_ms = sqlite3_column_int64(st, COL_BURIED);
	return l;
}

void
store_loaded_free(struct store_loaded *rows)
{
	while (rows) {
		struct store_loaded *next = rows->next;

		free(rows);
		rows = next;
	}
}

/* ---- questions ---- */

struct answer {
	struct store_ask *ask;
	struct store_loaded **tail;
	size_t bytes;
};

/* All rows of the statement, whose parameters are bound, as far as they may be. */
static enum kp_err
take_rows(struct store_db *db, struct answer *a, sqlite3_stmt *st, bool dead, bool bodies)
{
	enum kp_err err = KP_OK;
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW &&
	    (a->bytes < a->ask->max_bytes || a->ask->rows == NULL)) {
		struct store_loaded *l = copy_row(db, st, dead, bodies);

		if (l == NULL) {
			err = KP_ENOMEM;
			break;		/* what was read so far is a valid answer */
		}
		/* A damaged index may lead to a row of another topic. */
		if (a->ask->question == STORE_LOAD &&
		    !kp_slice_eq(l->row.topic, kp_slice_str(a->ask->topic)))
			l->damaged = true;
		a->bytes += bodies ? l->row.key.n + l->row.value.n : 0;
		*a->tail = l;
		a->tail = &l->next;
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		log_error("store read err=%d: %s", rc, sqlite3_errmsg(db->sqlite));
		err = db_err(rc);
	}
	sqlite3_reset(st);
	return err;
}

static enum kp_err
answer_list(struct store_db *db, struct answer *a)
{
	static const enum statement by[2][2] = {
		{ Q_LIST_PENDING, Q_LIST_PENDING_OF }, { Q_LIST_DEAD, Q_LIST_DEAD_OF },
	};
	struct store_ask *ask = a->ask;
	bool load = ask->question == STORE_LOAD, dead = ask->dead && !load;
	bool one = load || ask->topic[0];
	sqlite3_stmt *st = db->q[load ? Q_LOAD : by[dead][one]];
	const struct db_topic *t = db_topic_by_name(db, kp_slice_str(ask->topic));

	if (one && t == NULL)
		return KP_OK;
	if (one)
		sqlite3_bind_int64(st, 1, t->id);
	sqlite3_bind_int64(st, 2, ask->after);
	sqlite3_bind_int64(st, 3, ask->max_rows);
	return take_rows(db, a, st, dead, load || ask->bodies);
}

static enum kp_err
answer_find(struct store_db *db, struct answer *a)
{
	static const struct { enum statement q; bool dead; } places[] = {
		{ Q_FIND_PENDING, false }, { Q_FIND_WAS, false }, { Q_FIND_DEAD, true },
	};
	enum kp_err err = KP_OK;

	for (size_t i = 0; i < a->ask->n_ids && i < ASK_LOOK_MAX; i++)
		for (size_t k = 0; k < 3 && err == KP_OK; k++) {
			sqlite3_bind_int64(db->q[places[k].q], 1, a->ask->ids[i]);
			err = take_rows(db, a, db->q[places[k].q], places[k].dead, false);
		}
	return err;
}

enum kp_err
db_answer(struct store_db *db, struct store_ask *ask)
{
	struct answer a = { .ask = ask, .tail = &ask->rows };

	ask->rows = NULL;
	switch (ask->question) {
	case STORE_LOAD:
	case STORE_LIST:
		ask->err = answer_list(db, &a);
		break;
	case STORE_FIND:
		ask->err = answer_find(db, &a);
		break;
	case STORE_OLDEST:
		ask->err = take_rows(db, &a, db->q[Q_OLDEST], false, false);
		break;
	}
	return ask->err;
}
