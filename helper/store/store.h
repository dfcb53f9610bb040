/*
 * The crash-safe store of accepted messages that Kafka does not have yet.
 *
 * One SQLite file, one connection, one thread. The loop hands commands over and
 * hears of their commit; all commands that wait are committed together, with one
 * fdatasync for all (group commit).
 *
 * A row is kept once its command's done() says KP_OK; only then may its sender
 * be told so. It leaves only by STORE_REMOVE or STORE_REFUSE, or as a dead letter by
 * STORE_DROP. Rows survive a crash: a message may reach Kafka twice, never zero times.
 *
 * With durability `memory` there is no file, and the owner's memory is all that keeps a
 * row: see store_keeps().
 *
 * Everything here is for the loop's thread.
 */
#ifndef KP_STORE_H
#define KP_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/msg.h"
#include "helper/loop.h"
#include "helper/store/ids.h"

/* That have rows, or rows that are being written. */
#define STORE_TOPICS_MAX 10000

struct store;

struct store_row {
	int64_t id;			/* > 0; place in the queue; never reused */
	int64_t was;			/* the id of a dead letter that is tried again; else 0 */
	int64_t accepted_ms;		/* wall clock, Unix time */
	uint32_t attempts;		/* before it became a dead letter */
	struct kp_slice topic;
	struct kp_slice key;		/* p == NULL: no key */
	struct kp_slice value;
};

/*
 * APPEND	the row is kept
 * REMOVE	it was delivered: gone
 * REFUSE	gone, because its sender was told an error: as if never accepted
 * BURY		it becomes a dead letter, with row.attempts more and `reason`
 * REVIVE	the dead letter row.was is pending again, as row.id
 * DROP		the dead letter row.id is gone
 */
enum store_verb {
	STORE_APPEND, STORE_REMOVE, STORE_REFUSE, STORE_BURY, STORE_REVIVE, STORE_DROP
};

/*
 * A command, inside the owner's object. It and what its row borrows must stay
 * until done(cmd, err), on the loop. Only APPEND needs more than ids; whoever names
 * the topic to REMOVE, REFUSE, BURY and DROP must give the sizes of key and value. Who
 * does not leaves in the topic's share what goes, until the next start. Errors:
 * KP_EFULL (disk full; what is stored stays, and a later append may work);
 * KP_EIO (the file can no longer be trusted: everything fails until a restart has
 * checked it); KP_ENOTFOUND (REVIVE, DROP: no such dead letter); KP_EBUSY (APPEND: the
 * topic is new, and STORE_TOPICS_MAX others have rows). It may be called before
 * store_submit() returns.
 */
struct store_cmd {
	TAILQ_ENTRY(store_cmd) link;
	enum store_verb verb;
	struct store_row row;
	const char *reason;		/* BURY: static text */
	bool waiting;			/* the store's own */
	uint64_t number;		/* likewise */
	enum kp_err err;
	void (*done)(struct store_cmd *cmd, enum kp_err err);
};

/*
 * Opens or creates the file, refuses one that another helper has open or that
 * others may write to, and reads what it holds. A damaged file is set aside under
 * a dated name, and its readable rows are in the new one. On error, but KP_ENOMEM, a
 * line has been logged. Where the disk does not work the store is there, but has failed:
 * see store_stats(). `path` is for nothing with DURABLE_MEMORY.
 */
enum kp_err store_open(struct loop *l, const char *path, enum conf_durability durability,
    struct store **out);
/* Ends the thread and blocks until everything is committed and every done() has
 * been called. Tells how many rows stay behind. */
int64_t store_finish(struct store *s);
/* After store_finish(), or right after store_open(). */
void store_close(struct store *s);

/* False: what is appended is kept by its owner alone, and gone with him. It cannot be read
 * back, what is buried is lost, and there are no limits. Counters are those of this process. */
bool store_keeps(const struct store *s);

