/*
 * A process that uses the store as the sender does, to be killed, or to have its
 * disk or its memory fail under it:
 *
 *	store_driver work FILE SEED OPERATIONS DURABILITY
 *	store_driver fill FILE SEED CYCLES BALLAST
 *
 * work: appends, removals, dead letters and loads at random, with the file opened
 * three times, until the shim has seen so many operations.
 * fill: each cycle fills the disk, where another file of BALLAST bytes is; removes
 * rows, before that file goes or after; and goes on, as then there is room. Without
 * ballast it may have to stay full. It ends full, in SIGKILL.
 *
 * It marks what it was told in the shim's trace. Status: 0; 2: the store could not
 * be opened; 3: a promise was broken, with a line on standard error.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/faults/shim.h"
#include "tests/faults/workload.h"

#define COMMANDS_MAX 2000		/* where there is no shim to count */
#define BURST_MAX 6
#define ENOUGH_BYTES (5u * 1024 * 1024)	/* for the log, which is long, to be moved */

enum state { UNSENT, LIVE, LEAVING, LEFT, REFUSED };

struct message {
	struct store_cmd cmd;
	struct message_room *room;	/* while the store has it */
	unsigned n;
	enum state state;
};

static struct message messages[MESSAGES_MAX];
static struct message_room rooms[BURST_MAX];
static unsigned n_messages, first_live;
static unsigned waiting;		/* for done() */
static unsigned seed;
static struct rng rng;
static struct loop *loop;
static struct store *store;
static const char *store_path;
static bool failed;			/* the store said KP_EIO */
static enum kp_err worst;		/* of the last commands */
static shim_mark_fn *mark_at;
static shim_count_fn *operations;
static void (*arm)(void);
static shim_kill_fn *kill_me;

/* SQLite's log is made to look longer than it is, so that a short run has
 * checkpoints too. */
#define PAGES_SEEM 60
int __real_sqlite3_wal_hook(void *db, int (*hook)(void *, void *, const char *, int), void *arg);
int __wrap_sqlite3_wal_hook(void *db, int (*hook)(void *, void *, const char *, int), void *arg);
static int (*store_hook)(void *, void *, const char *, int);

static int
longer(void *arg, void *db, const char *name, int pages)
{
	return store_hook(arg, db, name, getenv("KP_PAGES_SEEM") ? pages * PAGES_SEEM : pages);
}

int
__wrap_sqlite3_wal_hook(void *db, int (*hook)(void *, void *, const char *, int), void *arg)
{
	store_hook = hook;
	__real_sqlite3_wal_hook(db, longer, arg);
	return 0;
}

