/*
 * The SQLite side of the store: one file, its statements, its transactions.
 *
 * Used by the loop's thread (store.c) before the store's thread starts and after it
 * has ended, by that (store_thread.c) in between.
 */
#ifndef KP_STORE_DB_H
#define KP_STORE_DB_H

#include "helper/store/store.h"
#include "helper/store/ids.h"

struct store_db;

/*
 * See store_open(). KP_EIO, KP_EFULL: the disk does not work, or is full; the rows
 * that it holds are as they were. KP_ECONFLICT: it must not be opened, as its name,
 * owner, version or another helper are in the way; a line says so.
 */
enum kp_err db_open(const char *path, enum conf_durability durability, struct store_db **out);
void db_close(struct store_db *db);

const struct ids *db_ids(const struct store_db *db);
/* Ids from *first on, below *end, that were never given: on the disk before it returns,
 * whatever the durability. Not within a transaction. */
enum kp_err db_reserve_ids(struct store_db *db, int64_t *first, int64_t *end);
enum kp_err db_begin(struct store_db *db);
/* KP_OK: on the disk, as the durability mode says. Else everything since
 * db_begin() is undone. */
enum kp_err db_commit(struct store_db *db);
void db_rollback(struct store_db *db);
/* Accepted and delivered without a row: n more of them, with this transaction. */
void db_count_direct(struct store_db *db, int64_t n);
/* KP_ENOTFOUND leaves the transaction as it was. */
enum kp_err db_run(struct store_db *db, const struct store_cmd *cmd);
/* What the log has moves into the file, once it is long, or `now`: then the log begins anew. */
enum kp_err db_checkpoint(struct store_db *db, bool now);
enum kp_err db_answer(struct store_db *db, struct store_ask *ask);
/* Those that have rows. */
void db_each_topic(struct store_db *db, void (*each)(void *arg, const char *topic,
    int64_t pending, int64_t dead, int64_t bytes), void *arg);
uint64_t db_bytes(struct store_db *db);
/* As committed. */
struct store_counts db_counts(const struct store_db *db);

#endif
