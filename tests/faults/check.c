/* See check.h. */
#include "tests/faults/check.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/log.h"
#include "tests/unit/unit.h"

#define LIMIT_S 60
#define NEW_ROWS 5

/* In this process no disk is waited for: what the kernel has is what is looked at.
 * SQLite finds these before those of libc. */
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }

struct finding {
	const struct trace *t;
	uint64_t at;
	unsigned flags;
	struct check *out;
	uint8_t *seen;			/* by number of the message */
};

static void __attribute__((format(printf, 2, 3)))
note(struct check *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (out->text[0] == '\0')
		vsnprintf(out->text, sizeof(out->text), fmt, ap);
	va_end(ap);
}

/* ---- rows ---- */

/* A row, or a dead letter with a topic. */
static void
look_at(struct finding *f, const struct store_row *row, bool dead)
{
	const struct fate *fate;
	const char *wrong;
	unsigned n;

	if (!workload_number(row, &n) || n >= f->t->n_fates || f->t->fates[n].sent > f->at) {
		f->out->phantom++;
		note(f->out, "id %lld was never sent", (long long)row->id);
		return;
	}
	fate = &f->t->fates[n];
	wrong = workload_compare(f->t->seed, n, row);
	if (wrong) {
		f->out->changed++;
		note(f->out, "message %u has another %s", n, wrong);
	}
	if (f->seen[n]++) {
		f->out->phantom++;
		note(f->out, "message %u is there twice", n);
	}
	if (dead && fate->bury > f->at) {
		f->out->dead++;
		if (!(f->flags & CHECK_DAMAGED))
			note(f->out, "message %u became a dead letter", n);
	} else {
		f->out->present++;
	}
	if (fate->removed <= f->at)
		f->out->back++;
}

/* True when there were rows. */
static bool
load_some(struct loop *loop, struct store *s, const char *topic, int64_t after,
    struct loading *l)
{
	l->done = false;
	store_load(s, topic, after, 50, 100000, loading_found, l);
	while (!l->done)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	return l->rows != NULL;
}

static void
load_topic(struct finding *f, struct loop *loop, struct store *s, const char *topic)
{
	int64_t after = 0, last_ms = 0;
	struct loading l;

	while (load_some(loop, s, topic, after, &l)) {
		while (l.rows) {
			struct store_loaded *r = l.rows;

			l.rows = r->next;
			if (r->row.id <= after || r->row.accepted_ms <= last_ms)
				f->out->disordered++;
			after = r->row.id;
			last_ms = r->row.accepted_ms;
			f->out->rows++;
			r->row.topic = kp_slice_str(topic);
			if (r->damaged)		/* the sender makes a dead letter of it */
				f->out->dead++;
			else
				look_at(f, &r->row, false);
			free(r);
		}
	}
	if (l.err)
		note(f->out, "load of %s: %s", topic, kp_err_name(l.err));
}

static void
listed(struct store_ask *ask)
{
	*(struct loading *)ask->arg = (struct loading){ true, ask->err, ask->rows };
}

static void
list_dead(struct finding *f, struct loop *loop, struct store *s)
{
	struct loading l = { .done = true };
	struct store_ask ask = { .question = STORE_LIST, .dead = true, .bodies = true,
	    .max_rows = 50, .max_bytes = 100000, .done = listed, .arg = &l };

	do {
		l.done = false;
		store_ask(s, &ask);
		while (!l.done)
			uv_run(loop_uv(loop), UV_RUN_ONCE);
		for (struct store_loaded *r = l.rows; r; r = l.rows) {
			l.rows = r->next;
			f->out->dead_rows++;
			ask.after = r->row.id;
			/* It says that it is not what was accepted. */
			if (r->damaged || strstr(r->reason, "damaged"))
				f->out->dead++;
			else
				look_at(f, &r->row, true);
			free(r);
			l.done = false;		/* there may be more */
		}
	} while (!l.done);
	if (l.err)
		note(f->out, "dead letters: %s", kp_err_name(l.err));
}

/* ---- the file, without the store ---- */

static bool
is_sound(sqlite3 *db, struct check *out)
{
	sqlite3_stmt *st;
	bool ok = false;

	if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		ok = strcmp(text, "ok") == 0;
		if (!ok)
			note(out, "integrity_check: %s", text);
	} else {
		note(out, "integrity_check: %s", sqlite3_errmsg(db));
	}
	sqlite3_finalize(st);
	return ok;
}

static bool
look_inside(struct finding *f, const char *path)
{
	sqlite3 *db;
	bool ok = false;

	/* Exclusive: shared memory would be a file, and the disk may be full. */
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) ==
	    SQLITE_OK)
		ok = is_sound(db, f->out);
	sqlite3_close(db);
	return ok;
}

/* ---- using it ---- */

static unsigned done, done_well;

static void
count_done(struct store_cmd *cmd, enum kp_err err)
{
	(void)cmd;
	done++;
	done_well += err == KP_OK;
}

static void
wait_done(struct loop *loop, unsigned n)
{
	while (done < n)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
}

