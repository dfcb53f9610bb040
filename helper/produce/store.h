/*
 * The crash-safe store of accepted messages that Kafka does not have yet.
 *
 * One SQLite file, one connection, one thread. The loop hands commands over and
 * hears of their commit; all commands that wait are committed together, with one
 * fdatasync for all (group commit).
 *
 * A row is kept once its command's done() says KP_OK; only then may its sender
 * be told so. It leaves only by store_remove(). Rows survive a crash: a message
 * may reach Kafka twice, never zero times.
 *
 * Everything here is for the loop's thread.
 */
#ifndef KP_STORE_H
#define KP_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/conf.h"
#include "helper/loop.h"

struct store;

struct store_row {
	int64_t id;			/* > 0; order of acceptance; never reused */
	int64_t accepted_ms;		/* wall clock, Unix time */
	struct kp_slice topic;
	struct kp_slice key;		/* p == NULL: no key */
	struct kp_slice value;
};

enum store_verb { STORE_APPEND, STORE_REMOVE, STORE_BURY };

/*
 * A command, inside the owner's object. It and what its row borrows must stay
 * until done(cmd, err), on the loop. Errors: KP_EFULL (disk full; what is stored
 * stays, and a later append may work); KP_EIO (the file can no longer be trusted:
 * every later append fails as well, until a restart checks it).
 */
struct store_cmd {
	struct store_cmd *prev, *next;
	enum store_verb verb;
	struct store_row row;		/* APPEND; the others use row.id only */
	const char *reason;		/* BURY: static text */
	uint64_t batch;			/* the store's own */
	enum kp_err err;
	void (*done)(struct store_cmd *cmd, enum kp_err err);
};

/* Opens or creates the file, refuses one that another helper has open or that
 * others may write to, and reads what it holds. On error a line has been logged. */
enum kp_err store_open(struct loop *l, const char *path, enum conf_durability durability,
    struct store **out);
/* Ends the thread and blocks until everything is committed and every done() has
 * been called. Tells how many rows stay behind. */
int64_t store_finish(struct store *s);
/* After store_finish(), or right after store_open(). */
void store_close(struct store *s);

/* A new id, larger than every one given before, also by earlier processes. */
int64_t store_next_id(struct store *s);
/* Bytes in use in the file, with what waits to be written. */
uint64_t store_bytes(const struct store *s);

/* Queues the command. A remove waits for company, at most STORE_REMOVE_MS. */
#define STORE_REMOVE_MS 100
void store_submit(struct store *s, struct store_cmd *cmd);
/* True when the command had not been taken up yet: it is forgotten, without done(). */
bool store_cancel(struct store *s, struct store_cmd *cmd);

/* Names of topics that had rows when the store was opened, one call each. */
void store_each_topic(struct store *s, void (*each)(void *arg, const char *topic), void *arg);

/*
 * Rows of `topic` with id > after, ascending, at most max_rows and about
 * max_bytes of payload (at least one row), as they are after every command
 * submitted before. found() is called on the loop: rows are malloc'ed one by one
 * and freed by the callee with free(); err as above.
 */
struct store_loaded {
	struct store_loaded *next;
	struct store_row row;		/* its bytes follow this struct */
};
void store_load(struct store *s, const char *topic, int64_t after, unsigned max_rows,
    size_t max_bytes, void (*found)(void *arg, enum kp_err err, struct store_loaded *rows),
    void *arg);

#endif
