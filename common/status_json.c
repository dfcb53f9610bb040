/* The counters and the parts, in their fixed order. */
#include "common/status_json.h"

#include <inttypes.h>

#include "common/json_out.h"

static const char *const states[] = {
	[PART_UP] = "up", [PART_DOWN] = "down", [PART_UNUSED] = "unused",
};

const char *
status_state_name(uint8_t state)
{
	return state <= PART_UNUSED ? states[state] : "unknown";
}

void
status_parts(const struct msg_status *m, struct status_part out[STATUS_PARTS])
{
	out[0] = (struct status_part){ "kafka", "Kafka", &m->kafka };
	out[1] = (struct status_part){ "zookeeper", "ZooKeeper", &m->zookeeper };
	out[2] = (struct status_part){ "store", "The store", &m->store };
}

int64_t
status_age_s(int64_t now_ms, int64_t then_ms)
{
	int64_t age_ms;

	if (__builtin_sub_overflow(now_ms, then_ms, &age_ms) || age_ms < 0)
		return 0;
	return age_ms / 1000;
}

static void
put_why(struct kp_buf *out, const struct status_part *p)
{
	char since[JSON_TIME_MAX];

	if (out->len)
		kp_buf_puts(out, "; ");
	kp_buf_printf(out, "%s is down", p->name);
	if (p->part->since_ms > 0) {
		json_time_text(p->part->since_ms, since);
		kp_buf_printf(out, " since %s", since);
	}
	if (p->part->error.n) {
		kp_buf_puts(out, ": ");
		kp_buf_put(out, p->part->error.p, p->part->error.n);
	}
}

bool
status_all_serve(const struct msg_status *m, struct kp_buf *why)
{
	struct status_part parts[STATUS_PARTS];
	bool all = true;

	status_parts(m, parts);
	for (size_t i = 0; i < STATUS_PARTS; i++) {
		if (parts[i].part->state != PART_DOWN)
			continue;
		all = false;
		if (why)
			put_why(why, &parts[i]);
	}
	return all;
}

static void
put_part(struct kp_buf *out, const struct status_part *p)
{
	kp_buf_printf(out, ",\n  \"%s\": {\n    \"state\": \"%s\",\n    \"since\": ", p->key,
	    status_state_name(p->part->state));
	json_put_time(out, p->part->since_ms);
	kp_buf_puts(out, ",\n    \"lastError\": ");
	if (p->part->error_ms > 0)
		json_put_string(out, p->part->error);
	else
		kp_buf_puts(out, "null");
	kp_buf_puts(out, ",\n    \"lastErrorTime\": ");
	json_put_time(out, p->part->error_ms);
	kp_buf_puts(out, "\n  }");
}

static void
put_groups(struct kp_buf *out, const struct msg_status *m)
{
	kp_buf_puts(out, m->n_groups ? ",\n  \"troubles\": [" : ",\n  \"troubles\": []");
	for (size_t i = 0; i < m->n_groups; i++) {
		const struct msg_group_trouble *t = &m->groups[i];

		kp_buf_puts(out, i ? ",\n    {\n      \"group\": " : "\n    {\n      \"group\": ");
		json_put_string(out, t->group);
		kp_buf_puts(out, ",\n      \"topic\": ");
		json_put_string(out, t->topic);
		kp_buf_puts(out, ",\n      \"since\": ");
		json_put_time(out, t->since_ms);
		kp_buf_puts(out, ",\n      \"error\": ");
		json_put_string(out, t->error);
		kp_buf_puts(out, "\n    }");
	}
	if (m->n_groups)
		kp_buf_puts(out, "\n  ]");
}

/* A number, or null for what is not there. */
static void
put_number(struct kp_buf *out, const char *key, bool known, int64_t n)
{
	if (known)
		kp_buf_printf(out, ",\n  \"%s\": %" PRId64, key, n);
	else
		kp_buf_printf(out, ",\n  \"%s\": null", key);
}

static void
put_numbers(struct kp_buf *out, const struct msg_status *m, int64_t now_ms)
{
	put_number(out, "accepted", true, m->accepted);
	put_number(out, "delivered", true, m->delivered);
	put_number(out, "pending", true, m->pending);
	put_number(out, "dead", true, m->dead);
	put_number(out, "dropped", true, m->dropped);
	put_number(out, "bytes", true, m->store_bytes);
	put_number(out, "maxBytes", true, m->store_max_bytes);
	put_number(out, "freeBytes", m->store_free_bytes >= 0, m->store_free_bytes);
	put_number(out, "oldestAge", m->oldest_ms > 0, status_age_s(now_ms, m->oldest_ms));
	put_number(out, "deliveredPerSecond", true, m->delivered_per_s);
}

void
status_json(struct kp_buf *out, const struct msg_status *m, int64_t now_ms)
{
	struct status_part parts[STATUS_PARTS];
	struct kp_buf why;

	kp_buf_init(&why, STATUS_PARTS * (TEXT_MAX + 100));
	kp_buf_puts(out, "{\n");
	if (!status_all_serve(m, &why)) {
		kp_buf_puts(out, "  \"error\": ");
		json_put_string(out, kp_buf_slice(&why));
		kp_buf_puts(out, ",\n");
	}
	kp_buf_free(&why);
	kp_buf_puts(out, "  \"version\": ");
	json_put_string(out, m->version);
	kp_buf_puts(out, ",\n  \"librdkafka\": ");
	json_put_string(out, m->librdkafka);
	put_number(out, "uptime", true, status_age_s(now_ms, m->started_ms));
	kp_buf_puts(out, ",\n  \"durability\": ");
	json_put_string(out, m->durability);
	kp_buf_printf(out, ",\n  \"embedded\": %s", m->embedded ? "true" : "false");
	put_numbers(out, m, now_ms);
	status_parts(m, parts);
	for (size_t i = 0; i < STATUS_PARTS; i++)
		put_part(out, &parts[i]);
	put_number(out, "troubledTopics", true, m->groups_troubled);
	put_groups(out, m);
	kp_buf_puts(out, "\n}");
}