/* Appends rows and removes one of them. */
static bool
use(struct loop *loop, struct store *s)
{
	static struct store_cmd c[NEW_ROWS], r;

	done = done_well = 0;
	for (int i = 0; i < NEW_ROWS; i++) {
		if (i == NEW_ROWS - 1) {	/* a removal waits for company */
			wait_done(loop, NEW_ROWS - 1);
			r = (struct store_cmd){ .verb = STORE_REMOVE, .done = count_done,
			    .row.id = c[0].row.id };
			store_submit(s, &r);
		}
		c[i] = (struct store_cmd){ .verb = STORE_APPEND, .done = count_done,
		    .row = { .id = store_next_id(s), .accepted_ms = i + 1, .topic = LIT("new"),
		    .key = LIT("k"), .value = LIT("new value") } };
		store_submit(s, &c[i]);
	}
	wait_done(loop, NEW_ROWS + 1);
	return done_well == NEW_ROWS + 1;
}

static bool
new_rows_are_there(struct loop *loop, const char *path, struct check *out)
{
	struct loading l = { .rows = NULL };
	struct store *s;
	int n = 0;

	if (store_open(loop, path, DURABLE_FSYNC, &s) != KP_OK) {
		note(out, "the second opening failed");
		return false;
	}
	load_some(loop, s, "new", 0, &l);
	for (struct store_loaded *r = l.rows; r; r = l.rows, n++) {
		l.rows = r->next;
		free(r);
	}
	store_finish(s);
	store_close(s);
	if (n != NEW_ROWS - 1)
		note(out, "%d new rows", n);
	return n == NEW_ROWS - 1;
}

/* ---- all of it ---- */

static void
count_lost(struct finding *f)
{
	for (size_t n = 0; n < f->t->n_fates; n++) {
		const struct fate *fate = &f->t->fates[n];

		if (f->seen[n] || fate->answered > f->at || fate->remove <= f->at)
			continue;
		f->out->lost++;
		if (!(f->flags & CHECK_DAMAGED))
			note(f->out, "message %zu is lost", n);
	}
}

/* With the key of before an id that was told is that of an earlier row; with another it
 * is none, far from all that will ever be given. */
static void
check_ids(struct finding *f, struct store *s)
{
	int64_t next = store_next_id(s);

	for (size_t n = 0; n < f->t->n_fates; n++) {
		int64_t row = ids_row(store_ids(s), f->t->fates[n].id);

		if (f->t->fates[n].sent > f->at || row < next || row > next + IDS_RESERVE)
			continue;
		f->out->repeated++;
		note(f->out, "the id of message %zu will be given again", n);
	}
}

static void
check_here(struct finding *f, const char *path)
{
	struct loop *loop = loop_new();
	struct store *s;

	if (loop == NULL || store_open(loop, path, DURABLE_FSYNC, &s) != KP_OK) {
		note(f->out, "it cannot be opened");
		return;
	}
	f->out->opened = true;
	check_ids(f, s);
	for (int i = 0; i < WORKLOAD_TOPICS; i++)
		load_topic(f, loop, s, workload_topics[i]);
	list_dead(f, loop, s);
	if (f->flags & CHECK_WORK)
		f->out->worked = use(loop, s);
	store_finish(s);
	store_close(s);
	f->out->sound = look_inside(f, path);
	count_lost(f);
	if (f->out->worked)
		f->out->worked = new_rows_are_there(loop, path, f->out);
	loop_free(loop);
}

static void
read_log(struct check *out)
{
	FILE *f = fopen("check.log", "re");
	char line[2000], *at;
	long long rows, dead;

	out->salvaged = out->salvaged_dead = -1;
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "store salvaged rows=");
		if (at && out->salvaged < 0 &&
		    sscanf(at, "store salvaged rows=%lld dead=%lld", &rows, &dead) == 2) {
			out->salvaged = rows;
			out->salvaged_dead = dead;
		}
	}
	if (f)
		fclose(f);
}

static void
child(const char *path, struct finding *f, int to)
{
	int log = open("check.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	signal(SIGALRM, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	alarm(LIMIT_S);
	dup2(log, STDERR_FILENO);
	check_here(f, path);
	if (write(to, f->out, sizeof(*f->out)) != sizeof(*f->out))
		_exit(1);
	_exit(0);
}

void
check_store(const char *path, const struct trace *t, uint64_t at, unsigned flags,
    struct check *out)
{
	struct finding f = { t, at == NEVER ? NEVER - 1 : at, flags, out,
	    calloc(MESSAGES_MAX, 1) };
	int fds[2], status;
	pid_t pid;

	*out = (struct check){ 0 };
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(path, &f, fds[1]);
	close(fds[1]);
	out->crashed = read(fds[0], out, sizeof(*out)) != sizeof(*out);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (out->crashed || status != 0) {
		out->crashed = true;
		note(out, "opening ended with status %x; see check.log", (unsigned)status);
	}
	read_log(out);
	free(f.seen);
}

bool
check_ok(const struct check *c)
{
	return !c->crashed && c->opened && c->sound && c->lost == 0 && c->phantom == 0 &&
	    c->changed == 0 && c->disordered == 0 && c->dead == 0 && c->repeated == 0;
}
