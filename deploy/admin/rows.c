/* kafka-pixy pending, dead, export: the rows of the store, page by page. What was
 * printed once is never asked for again: messages come and go meanwhile. */
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/json_out.h"
#include "common/status_json.h"
#include "deploy/admin/commands.h"
#include "deploy/admin/print.h"

#define OUT_MAX ((size_t)ROWS_MAX * 8192 + WIRE_BODY_MAX * 2u)

struct listing {
	struct admin *a;
	bool dead;
	bool bodies;
	uint64_t left;			/* rows to print yet */
	uint64_t shown;
	int64_t now_ms;
	struct kp_buf out;
	void (*put)(struct listing *l, const struct msg_rows *m);
};

static size_t
topic_width(const struct msg_rows *m)
{
	size_t width = 10, n;

	for (size_t i = 0; i < m->n; i++) {
		n = print_width(m->v[i].topic);
		if (n > width)
			width = n;
	}
	return width;
}

static void
put_topic(struct kp_buf *out, struct kp_slice topic, size_t width)
{
	print_text(out, topic);
	kp_buf_printf(out, "%*s", (int)(width - print_width(topic)), "");
}

static void
put_line(struct listing *l, const struct msg_row *r, size_t width)
{
	char age[PRINT_MAX], size[PRINT_MAX], time[JSON_TIME_MAX];
	struct kp_buf *out = &l->out;

	kp_buf_printf(out, "%19" PRId64 "  ", r->id);
	put_topic(out, r->topic, width);
	kp_buf_printf(out, "  %12s  %10s", print_span(status_age_s(l->now_ms, r->accepted_ms),
	    age), print_bytes(r->value_bytes, size));
	if (l->dead) {
		json_time_text(r->buried_ms, time);
		kp_buf_printf(out, "  %5" PRIu32 "  %s  ", r->attempts, time);
		print_text(out, r->reason);
	}
	kp_buf_putc(out, '\n');
}

static void
put_lines(struct listing *l, const struct msg_rows *m)
{
	size_t width = topic_width(m);

	if (l->shown == 0 && m->n) {
		kp_buf_printf(&l->out, "%19s  %-*s  %12s  %10s", "id", (int)width, "topic", "age",
		    "size");
		kp_buf_puts(&l->out, l->dead ? "  tries  died                  reason\n" : "\n");
	}
	for (size_t i = 0; i < m->n; i++)
		put_line(l, &m->v[i], width);
}

static void
put_members(struct listing *l, const struct msg_row *r, const char *gap)
{
	struct kp_buf *out = &l->out;

	kp_buf_printf(out, "\"id\": \"%" PRId64 "\",%s\"topic\": ", r->id, gap);
	json_put_string(out, r->topic);
	kp_buf_printf(out, ",%s\"accepted\": ", gap);
	json_put_time(out, r->accepted_ms);
	kp_buf_printf(out, ",%s\"bytes\": %" PRIu32, gap, r->value_bytes);
	if (l->bodies) {
		kp_buf_printf(out, ",%s\"key\": ", gap);
		json_put_base64(out, r->has_key ? r->key : (struct kp_slice){ NULL, 0 });
		kp_buf_printf(out, ",%s\"value\": ", gap);
		json_put_base64(out, r->value);
	}
	if (!l->dead)
		return;
	kp_buf_printf(out, ",%s\"attempts\": %" PRIu32 ",%s\"died\": ", gap, r->attempts, gap);
	json_put_time(out, r->buried_ms);
	kp_buf_printf(out, ",%s\"reason\": ", gap);
	json_put_string(out, r->reason);
}

/* Elements of a list that the caller opens and closes. */
static void
put_elements(struct listing *l, const struct msg_rows *m)
{
	for (size_t i = 0; i < m->n; i++) {
		kp_buf_puts(&l->out, l->shown + i ? ",\n  {\n    " : "\n  {\n    ");
		put_members(l, &m->v[i], "\n    ");
		kp_buf_puts(&l->out, "\n  }");
	}
}

