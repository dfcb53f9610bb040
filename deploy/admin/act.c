/* kafka-pixy retry, drop: what is to become of dead letters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/admin/commands.h"
#include "deploy/admin/print.h"
#include "deploy/admin/progress.h"

#define MISSING_SHOWN 20

struct deed {
	struct admin *a;
	uint8_t type;
	int64_t done;
	int64_t n_missing;
	int64_t missing[MISSING_SHOWN];	/* the first of them */
	struct progress progress;
};

/* "3 messages go to Kafka again" */
static void
put_done(const struct deed *d, char *text, size_t cap)
{
	char n[PRINT_MAX];
	bool one = d->done == 1;

	if (d->type == MSG_RETRY_DEAD)
		snprintf(text, cap, "%s message%s to Kafka again", print_count(d->done, n),
		    one ? " goes" : "s go");
	else
		snprintf(text, cap, "%s dead letter%s gone for good", print_count(d->done, n),
		    one ? " is" : "s are");
}

static void
take_missing(struct deed *d, const struct msg_acted *r)
{
	for (size_t i = 0; i < r->n; i++, d->n_missing++)
		if (d->n_missing < MISSING_SHOWN)
			d->missing[d->n_missing] = r->missing[i];
}

/* One request; *next is 0 after the last of --all. */
static enum admin_exit
act_once(struct deed *d, const struct msg_act *m, int64_t *next)
{
	enum admin_exit status;
	struct msg_acted r = { 0 };
	struct kp_slice body;
	char done[128];

	put_done(d, done, sizeof(done));
	status = admin_ask(d->a, d->type, m, ASK_MS, &body, d->done ? done : NULL);
	if (status != ADMIN_OK)
		return status;
	if (msg_acted_decode(body, &r) != KP_OK || r.done < 0 ||
	    (m->all && r.next != 0 && r.next <= m->after)) {
		status = admin_nonsense(d->a);
	} else {
		d->done += r.done;
		take_missing(d, &r);
		*next = r.next;
		progress_step(&d->progress, d->done + d->n_missing);
	}
	msg_acted_free(&r);
	return status;
}

static enum admin_exit
act_on_all(struct deed *d)
{
	enum admin_exit status;
	int64_t next = 0;

	do {
		const struct msg_act m = { .all = true, .topic = d->a->topic, .after = next };

		status = act_once(d, &m, &next);
	} while (status == ADMIN_OK && next);
	return status;
}

static enum admin_exit
act_on_ids(struct deed *d)
{
	enum admin_exit status = ADMIN_OK;
	int64_t next;

	for (size_t i = 0; i < d->a->n_ids && status == ADMIN_OK; i += ROWS_MAX) {
		size_t left = d->a->n_ids - i;
		const struct msg_act m = { .topic = LIT(""), .ids = d->a->ids + i,
		    .n = left < ROWS_MAX ? left : ROWS_MAX };

		status = act_once(d, &m, &next);
	}
	return status;
}

/* The one line at the end. */
static enum admin_exit
conclude(const struct deed *d)
{
	char n[PRINT_MAX], done[128];
	struct kp_buf out;
	bool ok;

	kp_buf_init(&out, 4096);
	put_done(d, done, sizeof(done));
	kp_buf_puts(&out, done);
	if (d->n_missing)
		kp_buf_printf(&out, "; %s of the ids %s", print_count(d->n_missing, n),
		    d->n_missing == 1 ? "is not a dead letter" : "are not dead letters");
	for (int64_t i = 0; i < d->n_missing && i < MISSING_SHOWN; i++)
		kp_buf_printf(&out, "%s%lld", i ? ", " : ": ", (long long)d->missing[i]);
	kp_buf_puts(&out, d->n_missing > MISSING_SHOWN ? ", …\n" : "\n");
	ok = print_out(&out);
	kp_buf_free(&out);
	return ok && d->n_missing == 0 ? ADMIN_OK : ADMIN_BAD;
}

static enum admin_exit
act(struct deed *d, int64_t total)
{
	enum admin_exit status;

	progress_begin(&d->progress, total);
	status = d->a->all ? act_on_all(d) : act_on_ids(d);
	progress_end(&d->progress);
	return status == ADMIN_OK ? conclude(d) : status;
}

/* How many it will be: 0 when that is not known. */
static enum admin_exit
count(struct admin *a, int64_t *total)
{
	enum admin_exit status;
	struct kp_slice body;
	struct msg_status m;

	*total = a->all ? 0 : (int64_t)a->n_ids;
	if (!a->all || a->topic.n)
		return ADMIN_OK;
	status = admin_ask(a, MSG_GET_STATUS, NULL, ASK_STATUS_MS, &body, NULL);
	if (status == ADMIN_OK && msg_status_decode(body, &m) != KP_OK)
		status = admin_nonsense(a);
	if (status == ADMIN_OK)
		*total = m.dead;
	return status;
}

static bool
ask_user(const struct admin *a, int64_t total)
{
	char n[PRINT_MAX], answer[16] = "";

	if (a->topic.n)
		fprintf(stderr, "Delete all dead letters of the topic %.*s for good? [y/N] ",
		    (int)a->topic.n, (const char *)a->topic.p);
	else
		fprintf(stderr, "Delete %s dead letter%s for good? [y/N] ", print_count(total, n),
		    total == 1 ? "" : "s");
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		fputc('\n', stderr);
	return answer[0] == 'y' || answer[0] == 'Y';
}

enum admin_exit
command_retry(struct admin *a)
{
	struct deed d = { .a = a, .type = MSG_RETRY_DEAD };
	enum admin_exit status;
	int64_t total;

	status = count(a, &total);
	return status == ADMIN_OK ? act(&d, total) : status;
}

enum admin_exit
command_drop(struct admin *a)
{
	struct deed d = { .a = a, .type = MSG_DROP_DEAD };
	enum admin_exit status;
	int64_t total;

	if (!a->yes && !isatty(STDIN_FILENO)) {
		fprintf(stderr, "kafka-pixy drop: there is no terminal to ask on, and no --yes; "
		    "nothing was deleted\n");
		return ADMIN_USAGE;
	}
	status = count(a, &total);
	if (status == ADMIN_OK && !a->yes && !ask_user(a, total)) {
		fprintf(stderr, "nothing was deleted\n");
		return ADMIN_BAD;
	}
	return status == ADMIN_OK ? act(&d, total) : status;
}
