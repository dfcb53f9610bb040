/*
 * The store's state, shared by store.c (the loop's side: opening, submitting,
 * telling the owners), store_room.c (limits and numbers), store_thread.c (its thread:
 * transactions, looking after the file) and store_memory.c (no file, and so no thread).
 * Nobody else includes it.
 *
 *	loop:   submit -> waiting ----------------------+   done <- finished
 *	thread:                 take all -> run -> commit ------------^
 */
#ifndef KP_STORE_THREAD_H
#define KP_STORE_THREAD_H

#include <stdatomic.h>

#include "helper/store/store.h"
#include "helper/store/store_db.h"
#include "helper/store/store_shares.h"

/* What the two threads hand to each other. */
struct store_queue {
	TAILQ_HEAD(, store_cmd) cmds;
	STAILQ_HEAD(, store_ask) asks;
};

/* What becomes of commands and questions. */
struct store_backend {
	bool keeps;
	void (*submit)(struct store *s, struct store_cmd *cmd);
	void (*ask)(struct store *s, struct store_ask *ask);
	int64_t (*finish)(struct store *s);
};
/* store_memory.c: for durability `memory`. */
extern const struct store_backend store_memory;

struct store {
	const struct store_backend *backend;
	struct loop *loop;
	char *path;
	struct ids ids;
	struct shares *shares;
	struct loop_timer flush;	/* for removes that wait for company */
	bool flush_set;
	uv_thread_t thread;
	bool running;

	/* The thread's while it runs. */
	struct store_db *db;		/* NULL: could not be opened */
	bool has_reserve;
	bool log_stays;			/* the file has no room for it */
	int64_t looked_ms, reserve_ms;

	uv_mutex_t lock;		/* guards all below */
	uv_cond_t wake;
	struct store_queue waiting;
	uint64_t submitted;		/* number of the last command */
	struct store_queue finished;
	bool hurry;			/* something waits that is worth a commit */
	bool ending;
	bool posted;
	struct loop_task task;
	struct store_counts counts;
	int64_t busy_since_ms;		/* 0: nothing runs */
	int64_t full_ms;		/* when the disk was last found full */

	_Atomic int64_t next_id;	/* the loop's */
	_Atomic int64_t end_id;		/* the thread's: none has been reserved from here on */

	_Atomic bool failed;
	_Atomic uint64_t bytes;		/* in the file */
	_Atomic uint64_t waiting_bytes;
	_Atomic int64_t free_bytes;	/* of the disk, -1: not known */
	_Atomic int64_t direct;		/* not counted in the file yet */
	uint64_t max_bytes, min_free_bytes;	/* the loop's; 0: no limit */
};

/* What a command takes of the memory of who waits. */
uint64_t store_cmd_bytes(const struct store_cmd *cmd);
void store_queue_init(struct store_queue *q);
/* All of `from` goes behind what `to` has. */
void store_queue_move(struct store_queue *to, struct store_queue *from);

/* The thread: runs what waits until `ending`. */
void store_thread(void *arg);
/* As much as fits into one transaction. Entered and left with the lock. */
void store_run_waiting(struct store *s);
/* One transaction of those before `end`, all or nothing, but for commands about rows that are
 * not there. */
enum kp_err store_run_transaction(struct store *s, struct store_cmd *first,
    const struct store_cmd *end, bool with_room);
/* Makes sure that there are ids, while there still are some. */
enum kp_err store_reserve_ids(struct store *s);
/* The file is not trusted until a restart has looked at it. */
void store_poison(struct store *s);
/* What is worth doing after a commit, before the next one. */
void store_look_after(struct store *s);

/* store.c. The thread looks at the free space with what it does; here nothing may be done. */
void store_wake(struct store *s);
/* Tells the owners, on the loop. */
void store_run_finished(struct loop_task *t);

#endif