static void
put_export(struct listing *l, const struct msg_rows *m)
{
	for (size_t i = 0; i < m->n; i++) {
		kp_buf_putc(&l->out, '{');
		put_members(l, &m->v[i], " ");
		kp_buf_puts(&l->out, "}\n");
	}
}

/* One page more; *next is 0 after the last. */
static enum admin_exit
list_page(struct listing *l, int64_t *next)
{
	const struct msg_list ask = { .dead = l->dead, .with_bodies = l->bodies,
	    .topic = l->a->topic, .after = *next,
	    .limit = l->left < ROWS_MAX ? (uint32_t)l->left : ROWS_MAX };
	struct msg_rows m = { 0 };
	enum admin_exit status;
	struct kp_slice body;

	status = admin_ask(l->a, MSG_LIST_ROWS, &ask, ASK_MS, &body, NULL);
	if (status != ADMIN_OK)
		return status;
	if (msg_rows_decode(body, &m) != KP_OK || m.n > l->left ||
	    (m.next != 0 && m.next <= *next)) {
		status = admin_nonsense(l->a);
	} else {
		*next = m.next;
		l->put(l, &m);
		l->shown += m.n;
		l->left -= m.n;
		status = print_out(&l->out) ? ADMIN_OK : ADMIN_BAD;
	}
	msg_rows_free(&m);
	return status;
}

/* *next is where it ended, 0 when that was the end of all. */
static enum admin_exit
list_all(struct listing *l, int64_t *next)
{
	enum admin_exit status;

	*next = 0;
	l->now_ms = clock_wall_ms();
	do {
		status = list_page(l, next);
	} while (status == ADMIN_OK && *next && l->left);
	return status;
}

static void
put_nothing(struct listing *l, const struct msg_rows *m)
{
	(void)l, (void)m;
}

/* Whether there is another row after the last that was shown. */
static enum admin_exit
has_more(struct listing *l, int64_t next, bool *more)
{
	uint64_t shown = l->shown;
	enum admin_exit status;

	l->left = 1;
	l->put = put_nothing;
	status = list_page(l, &next);
	*more = l->shown > shown;
	return status;
}

static enum admin_exit
list_json(struct listing *l)
{
	enum admin_exit status;
	int64_t next;

	l->put = put_elements;
	kp_buf_putc(&l->out, '[');
	status = list_all(l, &next);
	if (status == ADMIN_OK) {
		kp_buf_puts(&l->out, l->shown ? "\n]\n" : "]\n");
		status = print_out(&l->out) ? ADMIN_OK : ADMIN_BAD;
	}
	return status;
}

static enum admin_exit
list_lines(struct listing *l)
{
	enum admin_exit status;
	bool more = false;
	int64_t next;

	l->put = put_lines;
	status = list_all(l, &next);
	if (status != ADMIN_OK)
		return status;
	if (l->shown == 0)
		fprintf(stderr, "%s%s\n", l->dead ? "there are no dead letters" :
		    "nothing is pending", l->a->topic.n ? " of this topic" : "");
	else if (next)
		status = has_more(l, next, &more);
	if (more)
		fprintf(stderr, "these are the oldest; --limit shows more\n");
	return status;
}

static enum admin_exit
list(struct admin *a, bool dead)
{
	struct listing l = { .a = a, .dead = dead, .left = a->limit };
	enum admin_exit status;

	kp_buf_init(&l.out, OUT_MAX);
	status = a->json ? list_json(&l) : list_lines(&l);
	kp_buf_free(&l.out);
	return status;
}

enum admin_exit
command_pending(struct admin *a)
{
	return list(a, false);
}

enum admin_exit
command_dead(struct admin *a)
{
	return list(a, true);
}

enum admin_exit
command_export(struct admin *a)
{
	struct listing l = { .a = a, .dead = !a->pending, .bodies = true, .left = UINT64_MAX,
	    .put = put_export };
	enum admin_exit status;
	int64_t next;

	kp_buf_init(&l.out, OUT_MAX);
	status = list_all(&l, &next);
	kp_buf_free(&l.out);
	return status;
}
