/*
 * The SQLite side of the store: schema, statements, transactions.
 *
 * Used by store.c alone: by the loop's thread before the store's thread starts
 * and after it has ended, by the store's thread in between.
 */
#ifndef KP_STORE_DB_H
#define KP_STORE_DB_H

#include "helper/produce/store.h"

struct store_db;

/* See store_open(). */
enum kp_err db_open(const char *path, enum conf_durability durability, struct store_db **out);
void db_close(struct store_db *db);

/* The first id of this process: above all earlier ones, kept before it returns. */
enum kp_err db_first_id(struct store_db *db, int64_t *id);
enum kp_err db_begin(struct store_db *db);
/* KP_OK: on the disk, as the durability mode says. Else everything since
 * db_begin() is undone. */
enum kp_err db_commit(struct store_db *db);
void db_rollback(struct store_db *db);
enum kp_err db_append(struct store_db *db, const struct store_row *row);
enum kp_err db_remove(struct store_db *db, int64_t id);
enum kp_err db_bury(struct store_db *db, int64_t id, const char *reason);
enum kp_err db_load(struct store_db *db, const char *topic, int64_t after, unsigned max_rows,
    size_t max_bytes, struct store_loaded **rows);
enum kp_err db_each_topic(struct store_db *db, void (*each)(void *arg, const char *topic),
    void *arg);
uint64_t db_bytes(struct store_db *db);
int64_t db_count(struct store_db *db);

#endif
