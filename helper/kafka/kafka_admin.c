/*
 * Questions to Kafka, through handles that are members of no group: is it there, which topics
 * exist, and who leads their partitions; and what questions have in common. Those for
 * offsets are in kafka_admin_offsets.c, those for members in kafka_admin_groups.c.
 */
#include "helper/kafka/kafka_admin.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/sock.h"
#include "helper/kafka/kafka_admin_private.h"

/* So few are asked for one after the other; more are asked for together with all that the
 * handle knows. */
#define LOOK_ONE_BY_ONE 4

enum kp_err
admin_fail(struct kafka_admin *a, char *why, rd_kafka_resp_err_t err)
{
	if (kafka_err_unreachable(err) || kafka_peers_none(kafka_peers(a->kafka))) {
		kafka_unreachable(a->kafka, why, WHY_MAX);
		return KP_EUNAVAIL;
	}
	switch (err) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		return admin_say(why, KP_ENOTFOUND, "Unknown topic");
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return admin_say(why, KP_ENOTFOUND, "Unknown partition");
	case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
	case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
	case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
		return admin_say(why, KP_ECONFLICT, KAFKA_ADMIN_MANAGED "; stop them first");
	case NO_HANDLE:
		return admin_say(why, KP_EUNAVAIL, "too many requests wait for Kafka");
	default:
		return admin_say(why, kafka_err(err), "Kafka: %s", rd_kafka_err2str(err));
	}
}

enum kp_err
kafka_admin_why(struct kafka_admin *a, int code, char *why)
{
	why[0] = '\0';
	return code ? admin_fail(a, why, (rd_kafka_resp_err_t)code) : KP_OK;
}

struct kafka_admin *
kafka_admin_new(struct kafka *k)
{
	struct kafka_admin *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->kafka = k;
	a->late = late_new();
	if (a->late)
		a->handles = handles_new(k, a->late);
	if (a->handles == NULL) {
		kafka_admin_free(a);
		return NULL;
	}
	return a;
}

void
kafka_admin_free(struct kafka_admin *a)
{
	if (a == NULL)
		return;
	handles_stop(a->handles);
	late_free(a->late);
	handles_free(a->handles);
	free(a);
}

struct handle *
admin_take(struct kafka_admin *a, enum handle_kind kind, const char *topic)
{
	struct handle *h = handle_take(a->handles, kind);

	if (h && topic)
		handle_use(a->handles, h, topic);
	return h;
}

void
admin_give(struct kafka_admin *a, struct handle *h, const char *topic, rd_kafka_resp_err_t err)
{
	if (h == NULL)
		return;
	if (topic && err && kafka_err(err) == KP_ENOTFOUND)
		handle_unknown(a->handles, h, topic);
	handle_give(a->handles, h, err);
}

/* ---- topics ---- */

/* What is known of the topic, or NULL and why not. To be destroyed. */
static const struct rd_kafka_metadata *
ask_topic(rd_kafka_t *rk, const char *topic, int timeout_ms, rd_kafka_resp_err_t *err)
{
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);

	*err = rkt ? rd_kafka_metadata(rk, 0, rkt, &md, timeout_ms) : rd_kafka_last_error();
	if (rkt)
		rd_kafka_topic_destroy(rkt);
	return *err ? NULL : md;
}

/* Without a topic all are asked for, of which there may be many: rather one that the handle
 * has been asked for anyway. */
enum kp_err
kafka_admin_reach(struct kafka_admin *a, int timeout_ms, char *why)
{
	const struct rd_kafka_metadata *md = NULL;
	struct handle *h = admin_take(a, HANDLE_LOOKS, NULL);
	rd_kafka_resp_err_t err = NO_HANDLE;
	char topic[TOPIC_MAX + 1];

	if (h && handle_any(a->handles, h, topic, sizeof(topic)))
		md = ask_topic(h->rk, topic, timeout_ms, &err);
	else if (h)
		err = rd_kafka_metadata(h->rk, 0, NULL, &md, timeout_ms);
	admin_give(a, h, NULL, err);
	if (md) {
		kafka_note_brokers(a->kafka, md);
		rd_kafka_metadata_destroy(md);
	}
	return err ? admin_fail(a, why, err) : KP_OK;
}

static rd_kafka_resp_err_t
see_topic(const struct rd_kafka_metadata *md, const char *topic, int32_t *n)
{
	for (int i = 0; i < md->topic_cnt; i++) {
		const struct rd_kafka_metadata_topic *t = &md->topics[i];

		if (strcmp(t->topic, topic) != 0)
			continue;
		*n = t->partition_cnt;
		if (t->err == RD_KAFKA_RESP_ERR_NO_ERROR && *n == 0)
			return RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		return t->err;
	}
	return RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
}

static rd_kafka_resp_err_t
look_for_one(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t *n)
{
	rd_kafka_resp_err_t err;
	const struct rd_kafka_metadata *md = ask_topic(rk, topic, timeout_ms, &err);

	if (md == NULL)
		return err;
	err = see_topic(md, topic, n);
	rd_kafka_metadata_destroy(md);
	return err;
}

