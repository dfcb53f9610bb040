/* kafka-pixy status: what GET /_status tells, for people or as the same JSON. */
#include <inttypes.h>

#include "common/clock.h"
#include "common/json_out.h"
#include "common/status_json.h"
#include "deploy/admin/commands.h"
#include "deploy/admin/print.h"

static void
put_head(struct kp_buf *out, const struct msg_status *m, int64_t now_ms)
{
	char up[PRINT_MAX];

	kp_buf_puts(out, "Kafka-Pixy ");
	print_text(out, m->version);
	kp_buf_puts(out, ", librdkafka ");
	print_text(out, m->librdkafka);
	kp_buf_printf(out, ", up %s, durability ",
	    print_span(status_age_s(now_ms, m->started_ms), up));
	print_text(out, m->durability);
	kp_buf_puts(out, m->embedded ? ", with the broker in memory\n\n" : "\n\n");
}

static void
put_count(struct kp_buf *out, const char *name, int64_t n)
{
	char text[PRINT_MAX];

	kp_buf_printf(out, "%-10s %16s", name, print_count(n, text));
}

/* How long the oldest waits, and how long it will take. */
static void
put_waiting(struct kp_buf *out, const struct msg_status *m, int64_t now_ms)
{
	char text[PRINT_MAX];

	if (m->pending <= 0)
		return;
	kp_buf_putc(out, ' ');
	if (m->oldest_ms > 0)
		kp_buf_printf(out, " the oldest for %s;",
		    print_span(status_age_s(now_ms, m->oldest_ms), text));
	if (m->delivered_per_s <= 0) {
		kp_buf_puts(out, " none is delivered now");
		return;
	}
	kp_buf_printf(out, " %s a second are delivered,", print_count(m->delivered_per_s, text));
	kp_buf_printf(out, " so all in %s",
	    print_span((m->pending - 1) / m->delivered_per_s + 1, text));
}

static void
put_store(struct kp_buf *out, const struct msg_status *m)
{
	char text[PRINT_MAX];

	if (m->store_max_bytes <= 0) {
		kp_buf_printf(out, "%-10s %16s\n", "in store", "no store");
		return;
	}
	kp_buf_printf(out, "%-10s %16s", "in store", print_bytes(m->store_bytes, text));
	kp_buf_printf(out, "  of %s", print_bytes(m->store_max_bytes, text));
	if (m->store_free_bytes >= 0)
		kp_buf_printf(out, "; %s are free on its disk",
		    print_bytes(m->store_free_bytes, text));
	kp_buf_putc(out, '\n');
}

static void
put_part(struct kp_buf *out, const struct status_part *p)
{
	char time[JSON_TIME_MAX];

	kp_buf_printf(out, "%-10s %-6s", p->key, status_state_name(p->part->state));
	if (p->part->since_ms > 0) {
		json_time_text(p->part->since_ms, time);
		kp_buf_printf(out, "  since %s", time);
	}
	if (p->part->error_ms > 0) {
		json_time_text(p->part->error_ms, time);
		kp_buf_printf(out, "  last error %s: ", time);
		print_text(out, p->part->error);
	} else if (p->part->state == PART_DOWN) {
		kp_buf_puts(out, "  ");
		print_text(out, p->part->error);
	}
	kp_buf_putc(out, '\n');
}

/* Topics that a group gets nothing of. */
static void
put_groups(struct kp_buf *out, const struct msg_status *m)
{
	char text[PRINT_MAX];

	if (m->n_groups)
		kp_buf_putc(out, '\n');
	for (size_t i = 0; i < m->n_groups; i++) {
		kp_buf_puts(out, "group ");
		print_text(out, m->groups[i].group);
		kp_buf_puts(out, ", topic ");
		print_text(out, m->groups[i].topic);
		kp_buf_puts(out, ": ");
		print_text(out, m->groups[i].error);
		kp_buf_putc(out, '\n');
	}
	if (m->groups_troubled > (int64_t)m->n_groups)
		kp_buf_printf(out, "and %s more topics of groups\n",
		    print_count(m->groups_troubled - (int64_t)m->n_groups, text));
}

static void
put_table(struct kp_buf *out, const struct msg_status *m, int64_t now_ms)
{
	struct status_part parts[STATUS_PARTS];

	put_head(out, m, now_ms);
	put_count(out, "accepted", m->accepted);
	kp_buf_putc(out, '\n');
	put_count(out, "delivered", m->delivered);
	kp_buf_putc(out, '\n');
	put_count(out, "pending", m->pending);
	put_waiting(out, m, now_ms);
	kp_buf_putc(out, '\n');
	put_count(out, "dead", m->dead);
	kp_buf_puts(out, m->dead > 0 ? "  see kafka-pixy dead\n" : "\n");
	put_count(out, "dropped", m->dropped);
	kp_buf_putc(out, '\n');
	put_store(out, m);
	kp_buf_putc(out, '\n');
	status_parts(m, parts);
	for (size_t i = 0; i < STATUS_PARTS; i++)
		put_part(out, &parts[i]);
	put_groups(out, m);
}

enum admin_exit
command_status(struct admin *a)
{
	enum admin_exit status;
	struct kp_slice body;
	struct msg_status m;
	struct kp_buf out;

	status = admin_ask(a, MSG_GET_STATUS, NULL, ASK_STATUS_MS, &body, NULL);
	if (status != ADMIN_OK)
		return ADMIN_UNREACHED;
	if (msg_status_decode(body, &m) != KP_OK)
		return admin_nonsense(a);
	kp_buf_init(&out, 64 * 1024);
	if (a->json) {
		status_json(&out, &m, clock_wall_ms());
		kp_buf_putc(&out, '\n');
	} else {
		put_table(&out, &m, clock_wall_ms());
	}
	status = print_out(&out) && status_all_serve(&m, NULL) ? ADMIN_OK : ADMIN_BAD;
	kp_buf_free(&out);
	return status;
}
