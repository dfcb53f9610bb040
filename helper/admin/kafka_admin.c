/*
 * Questions to Kafka, through one handle that is a member of no group: is it there, which
 * partitions has a topic, and who leads them; and what questions have in common. Those for
 * offsets are in kafka_admin_offsets.c, those for members in kafka_admin_groups.c.
 */
#include "helper/admin/kafka_admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/sock.h"
#include "helper/admin/kafka_admin_private.h"

enum kp_err
admin_say(char *why, enum kp_err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, WHY_MAX, fmt, ap);
	va_end(ap);
	return err;
}

enum kp_err
admin_fail(struct kafka_admin *a, char *why, rd_kafka_resp_err_t err)
{
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
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		kafka_unreachable(a->kafka, why, WHY_MAX);
		return KP_EUNAVAIL;
	default:
		return admin_say(why, kafka_err(err), "Kafka: %s", rd_kafka_err2str(err));
	}
}

struct kafka_admin *
kafka_admin_new(struct kafka *k, rd_kafka_t *creator)
{
	static const struct kafka_property props[] = {
		/* The end of a partition is its high watermark. */
		{ "isolation.level", "read_uncommitted" },
		{ "allow.auto.create.topics", "false" },
		{ "enable.auto.commit", "false" },
		/* Never joined. librdkafka 2.0 takes for granted that there is one when a
		 * coordinator answers that it is none any more, and crashes without. */
		{ "group.id", "kafka-pixy-helper" },
		{ NULL, NULL },
	};
	struct kafka_admin *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->kafka = k;
	a->creator = creator;
	a->late = late_new();
	if (a->late)
		a->rk = kafka_new(k, RD_KAFKA_CONSUMER, props, 0);
	if (a->rk == NULL) {
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
	late_free(a->late);
	if (a->rk)
		rd_kafka_destroy_flags(a->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	free(a);
}

enum kp_err
kafka_admin_reach(struct kafka_admin *a, int timeout_ms, char *why)
{
	const struct rd_kafka_metadata *md;
	rd_kafka_resp_err_t err = rd_kafka_metadata(a->rk, 0, NULL, &md, timeout_ms);

	if (err)
		return admin_fail(a, why, err);
	rd_kafka_metadata_destroy(md);
	return KP_OK;
}

/* ---- topics ---- */

static rd_kafka_resp_err_t
ask_partitions(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t *n)
{
	const struct rd_kafka_metadata *md;
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
	rd_kafka_resp_err_t err;

	if (rkt == NULL)
		return rd_kafka_last_error();
	err = rd_kafka_metadata(rk, 0, rkt, &md, timeout_ms);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		err = md->topic_cnt ? md->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
		*n = md->topic_cnt ? md->topics[0].partition_cnt : 0;
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR && *n == 0)
			err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		rd_kafka_metadata_destroy(md);
	}
	rd_kafka_topic_destroy(rkt);
	return err;
}

void
admin_pause(void)
{
	const struct timespec pause = { 0, PAUSE_MS * 1000000L };

	nanosleep(&pause, NULL);
}

int
admin_left_ms(int64_t until)
{
	int64_t left = until - sock_now_ms();

	return left > 1 ? (int)left : 1;
}

/* A topic that is being created is unknown, or has no leaders, for a while. */
enum kp_err
kafka_admin_partitions(struct kafka_admin *a, const char *topic, bool create, int timeout_ms,
    int32_t *n, char *why)
{
	int64_t begin = sock_now_ms(), until = begin + timeout_ms;
	int64_t created_until = begin + (create ? TOPIC_CREATE_MS : 0);
	rd_kafka_resp_err_t err;

	for (;;) {
		int64_t left = until - sock_now_ms(), end;

		err = ask_partitions(create ? a->creator : a->rk, topic,
		    left > 1 ? (int)left : 1, n);
		if (err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
			end = until;
		else if (err && kafka_err(err) == KP_ENOTFOUND)
			end = created_until < until ? created_until : until;
		else
			break;
		if (sock_now_ms() + PAUSE_MS >= end)
			break;
		admin_pause();
	}
	return err ? admin_fail(a, why, err) : KP_OK;
}

enum kp_err
kafka_admin_leaders(struct kafka_admin *a, const char *topic, bool *led, int32_t n,
    int32_t *there, int timeout_ms, char *why)
{
	const struct rd_kafka_metadata *md;
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(a->rk, topic, NULL);
	rd_kafka_resp_err_t err = rkt ? rd_kafka_metadata(a->rk, 0, rkt, &md, timeout_ms) :
	    rd_kafka_last_error();

	if (rkt)
		rd_kafka_topic_destroy(rkt);
	if (err)
		return admin_fail(a, why, err);
	memset(led, 0, (size_t)n * sizeof(*led));
	err = md->topic_cnt ? md->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
	*there = md->topic_cnt ? md->topics[0].partition_cnt : 0;
	for (int i = 0; md->topic_cnt && i < md->topics[0].partition_cnt; i++) {
		const struct rd_kafka_metadata_partition *p = &md->topics[0].partitions[i];

		if (p->id >= 0 && p->id < n)
			led[p->id] = p->leader >= 0;
	}
	rd_kafka_metadata_destroy(md);
	if (err && err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		return admin_fail(a, why, err);
	return KP_OK;
}

/* ---- coordinators ---- */

rd_kafka_event_t *
admin_await(struct kafka_admin *a, const char *group, rd_kafka_queue_t *q, int timeout_ms,
    rd_kafka_resp_err_t *err)
{
	rd_kafka_event_t *ev = rd_kafka_queue_poll(q, timeout_ms);

	if (ev)
		rd_kafka_queue_destroy(q);
	else
		late_keep(a->late, group, q);
	*err = ev ? rd_kafka_event_error(ev) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	if (*err && ev) {
		rd_kafka_event_destroy(ev);
		ev = NULL;
	}
	return ev;
}

rd_kafka_AdminOptions_t *
admin_options(struct kafka_admin *a, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(a->rk, op);
	char why[WHY_MAX];

	rd_kafka_AdminOptions_set_request_timeout(o, LATE_REQUEST_MS, why, sizeof(why));
	return o;
}
