/* The schema of the store's file, and how files of earlier versions come to it. */
#include "common/fault.h"
#include "helper/store/store_state.h"

/* "KPxy": marks the file as ours. */
#define APPLICATION_ID 0x4b507879

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

/* Version 1 had no crc, no attempts, and counted nothing. */
static const char *const upgrade_from_1[] = {
	"ALTER TABLE pending ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE pending ADD COLUMN was INTEGER",
	"ALTER TABLE pending ADD COLUMN crc INTEGER",
	"CREATE INDEX pending_was ON pending (was) WHERE was IS NOT NULL",
	"ALTER TABLE dead ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE dead ADD COLUMN crc INTEGER",
	"CREATE INDEX dead_topic ON dead (topic, id)",
	"UPDATE pending SET crc = row_crc(id, (SELECT name FROM topic t WHERE t.id = topic),"
	" accepted_ms, key, value)",
	"UPDATE dead SET crc = row_crc(id, (SELECT name FROM topic t WHERE t.id = topic),"
	" accepted_ms, key, value)",
	"ALTER TABLE topic ADD COLUMN pending INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE topic ADD COLUMN pending_bytes INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE topic ADD COLUMN dead INTEGER NOT NULL DEFAULT 0",
	"UPDATE topic SET"
	" pending = (SELECT count(*) FROM pending p WHERE p.topic = topic.id),"
	" pending_bytes = (SELECT coalesce(sum(length(value) + coalesce(length(key), 0)), 0)"
	"  FROM pending p WHERE p.topic = topic.id),"
	" dead = (SELECT count(*) FROM dead d WHERE d.topic = topic.id)",
	"CREATE TABLE counts (accepted INTEGER NOT NULL, delivered INTEGER NOT NULL,"
	" dropped INTEGER NOT NULL)",
	"INSERT INTO counts SELECT total(pending) + total(dead), 0, 0 FROM topic",
	NULL
};

#define CREATE_IDS "CREATE TABLE ids (one INTEGER PRIMARY KEY, key BLOB NOT NULL," \
	" next INTEGER NOT NULL, crc INTEGER NOT NULL)"

/* Version 2 gave ids by the number of its starts, and told them as they were; and it did
 * not know how much is dead. */
static const char *const upgrade_from_2[] = {
	"ALTER TABLE topic ADD COLUMN dead_bytes INTEGER NOT NULL DEFAULT 0",
	"UPDATE topic SET dead_bytes = (SELECT coalesce(sum(length(value) +"
	" coalesce(length(key), 0)), 0) FROM dead d WHERE d.topic = topic.id) WHERE dead > 0",
	CREATE_IDS,
	"DROP TABLE meta",
	NULL
};

static const char *const create[] = {
	"CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" pending INTEGER NOT NULL DEFAULT 0, pending_bytes INTEGER NOT NULL DEFAULT 0,"
	" dead INTEGER NOT NULL DEFAULT 0, dead_bytes INTEGER NOT NULL DEFAULT 0)",
	"CREATE TABLE pending (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
	" accepted_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, was INTEGER, crc INTEGER,"
	" key BLOB, value BLOB NOT NULL)",
	"CREATE INDEX pending_topic ON pending (topic, id)",
	"CREATE INDEX pending_was ON pending (was) WHERE was IS NOT NULL",
	"CREATE TABLE dead (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
	" accepted_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, crc INTEGER, key BLOB,"
	" value BLOB NOT NULL, buried_ms INTEGER NOT NULL, reason TEXT NOT NULL)",
	"CREATE INDEX dead_topic ON dead (topic, id)",
	"CREATE TABLE counts (accepted INTEGER NOT NULL, delivered INTEGER NOT NULL,"
	" dropped INTEGER NOT NULL)",
	"INSERT INTO counts VALUES (0, 0, 0)",
	CREATE_IDS,
	NULL
};

/* By the version that is found: the steps to another. */
static const struct {
	const char *const *steps;
	int to;
} upgrades[SCHEMA_VERSION] = {
	{ create, SCHEMA_VERSION }, { upgrade_from_1, 2 }, { upgrade_from_2, 3 },
};

int
db_exec(struct store_db *db, const char *text)
{
	return sqlite3_exec(db->sqlite, text, NULL, NULL, NULL);
}

/* row_crc(id, topic, accepted_ms, key, value), for rows that were written without. */
static void
sql_row_crc(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct kp_slice s[5] = { 0 };

	for (int i = 1; i < n && i < 5; i++) {
		const void *p = i == 2 ? NULL : sqlite3_value_blob(v[i]);

		if (i != 2 && sqlite3_value_type(v[i]) != SQLITE_NULL)
			s[i] = (struct kp_slice){ p ? p : (const uint8_t *)"",
			    (size_t)sqlite3_value_bytes(v[i]) };
	}
	sqlite3_result_int64(c, db_row_crc(&(struct store_row){ .id = sqlite3_value_int64(v[0]),
	    .topic = s[1], .accepted_ms = sqlite3_value_int64(v[2]), .key = s[3], .value = s[4] }));
}

int
db_upgrade(struct store_db *db, int version)
{
	int rc = sqlite3_create_function(db->sqlite, "row_crc", 5, SQLITE_UTF8, NULL, sql_row_crc,
	    NULL, NULL);
	int64_t last = 0;
	struct ids ids;

	if (rc == SQLITE_OK && ids_new(&ids) != KP_OK)
		rc = SQLITE_IOERR;
	if (rc == SQLITE_OK)
		rc = db_exec(db, "BEGIN IMMEDIATE");

	for (; version < SCHEMA_VERSION && rc == SQLITE_OK; version = upgrades[version].to)
		for (const char *const *s = upgrades[version].steps; *s && rc == SQLITE_OK; s++) {
			rc = db_exec(db, *s);
			fault_point("P14");
		}
	if (rc == SQLITE_OK)
		rc = db_read_number(db, "SELECT max((SELECT coalesce(max(id), 0) FROM pending),"
		    " (SELECT coalesce(max(id), 0) FROM dead))", &last);
	if (rc == SQLITE_OK && last >= IDS_END)
		rc = SQLITE_CORRUPT;	/* a file that gave ids by its starts never came so far */
	if (rc == SQLITE_OK)
		rc = db_write_ids(db, &ids, last < IDS_FIRST ? IDS_FIRST : last + 1);
	if (rc == SQLITE_OK)
		rc = db_exec(db, "PRAGMA user_version = " TEXT(SCHEMA_VERSION));
	if (rc == SQLITE_OK)
		rc = db_exec(db, "PRAGMA application_id = " TEXT(APPLICATION_ID));
	if (rc == SQLITE_OK)
		rc = db_exec(db, "COMMIT");
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(db->sqlite))
		db_exec(db, "ROLLBACK");
	return rc;
}