/* All that the handle knows are asked for in one request. */
static void
look_for_all(rd_kafka_t *rk, struct topic_look **v, size_t n, int timeout_ms)
{
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_resp_err_t err;

	for (size_t i = 0; i < n; i++) {
		rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, v[i]->topic, NULL);

		if (rkt)
			rd_kafka_topic_destroy(rkt);
	}
	err = rd_kafka_metadata(rk, 0, NULL, &md, timeout_ms);
	for (size_t i = 0; i < n; i++)
		v[i]->code = err ? err : see_topic(md, v[i]->topic, &v[i]->partitions);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(md);
}

static void
look(struct kafka_admin *a, struct handle *h, struct topic_look **v, size_t n, int timeout_ms)
{
	int64_t until = clock_mono_ms() + timeout_ms;

	for (size_t i = 0; i < n; i++)
		handle_use(a->handles, h, v[i]->topic);
	if (n > LOOK_ONE_BY_ONE)
		look_for_all(h->rk, v, n, timeout_ms);
	for (size_t i = 0; i < n && n <= LOOK_ONE_BY_ONE; i++)
		v[i]->code = look_for_one(h->rk, v[i]->topic, sock_left_ms(until),
		    &v[i]->partitions);
	for (size_t i = 0; i < n; i++)
		if (kafka_err((rd_kafka_resp_err_t)v[i]->code) == KP_ENOTFOUND)
			handle_unknown(a->handles, h, v[i]->topic);
}

void
kafka_admin_look(struct kafka_admin *a, struct topic_look **v, size_t n, bool create,
    int timeout_ms)
{
	struct handle *h = admin_take(a, create ? HANDLE_CREATES : HANDLE_LOOKS, NULL);
	char why[WHY_MAX];

	for (size_t i = 0; i < n && h == NULL; i++)
		v[i]->code = NO_HANDLE;
	if (h)
		look(a, h, v, n, timeout_ms);
	admin_give(a, h, NULL, n ? (rd_kafka_resp_err_t)v[0]->code : RD_KAFKA_RESP_ERR_NO_ERROR);
	for (size_t i = 0; i < n; i++) {
		v[i]->err = h ? kafka_admin_why(a, v[i]->code, why) : KP_EBUSY;
		v[i]->coming = v[i]->code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	}
}

bool
kafka_admin_left_out(struct kafka_admin *a, char *out, size_t cap)
{
	return kafka_peers_trouble(kafka_peers(a->kafka), out, cap);
}

void
admin_pause(void)
{
	const struct timespec pause = { 0, PAUSE_MS * 1000000L };

	nanosleep(&pause, NULL);
}

enum kp_err
kafka_admin_partitions(struct kafka_admin *a, const char *topic, int timeout_ms, int32_t *n,
    char *why)
{
	struct topic_look look = { .topic = topic }, *v = &look;
	int64_t until = clock_mono_ms() + timeout_ms;

	for (;;) {
		kafka_admin_look(a, &v, 1, false, sock_left_ms(until));
		if (!look.coming || clock_mono_ms() + PAUSE_MS >= until)
			break;
		admin_pause();
	}
	*n = look.partitions;
	return kafka_admin_why(a, look.code, why);
}

enum kp_err
kafka_admin_leaders(struct kafka_admin *a, const char *topic, bool *led, int32_t n,
    int32_t *there, int timeout_ms, char *why)
{
	struct handle *h = admin_take(a, HANDLE_ASKS, topic);
	rd_kafka_resp_err_t err = NO_HANDLE;
	const struct rd_kafka_metadata *md = h ? ask_topic(h->rk, topic, timeout_ms, &err) : NULL;

	memset(led, 0, (size_t)n * sizeof(*led));
	*there = 0;
	if (md)
		err = see_topic(md, topic, there);
	for (int i = 0; md && md->topic_cnt && i < md->topics[0].partition_cnt; i++) {
		const struct rd_kafka_metadata_partition *p = &md->topics[0].partitions[i];

		if (p->id >= 0 && p->id < n)
			led[p->id] = p->leader >= 0;
	}
	if (md)
		rd_kafka_metadata_destroy(md);
	admin_give(a, h, topic, err);
	if (err && err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		return admin_fail(a, why, err);
	return KP_OK;
}

/* ---- coordinators ---- */

rd_kafka_event_t *
admin_await(struct kafka_admin *a, struct handle *h, const char *group, rd_kafka_queue_t *q,
    int timeout_ms, rd_kafka_resp_err_t *err)
{
	rd_kafka_event_t *ev = rd_kafka_queue_poll(q, timeout_ms);

	if (ev)
		rd_kafka_queue_destroy(q);
	else
		late_keep(a->late, h->rk, group, q);
	*err = ev ? rd_kafka_event_error(ev) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	if (*err && ev) {
		rd_kafka_event_destroy(ev);
		ev = NULL;
	}
	return ev;
}

rd_kafka_AdminOptions_t *
admin_options(struct handle *h, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(h->rk, op);
	char why[WHY_MAX];

	rd_kafka_AdminOptions_set_request_timeout(o, LATE_REQUEST_MS, why, sizeof(why));
	return o;
}
