/*
 * Ids: the permutation between what is told and what is stored, and the row of the file
 * that has its key and how far numbers may have been given.
 *
 * The permutation is a Feistel network of two unequal halves, 31 and 30 bits, with SipHash
 * for its rounds: nobody without the key tells it from chance.
 */
#include "helper/store/store_ids.h"

#include <string.h>
#include <sys/random.h>
#include <zlib.h>

#include "helper/store/store_state.h"

#define ROUNDS 8
#define HIGH_BITS 31
#define LOW_BITS 30
#define MASK(bits) ((UINT64_C(1) << (bits)) - 1)

/* ---- the permutation ---- */

static uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void
sip_rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

/* SipHash-2-4 of one word. */
static uint64_t
sip_word(const struct ids *ids, uint64_t word)
{
	const uint64_t length = UINT64_C(8) << 56;
	uint64_t k[2], v[4];

	memcpy(k, ids->key, sizeof(k));
	v[0] = k[0] ^ UINT64_C(0x736f6d6570736575);
	v[1] = k[1] ^ UINT64_C(0x646f72616e646f6d);
	v[2] = k[0] ^ UINT64_C(0x6c7967656e657261);
	v[3] = k[1] ^ UINT64_C(0x7465646279746573);
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
	v[3] ^= length;
	sip_rounds(v, 2);
	v[0] ^= length;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Each round changes one half by the other, so that the same again undoes it. */
static uint64_t
turn(const struct ids *ids, uint64_t n, unsigned round)
{
	uint64_t high = n >> LOW_BITS, low = n & MASK(LOW_BITS);
	uint64_t tag = (uint64_t)round << 56;

	if (round % 2)
		low ^= sip_word(ids, tag | high) & MASK(LOW_BITS);
	else
		high ^= sip_word(ids, tag | low) & MASK(HIGH_BITS);
	return high << LOW_BITS | low;
}

int64_t
ids_told(const struct ids *ids, int64_t row)
{
	uint64_t n = (uint64_t)(row - IDS_FIRST);

	if (row < IDS_FIRST || row >= IDS_END)
		return row;
	for (unsigned round = 0; round < ROUNDS; round++)
		n = turn(ids, n, round);
	return IDS_FIRST + (int64_t)n;
}

int64_t
ids_row(const struct ids *ids, int64_t told)
{
	uint64_t n = (uint64_t)(told - IDS_FIRST);

	if (told < IDS_FIRST || told >= IDS_END)
		return told;
	for (unsigned round = ROUNDS; round-- > 0; )
		n = turn(ids, n, round);
	return IDS_FIRST + (int64_t)n;
}

enum kp_err
ids_new(struct ids *ids)
{
	ssize_t n = getrandom(ids->key, sizeof(ids->key), 0);

	return n == (ssize_t)sizeof(ids->key) ? KP_OK : KP_EIO;
}

/* ---- in the file ---- */

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

enum kp_err
db_reserve_ids(struct store_db *db, int64_t *first, int64_t *end)
{
	int64_t next = db->ids_next + IDS_RESERVE;
	enum kp_err err;

	if (next > IDS_END) {
		log_error("store ids: there are none left");
		return KP_EIO;
	}
	err = db_sync_commits(db, true);
	if (err == KP_OK)
		err = db_begin(db);
	if (err == KP_OK)
		err = db_err(db_write_ids(db, &db->ids, next));
	if (err == KP_OK)
		err = db_commit(db);
	else
		db_rollback(db);
	db_sync_commits(db, false);
	if (err)
		return err;
	*first = db->ids_next;
	*end = db->ids_next = next;
	return KP_OK;
}
