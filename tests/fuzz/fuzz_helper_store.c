/*
 * A store's file that is not what we wrote. The store is opened on an image that the store
 * itself has made once, changed by the input, whose first byte says how:
 *
 *	'S'	SQL, run on the image by somebody who may do anything to the file
 *	'P'	patches: u24 place, u8 length, that many bytes
 *	'R'	the whole file, as it is
 *
 * Whatever is in there: it is refused, salvaged, or opened; and then everything that can be
 * asked of it, and all commands, end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "helper/store/store.h"
#include "tests/fuzz/fuzz.h"

#define IMAGE_MAX (1u << 20)

static char dir[] = "/dev/shm/kp-fuzz-XXXXXX";
static char path[64];
static uint8_t *image;
static size_t image_n;
static struct loop *loop;
static int pending;			/* calls back that are to come */

/* ---- files ---- */

/* Of all but the reserve, which costs much to make and is the same each time. */
static void
empty_dir(bool all)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && (all || strstr(e->d_name, "reserve") == NULL))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

static void
remove_dir(void)
{
	empty_dir(true);
	rmdir(dir);
}

static void
write_image(const uint8_t *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	PROMISE(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

/* ---- the changes ---- */

static void
patch(struct kp_slice in)
{
	uint8_t *copy = fuzz_copy(image, image_n);

	while (in.n >= 4) {
		size_t at = ((size_t)in.p[0] << 16 | (size_t)in.p[1] << 8 | in.p[2]) % image_n;
		size_t n = in.p[3];

		in.p += 4;
		in.n -= 4;
		if (n > in.n)
			n = in.n;
		if (n > image_n - at)
			n = image_n - at;
		memcpy(copy + at, in.p, n);
		in.p += n;
		in.n -= n;
	}
	write_image(copy, image_n);
	free(copy);
}

/* Ends a statement that runs for long, and one that fills the disk. */
static int
enough(void *arg)
{
	return ++*(int *)arg > 20;
}

/* The file, and no other. */
static int
authorize(void *arg, int action, const char *a, const char *b, const char *c, const char *d)
{
	(void)arg;
	(void)b;
	(void)c;
	(void)d;
	if (action == SQLITE_ATTACH)
		return SQLITE_DENY;
	if (action == SQLITE_PRAGMA && a && (strstr(a, "directory") || strstr(a, "heap_limit") ||
	    strstr(a, "max_page_count") || strstr(a, "journal_mode")))
		return SQLITE_DENY;
	return SQLITE_OK;
}

static void
run_sql(struct kp_slice in)
{
	char *sql = fuzz_string(in.p, in.n);
	sqlite3 *db;
	int steps = 0;

	write_image(image, image_n);
	PROMISE(sqlite3_open(path, &db) == SQLITE_OK);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, IMAGE_MAX);
	sqlite3_exec(db, "PRAGMA max_page_count = 200; PRAGMA synchronous = OFF", NULL, NULL, NULL);
	sqlite3_set_authorizer(db, authorize, NULL);
	sqlite3_progress_handler(db, 1000, enough, &steps);
	/* Statement by statement: one that fails does not end the rest. */
	for (char *rest = sql, *one; (one = strsep(&rest, "\n")) != NULL; )
		sqlite3_exec(db, one, NULL, NULL, NULL);
	sqlite3_close(db);
	free(sql);
}

/* ---- what the helper does with a store ---- */

static void
count_cmd(struct store_cmd *cmd, enum kp_err err)
{
	(void)cmd;
	(void)err;
	pending--;
}

static void
take_rows(void *arg, enum kp_err err, struct store_loaded *rows)
{
	(void)arg;
	(void)err;
	for (const struct store_loaded *l = rows; l; l = l->next) {
		PROMISE(l->row.topic.n <= TOPIC_MAX);
		/* Every byte of it is there. */
		for (size_t i = 0; i < l->row.value.n; i++)
			pending += l->row.value.p[i] * 0;
		for (size_t i = 0; i < l->row.key.n; i++)
			pending += l->row.key.p[i] * 0;
	}
	store_loaded_free(rows);
	pending--;
}

static void
take_answer(struct store_ask *ask)
{
	take_rows(NULL, ask->err, ask->rows);
	free(ask);
}

static void
ask(struct store *s, struct store_ask question)
{
	struct store_ask *a = malloc(sizeof(*a));

	PROMISE(a != NULL);
	*a = question;
	a->done = take_answer;
	pending++;
	store_ask(s, a);
}

struct topics {
	char name[8][TOPIC_MAX + 1];
	size_t n;
};

static void
note_topic(void *arg, const char *topic)
{
	struct topics *t = arg;

	PROMISE(strlen(topic) <= TOPIC_MAX);
	if (t->n < 8)
		snprintf(t->name[t->n++], TOPIC_MAX + 1, "%s", topic);
}

static void
ask_all(struct store *s, const struct topics *t)
{
	static const int64_t ids[] = { 1, 2, 3, 4, INT64_MAX };

	for (size_t i = 0; i < t->n; i++) {
		pending++;
		store_load(s, t->name[i], 0, 100, 1 << 16, take_rows, NULL);
		ask(s, (struct store_ask){ .question = STORE_LIST, .max_rows = 100,
		    .max_bytes = 1 << 16, .bodies = true });
	}
	ask(s, (struct store_ask){ .question = STORE_LIST, .max_rows = 100, .max_bytes = 1 << 16,
	    .bodies = true, .dead = true });
	ask(s, (struct store_ask){ .question = STORE_LIST, .max_rows = 2, .topic = "a" });
	ask(s, (struct store_ask){ .question = STORE_FIND, .ids = ids, .n_ids = 5,
	    .max_rows = 5, .max_bytes = 1 << 16 });
	ask(s, (struct store_ask){ .question = STORE_OLDEST, .max_rows = 1 });
}

static void
drain(void)
{
	while (pending > 0)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static void
use(struct store *s)
{
	struct store_cmd c[] = {
		{ .verb = STORE_APPEND, .row = { .topic = LIT("a"), .value = LIT("new") } },
		{ .verb = STORE_REMOVE, .row.id = 1 },
		{ .verb = STORE_BURY, .row.id = 2, .reason = "reason" },
		{ .verb = STORE_REVIVE, .row.was = 3 },
		{ .verb = STORE_DROP, .row.id = 4 },
		{ .verb = STORE_REFUSE, .row.id = 5 },
	};
	struct topics t = { .n = 0 };
	struct store_stats stats;

	store_each_topic(s, note_topic, &t);
	ask_all(s, &t);
	drain();
	c[0].row.id = store_next_id(s);
	c[3].row.id = store_next_id(s);
	PROMISE(ids_row(store_ids(s), ids_told(store_ids(s), c[0].row.id)) == c[0].row.id);
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		c[i].done = count_cmd;
		pending++;
		store_submit(s, &c[i]);
	}
	ask_all(s, &t);
	drain();
	store_stats(s, &stats);
}

static void
open_and_use(void)
{
	struct store *s;

	if (store_open(loop, path, DURABLE_FSYNC, &s) != KP_OK)
		return;
	PROMISE(s != NULL);
	use(s);
	store_finish(s);
	store_close(s);
}

/* ---- the image ---- */

static void
append(struct store *s, int64_t id, const char *topic, struct kp_slice key)
{
	struct store_cmd c = { .verb = STORE_APPEND, .done = count_cmd, .row = { .id = id,
	    .accepted_ms = 1000, .topic = kp_slice_str(topic), .key = key,
	    .value = LIT("a value of some bytes") } };

	pending++;
	store_submit(s, &c);
	drain();
}

static void
make_image(void)
{
	struct store_cmd bury = { .verb = STORE_BURY, .done = count_cmd, .reason = "too large" };
	struct store *s;
	FILE *f;

	PROMISE(store_open(loop, path, DURABLE_FSYNC, &s) == KP_OK);
	for (int64_t id = 1; id <= 8; id++)
		append(s, id, id % 2 ? "a" : "bb", id % 3 ? LIT("key") : (struct kp_slice){ 0 });
	for (bury.row.id = 3; bury.row.id <= 4; bury.row.id++) {
		pending++;
		store_submit(s, &bury);
		drain();
	}
	store_finish(s);
	store_close(s);
	f = fopen(path, "rb");
	image = malloc(IMAGE_MAX);
	PROMISE(f && image);
	image_n = fread(image, 1, IMAGE_MAX, f);
	PROMISE(image_n > 4096 && image_n < IMAGE_MAX);
	fclose(f);
}

static void
start(void)
{
	log_init("fuzz", LOG_ERROR);
	PROMISE(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/s.db", dir);
	atexit(remove_dir);
	loop = loop_new();
	PROMISE(loop != NULL);
	make_image();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kp_slice in = { data + 1, size - 1 };

	if (size < 1)
		return 0;
	if (image == NULL)
		start();
	empty_dir(false);
	if (data[0] == 'S')
		run_sql(in);
	else if (data[0] == 'P')
		patch(in);
	else if (data[0] == 'R')
		write_image(in.p, in.n);
	else
		return 0;
	open_and_use();
	/* What it left behind must not stop the next start either. */
	open_and_use();
	return 0;
}