/* A new id, larger than every one given before, also by earlier processes. 0: there is
 * none, as for long the file could not be told that some may be given. */
int64_t store_next_id(struct store *s);
/* How they are told to clients. The store's. */
const struct ids *store_ids(const struct store *s);
/* Bytes in use in the file, with what waits to be written. */
uint64_t store_bytes(const struct store *s);

/* Appends are to be refused past so many bytes in use, of which a topic may have the half,
 * and while the disk has less left. 0, at first: no limit. */
void store_set_limits(struct store *s, uint64_t max_bytes, uint64_t min_free_bytes);
uint64_t store_max_bytes(const struct store *s);
/* Why the next append, with so many bytes of key and value, should be refused; NULL when
 * there is no reason. Static text. */
const char *store_refuses(struct store *s, struct kp_slice topic, uint64_t bytes);
extern const char store_too_many_topics[];
/* Of keys and values of its rows, pending and dead, with what waits to be written. */
uint64_t store_topic_bytes(const struct store *s, struct kp_slice topic);
/* A message was accepted and delivered without ever having been a row. */
void store_count_direct(struct store *s);

struct store_counts {
	int64_t accepted, delivered, dropped;	/* since the file was made */
	int64_t pending, dead;			/* rows */
};
struct store_stats {
	struct store_counts counts;		/* as committed */
	int64_t free_bytes;			/* of the disk; -1: not known */
	const char *trouble;			/* NULL: it works. Static text */
};
void store_stats(struct store *s, struct store_stats *out);

/* Queues the command. A remove waits for company, at most STORE_REMOVE_MS. */
#define STORE_REMOVE_MS 100
void store_submit(struct store *s, struct store_cmd *cmd);
/* True when the command had not been taken up yet: it is forgotten, without done(). */
bool store_cancel(struct store *s, struct store_cmd *cmd);

/* Topics that had pending rows when the store was opened, one call each. */
void store_each_topic(struct store *s, void (*each)(void *arg, const char *topic), void *arg);

/* A row and its bytes in one allocation, freed by its owner with free(). */
struct store_loaded {
	struct store_loaded *next;
	struct store_row row;		/* its bytes follow this struct */
	bool damaged;			/* what is on the disk is not what was written */
	/* LIST and FIND only: */
	bool dead;
	size_t key_bytes, value_bytes;	/* also without bodies */
	int64_t buried_ms;
	char *reason;			/* among the bytes */
};

/*
 * A question, on the heap of the asker until done(). The answer is as of after
 * every command submitted before. `rows` then belong to the asker, also with an
 * error.
 *
 * LOAD		pending rows of `topic` with id > after, ascending
 * LIST		rows or dead letters, of `topic` if it is not empty
 * FIND		those of `ids`, whether pending or dead
 * OLDEST	the row that is longest in the queue
 *
 * At most max_rows and about max_bytes of payload (at least one row).
 */
enum store_question { STORE_LOAD, STORE_LIST, STORE_FIND, STORE_OLDEST };
struct store_ask {
	STAILQ_ENTRY(store_ask) link;
	enum store_question question;
	char topic[TOPIC_MAX + 1];
	int64_t after;
	unsigned max_rows;
	size_t max_bytes;
	bool dead;			/* LIST */
	bool bodies;			/* LIST */
	const int64_t *ids;		/* FIND; borrowed */
	size_t n_ids;
	uint64_t number;		/* the store's own */
	enum kp_err err;
	struct store_loaded *rows;
	void (*done)(struct store_ask *ask);
	void *arg;			/* the asker's */
};
void store_ask(struct store *s, struct store_ask *ask);
void store_loaded_free(struct store_loaded *rows);

/* LOAD, with the memory taken care of. */
void store_load(struct store *s, const char *topic, int64_t after, unsigned max_rows,
    size_t max_bytes, void (*found)(void *arg, enum kp_err err, struct store_loaded *rows),
    void *arg);

#endif