static void __attribute__((noreturn, format(printf, 1, 2)))
broken(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("store_driver: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	_exit(3);
}

static void
mark(char what, int64_t id)
{
	if (mark_at)
		mark_at(what, id);
}

/* ---- commands ---- */

static void
answered(struct store_cmd *cmd, enum kp_err err)
{
	struct message *m = (struct message *)cmd;

	waiting--;
	if (err == KP_OK && failed)
		broken("message %u: the store works again without a restart", m->n);
	if (err)
		worst = err;
	failed = failed || err == KP_EIO;
	if (cmd->verb == STORE_APPEND) {
		m->state = err ? REFUSED : LIVE;
		mark(err ? 'F' : 'A', m->n);
	} else if (err == KP_OK) {
		m->state = LEFT;
		mark(cmd->verb == STORE_REMOVE ? 'd' : 'b', m->n);
	} else if (err == KP_EFULL) {
		m->state = LIVE;	/* to be tried again */
	}
}

static void
wait_all(void)
{
	while (waiting)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static void
submit(struct message *m, enum store_verb verb)
{
	m->cmd.verb = verb;
	m->cmd.reason = "not wanted";
	m->cmd.done = answered;
	waiting++;
	store_submit(store, &m->cmd);
}

/* At most BURST_MAX before all are answered. */
static void
submit_appends(unsigned many)
{
	for (unsigned i = 0; i < many; i++) {
		struct message *m = &messages[n_messages];

		if (n_messages == MESSAGES_MAX)
			break;
		*m = (struct message){ .n = n_messages++ };
		m->cmd.row = workload_row(seed, m->n, &rooms[i]);
		m->cmd.row.id = store_next_id(store);
		mark('S', ids_told(store_ids(store), m->cmd.row.id));
		submit(m, STORE_APPEND);
	}
}

static enum kp_err
append(unsigned many)
{
	worst = KP_OK;
	submit_appends(many);
	wait_all();
	return worst;
}

/* Of the live ones, oldest first, about one in `of`. Removals wait for company: an
 * append makes them go at once. */
static enum kp_err
take_out(enum store_verb verb, unsigned of, bool company)
{
	worst = KP_OK;
	while (first_live < n_messages && messages[first_live].state >= LEFT)
		first_live++;
	for (unsigned i = first_live; i < n_messages; i++) {
		struct message *m = &messages[i];

		if (m->state != LIVE || rng_below(&rng, of) != 0)
			continue;
		m->state = LEAVING;
		mark(verb == STORE_REMOVE ? 'D' : 'B', m->n);
		submit(m, verb);
	}
	if (company)
		submit_appends(1);
	wait_all();
	return worst;
}

/* ---- loading ---- */

static bool
in_topic(const struct message *m, const char *topic)
{
	return kp_slice_eq(m->cmd.row.topic, kp_slice_str(topic));
}

/* The next of the topic that must be there; those that leave may be. */
static void
expect(unsigned *next, const struct store_row *row, const char *topic)
{
	const char *wrong;
	unsigned n;

	if (!workload_number(row, &n) || n >= n_messages || messages[n].cmd.row.id != row->id)
		broken("id %lld was never sent", (long long)row->id);
	wrong = workload_compare(seed, n, row);
	if (wrong)
		broken("message %u has another %s", n, wrong);
	for (; *next < n; ++*next)
		if (messages[*next].state == LIVE && in_topic(&messages[*next], topic))
			broken("message %u is not there, or out of order", *next);
	if (messages[n].state == LEFT)
		broken("message %u is there again", n);
	*next = n + 1;
}

static void
load_topic(const char *topic)
{
	unsigned next = 0;
	int64_t after = 0;
	struct loading l;

	do {
		l.done = false;
		store_load(store, topic, after, 1 + rng_below(&rng, 20), 50000, loading_found, &l);
		while (!l.done)
			uv_run(loop_uv(loop), UV_RUN_ONCE);
		for (struct store_loaded *r = l.rows; r; r = l.rows) {
			l.rows = r->next;
			after = r->row.id;
			expect(&next, &r->row, topic);
			free(r);
			l.done = false;		/* there may be more */
		}
	} while (!l.done);
	if (l.err)
		return;
	for (; next < n_messages; next++)
		if (messages[next].state == LIVE && in_topic(&messages[next], topic))
			broken("message %u of %s is not there", next, topic);
}

/* ---- life ---- */

static void
open_store(const char *path, enum conf_durability durability)
{
	enum kp_err err = store_open(loop, path, durability, &store);

	if (err) {
		fprintf(stderr, "store_driver: open: %s\n", kp_err_name(err));
		_exit(2);
	}
	failed = false;
}

static void
close_store(void)
{
	store_finish(store);
	store_close(store);
}

static void
step(void)
{
	static const unsigned char chances[] = { 0, 0, 0, 0, 0, 0, 1, 2, 3, 3 };

	switch (chances[rng_below(&rng, sizeof(chances))]) {
	case 0:
		append(1 + rng_below(&rng, BURST_MAX));
		break;
	case 1:
		take_out(STORE_REMOVE, 2 + rng_below(&rng, 4), rng_below(&rng, 8) != 0);
		break;
	case 2:
		take_out(STORE_BURY, 8, false);
		break;
	case 3:
		load_topic(workload_topics[rng_below(&rng, WORKLOAD_TOPICS)]);
		break;
	}
}

static bool
enough(uint64_t want)
{
	return operations ? operations() >= want : n_messages >= COMMANDS_MAX;
}

/* Memory fails from here on where KP_MALLOC_AT says so: "open" or "work". */
static void
arm_memory(const char *at)
{
	const char *where = getenv("KP_MALLOC_AT");

	if (arm && where && strcmp(where, at) == 0)
		arm();
}

/* A third of the work in each opening; what fails is tried some more. */
static void
work(const char *path, uint64_t want, enum conf_durability durability)
{
	for (uint64_t part = 1; part <= 3; part++) {
		unsigned in_vain = 0;

		open_store(path, durability);
		if (part == 1)
			arm_memory("work");
		while (!enough(want * part / 3) && in_vain < 20) {
			worst = KP_OK;
			step();
			in_vain += worst != KP_OK;
		}
		close_store();
		if (failed)
			return;
	}
}

/* What there was room for, in bytes. */
static size_t
put_ballast(const char *path, size_t bytes)
{
	static const char zeros[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t n = 0;
	ssize_t put;

	while (fd >= 0 && n < bytes &&
	    (put = pwrite(fd, zeros, sizeof(zeros), (off_t)n)) > 0)
		n += (size_t)put;
	if (fd >= 0)
		close(fd);
	return n;
}

static void
load_all(void)
{
	for (int i = 0; i < WORKLOAD_TOPICS; i++)
		load_topic(workload_topics[i]);
}

static bool
has_reserve(void)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s-reserve", store_path);
	return stat(path, &st) == 0 && st.st_size > 0;
}

/* Without a reserve, which takes a while and some room to make anew, removals may
 * have to wait for room: X. Once others gave enough of it back, nothing has to. */
static bool
fill_once(unsigned cycle, const char *ballast, size_t bytes)
{
	bool ballast_first = cycle % 2 != 0, reserved = has_reserve();
	bool enough = bytes && put_ballast(ballast, bytes) >= ENOUGH_BYTES;
	unsigned tries = 0;
	enum kp_err err;

	while ((err = append(1 + rng_below(&rng, BURST_MAX))) == KP_OK)
		if (n_messages > MESSAGES_MAX - 500)
			broken("the disk does not become full");
	if (err != KP_EFULL)
		broken("on a full disk: %s", kp_err_name(err));
	for (int i = 0; i < 5; i++)
		if ((err = append(1)) != KP_OK && err != KP_EFULL)
			broken("on a full disk, again: %s", kp_err_name(err));
	load_all();
	if (ballast_first)
		unlink(ballast);
	err = take_out(STORE_REMOVE, 1, false);
	if (err == KP_EFULL && !reserved && !(ballast_first && enough))
		mark('X', 0);
	else if (err)
		broken("cycle %u: remove on a full disk: %s", cycle, kp_err_name(err));
	unlink(ballast);
	while ((err = append(1)) != KP_OK) {
		if (err == KP_EFULL && !enough)
			return false;	/* nobody made room for it */
		if (err != KP_EFULL || ++tries > 20)
			broken("cycle %u: there is room again: %s", cycle, kp_err_name(err));
		take_out(STORE_REMOVE, 4, false);
	}
	load_all();
	take_out(STORE_REMOVE, 1, false);
	return true;
}

static void
fill(const char *path, unsigned cycles, size_t ballast_bytes)
{
	char ballast[512];

	snprintf(ballast, sizeof(ballast), "%s.ballast", path);
	open_store(path, DURABLE_FSYNC);
	for (unsigned i = 0; i < cycles && fill_once(i, ballast, ballast_bytes); i++)
		;
	while (append(1) == KP_OK)
		;
	if (kill_me)
		kill_me();
}

int
main(int argc, char **argv)
{
	if (argc < 6)
		return 1;
	log_init("driver", LOG_ERROR);
	seed = (unsigned)strtoul(argv[3], NULL, 10);
	rng = rng_of(seed, 1u << 31);
	*(void **)&mark_at = dlsym(RTLD_DEFAULT, "shim_mark");
	*(void **)&operations = dlsym(RTLD_DEFAULT, "shim_operations");
	*(void **)&arm = dlsym(RTLD_DEFAULT, "shim_malloc_arm");
	*(void **)&kill_me = dlsym(RTLD_DEFAULT, "shim_kill");
	loop = loop_new();
	if (loop == NULL)
		return 1;
	store_path = argv[2];
	arm_memory("open");
	if (strcmp(argv[1], "work") == 0)
		work(argv[2], strtoull(argv[4], NULL, 10),
		    strcmp(argv[5], "os") == 0 ? DURABLE_OS : DURABLE_FSYNC);
	else
		fill(argv[2], (unsigned)strtoul(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
	loop_free(loop);
	return 0;
}
