/*
 * Watermarks and committed offsets. Offsets are committed as a "simple consumer" does:
 * generation -1 and no member, which brokers accept while the group has no members of its
 * own.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/sock.h"
#include "helper/kafka/kafka_admin_private.h"

void
partition_offsets_free(struct partition_offsets *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		free(v[i].metadata);
	free(v);
}

static rd_kafka_topic_partition_list_t *
make_list(const char *topic, const struct partition_offsets *v, size_t n, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, topic, v[i].partition)->offset = offset;
	return list;
}

/* In a ListOffsets request -2 and -1 in place of a time ask for begin and end, of
 * all partitions in one request a leader. */
static enum kp_err
ask_edge(struct kafka_admin *a, enum handle_kind kind, const char *topic,
    struct partition_offsets *v, size_t n, int64_t edge, int timeout_ms, char *why)
{
	struct handle *h = admin_take(a, kind, topic);
	rd_kafka_topic_partition_list_t *list = make_list(topic, v, n, edge);
	rd_kafka_resp_err_t err = h ? rd_kafka_offsets_for_times(h->rk, list, timeout_ms) :
	    NO_HANDLE;

	for (size_t i = 0; i < n && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		const rd_kafka_topic_partition_t *p =
		    rd_kafka_topic_partition_list_find(list, topic, v[i].partition);

		err = p->err;
		if (edge == RD_KAFKA_OFFSET_BEGINNING)
			v[i].begin = p->offset;
		else
			v[i].end = p->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	admin_give(a, h, topic, err);
	return err ? admin_fail(a, why, err) : KP_OK;
}

enum kp_err
kafka_admin_ends(struct kafka_admin *a, const char *topic, struct partition_offsets *v, size_t n,
    int timeout_ms, char *why)
{
	return ask_edge(a, HANDLE_ASKS, topic, v, n, RD_KAFKA_OFFSET_END, timeout_ms, why);
}

/* An offset behind what can be read now may lie behind an open transaction, where there
 * are messages: what can be read is then said to end at that offset. */
static enum kp_err
stretch_ends(struct kafka_admin *a, const char *topic, struct partition_offsets *v, size_t n,
    int timeout_ms, char *why)
{
	struct partition_offsets *marks;
	enum kp_err err = KP_OK;
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		m += v[i].committed > v[i].end;
	if (m == 0)
		return KP_OK;
	marks = calloc(m, sizeof(*marks));
	if (marks == NULL)
		return admin_say(why, KP_ENOMEM, "%s", kp_err_text(KP_ENOMEM));
	m = 0;
	for (size_t i = 0; i < n; i++)
		if (v[i].committed > v[i].end)
			marks[m++].partition = v[i].partition;
	err = ask_edge(a, HANDLE_MARKS, topic, marks, m, RD_KAFKA_OFFSET_END, timeout_ms, why);
	m = 0;
	for (size_t i = 0; i < n && err == KP_OK; i++)
		if (v[i].committed > v[i].end) {
			int64_t mark = marks[m++].end;

			v[i].end = v[i].committed < mark ? v[i].committed : mark;
		}
	free(marks);
	return err;
}

/* Begin and end, for a group that is at .committed: the end is not below it when Kafka has
 * what is there. */
static enum kp_err
ask_edges(struct kafka_admin *a, const char *topic, struct partition_offsets *v, size_t n,
    int timeout_ms, char *why)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	enum kp_err err = ask_edge(a, HANDLE_ASKS, topic, v, n, RD_KAFKA_OFFSET_BEGINNING,
	    timeout_ms, why);

	if (err == KP_OK)
		err = ask_edge(a, HANDLE_ASKS, topic, v, n, RD_KAFKA_OFFSET_END,
		    sock_left_ms(until), why);
	return err ? err : stretch_ends(a, topic, v, n, sock_left_ms(until), why);
}

static void
take_committed(const rd_kafka_topic_partition_list_t *list, const char *topic,
    struct partition_offsets *v, size_t n, rd_kafka_resp_err_t *err)
{
	for (size_t i = 0; i < n && *err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		const rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(
		    (rd_kafka_topic_partition_list_t *)(uintptr_t)list, topic, v[i].partition);

		v[i].committed = -1;
		free(v[i].metadata);
		v[i].metadata = NULL;
		if (p == NULL)
			continue;
		*err = p->err;
		if (p->offset >= 0)
			v[i].committed = p->offset;
		if (p->metadata_size > 0)
			v[i].metadata = kp_slice_dup((struct kp_slice){ p->metadata,
			    p->metadata_size });
	}
}

/* Sends the request, and waits for the answer. */
static rd_kafka_event_t *
request_committed(struct kafka_admin *a, struct handle *h, const char *group,
    const rd_kafka_topic_partition_list_t *list, int timeout_ms, rd_kafka_resp_err_t *err)
{
	rd_kafka_ListConsumerGroupOffsets_t *req =
	    rd_kafka_ListConsumerGroupOffsets_new(group, list);
	rd_kafka_AdminOptions_t *o = admin_options(h, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_queue_t *q = rd_kafka_queue_new(h->rk);

	rd_kafka_ListConsumerGroupOffsets(h->rk, &req, 1, o, q);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_ListConsumerGroupOffsets_destroy(req);
	return admin_await(a, h, group, q, timeout_ms, err);
}

/* What became of the one group that was asked about; *list is the event's. */
static rd_kafka_resp_err_t
open_result(const rd_kafka_group_result_t *r, const rd_kafka_topic_partition_list_t **list)
{
	const rd_kafka_error_t *e = rd_kafka_group_result_error(r);

	*list = rd_kafka_group_result_partitions(r);
	return e ? rd_kafka_error_code(e) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
open_committed(rd_kafka_event_t *ev, const rd_kafka_topic_partition_list_t **list)
{
	size_t groups;

	return open_result(rd_kafka_ListConsumerGroupOffsets_result_groups(
	    rd_kafka_event_ListConsumerGroupOffsets_result(ev), &groups)[0], list);
}

static enum kp_err
ask_committed(struct kafka_admin *a, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why)
{
	struct handle *h = admin_take(a, HANDLE_ASKS, topic);
	rd_kafka_topic_partition_list_t *list = make_list(topic, v, n, RD_KAFKA_OFFSET_INVALID);
	const rd_kafka_topic_partition_list_t *found;
	rd_kafka_resp_err_t err = NO_HANDLE;
	rd_kafka_event_t *ev = h ? request_committed(a, h, group, list, timeout_ms, &err) : NULL;

	if (ev) {
		err = open_committed(ev, &found);
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			take_committed(found, topic, v, n, &err);
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_topic_partition_list_destroy(list);
	admin_give(a, h, topic, err);
	return err ? admin_fail(a, why, err) : KP_OK;
}

enum kp_err
kafka_admin_gone(struct kafka_admin *a, const char *group, struct offset_look *v, size_t n,
    int timeout_ms, char *why)
{
	struct handle *h = late_room(a->late, group) ? admin_take(a, HANDLE_ASKS, NULL) : NULL;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
	const rd_kafka_topic_partition_list_t *found;
	rd_kafka_resp_err_t err = NO_HANDLE;
	rd_kafka_event_t *ev;

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, v[i].topic, v[i].partition);
	ev = h ? request_committed(a, h, group, list, timeout_ms, &err) : NULL;
	if (ev)
		err = open_committed(ev, &found);
	for (size_t i = 0; ev && err == RD_KAFKA_RESP_ERR_NO_ERROR && i < n; i++) {
		const rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(
		    (rd_kafka_topic_partition_list_t *)(uintptr_t)found, v[i].topic,
		    v[i].partition);

		v[i].gone = p && p->err == RD_KAFKA_RESP_ERR_NO_ERROR && p->offset < 0;
	}
	if (ev)
		rd_kafka_event_destroy(ev);
	rd_kafka_topic_partition_list_destroy(list);
	admin_give(a, h, NULL, err);
	return err ? admin_fail(a, why, err) : KP_OK;
}

enum kp_err
kafka_admin_offsets_once(struct kafka_admin *a, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	enum kp_err err;

	if (!late_room(a->late, group))
		return admin_say(why, KP_EUNAVAIL, NO_COORDINATOR);
	err = ask_committed(a, group, topic, v, n, sock_left_ms(until), why);
	return err ? err : ask_edges(a, topic, v, n, sock_left_ms(until), why);
}

/* Leaders and coordinators move: what fails now may work in a moment. */
enum kp_err
kafka_admin_offsets(struct kafka_admin *a, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	enum kp_err err;

	for (;;) {
		err = kafka_admin_offsets_once(a, group, topic, v, n,
		    sock_left_ms(until), why);
		if (err != KP_EUNAVAIL || clock_mono_ms() + PAUSE_MS >= until)
			return err;
		admin_pause();
	}
}

enum kp_err
kafka_admin_committed(struct kafka_admin *a, const char *group, const char *topic,
    struct partition_offsets *v, size_t n, int timeout_ms, char *why)
{
	if (!late_room(a->late, group))
		return admin_say(why, KP_EUNAVAIL, NO_COORDINATOR);
	return ask_committed(a, group, topic, v, n, timeout_ms, why);
}

/*
 * To such a time there is no message. Brokers before 0.10.1 know no times of messages: they
 * take it for the age of files, and have the end of the partition for an answer.
 */
#define TIME_NEVER INT64_MAX

/* One request a leader. */
static rd_kafka_resp_err_t
ask_times(struct kafka_admin *a, const char *topic, struct partition_offsets *v, size_t n,
    int timeout_ms)
{
	struct handle *h = admin_take(a, HANDLE_ASKS, topic);
	rd_kafka_topic_partition_list_t *list = make_list(topic, v, n, 0);
	rd_kafka_resp_err_t err;

	for (size_t i = 0; i < n; i++)
		list->elems[i].offset = v[i].committed;
	err = h ? rd_kafka_offsets_for_times(h->rk, list, timeout_ms) : NO_HANDLE;
	for (size_t i = 0; i < n && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		const rd_kafka_topic_partition_t *p =
		    rd_kafka_topic_partition_list_find(list, topic, v[i].partition);

		err = p->err;
		v[i].committed = p->offset >= 0 ? p->offset : -1;
	}
	rd_kafka_topic_partition_list_destroy(list);
	admin_give(a, h, topic, err);
	return err;
}

enum kp_err
kafka_admin_times(struct kafka_admin *a, const char *topic, struct partition_offsets *v,
    size_t n, int timeout_ms, char *why)
{
	struct partition_offsets never = { .partition = v[0].partition, .committed = TIME_NEVER };
	int64_t until = clock_mono_ms() + timeout_ms;
	rd_kafka_resp_err_t err = ask_times(a, topic, &never, 1, timeout_ms);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && never.committed >= 0)
		return admin_say(why, KP_ENOTSUP, "brokers before Kafka 0.10.1 cannot search by "
		    "time: give offsets");
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = ask_times(a, topic, v, n, sock_left_ms(until));
	return err ? admin_fail(a, why, err) : KP_OK;
}

static rd_kafka_topic_partition_list_t *
make_commit(const char *topic, const struct partition_offsets *v, size_t n)
{
	rd_kafka_topic_partition_list_t *list = make_list(topic, v, n, 0);

	for (size_t i = 0; i < n; i++) {
		list->elems[i].offset = v[i].committed;
		if (v[i].metadata && v[i].metadata[0]) {
			list->elems[i].metadata = strdup(v[i].metadata);
			list->elems[i].metadata_size = strlen(v[i].metadata);
		}
	}
	return list;
}

static rd_kafka_event_t *
request_commit(struct kafka_admin *a, struct handle *h, const char *group,
    const rd_kafka_topic_partition_list_t *list, int timeout_ms, rd_kafka_resp_err_t *err)
{
	rd_kafka_AlterConsumerGroupOffsets_t *req =
	    rd_kafka_AlterConsumerGroupOffsets_new(group, list);
	rd_kafka_AdminOptions_t *o = admin_options(h, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
	rd_kafka_queue_t *q = rd_kafka_queue_new(h->rk);

	rd_kafka_AlterConsumerGroupOffsets(h->rk, &req, 1, o, q);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_AlterConsumerGroupOffsets_destroy(req);
	return admin_await(a, h, group, q, timeout_ms, err);
}

static enum kp_err
commit_once(struct kafka_admin *a, const char *group, const char *topic,
    const struct partition_offsets *v, size_t n, int timeout_ms, char *why)
{
	struct handle *h = admin_take(a, HANDLE_ASKS, topic);
	rd_kafka_topic_partition_list_t *list = make_commit(topic, v, n);
	rd_kafka_resp_err_t err = NO_HANDLE;
	rd_kafka_event_t *ev = h ? request_commit(a, h, group, list, timeout_ms, &err) : NULL;

	if (ev) {
		const rd_kafka_topic_partition_list_t *done;
		size_t groups;

		err = open_result(rd_kafka_AlterConsumerGroupOffsets_result_groups(
		    rd_kafka_event_AlterConsumerGroupOffsets_result(ev), &groups)[0], &done);
		for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < done->cnt; i++)
			err = done->elems[i].err;
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_topic_partition_list_destroy(list);
	admin_give(a, h, topic, err);
	return err ? admin_fail(a, why, err) : KP_OK;
}

/* Offsets that are to be set must not lie in wait for a coordinator that is away, and
 * be set when everybody has forgotten them: it is asked for something else first. */
static enum kp_err
reach_coordinator(struct kafka_admin *a, const char *group, const char *topic,
    int32_t partition, int64_t until, char *why)
{
	struct partition_offsets v = { .partition = partition };
	enum kp_err err;

	if (!late_room(a->late, group))
		return admin_say(why, KP_EUNAVAIL, NO_COORDINATOR);
	err = ask_committed(a, group, topic, &v, 1, sock_left_ms(until), why);
	free(v.metadata);
	return err;
}

/* As many as go in one request: one at least. */
static size_t
count_next(const char *topic, const struct partition_offsets *v, size_t n)
{
	size_t bytes = 0, i = 0;

	for (; i < n; i++) {
		bytes += kafka_commit_bytes(topic, v[i].metadata ? strlen(v[i].metadata) : 0);
		if (i > 0 && bytes > KAFKA_COMMIT_BYTES)
			break;
	}
	return i;
}

static enum kp_err
commit_all(struct kafka_admin *a, const char *group, const char *topic,
    const struct partition_offsets *v, size_t n, int64_t until, char *why)
{
	enum kp_err err = KP_OK;

	for (size_t at = 0, some; at < n && err == KP_OK; at += some) {
		some = count_next(topic, v + at, n - at);
		err = commit_once(a, group, topic, v + at, some, sock_left_ms(until), why);
	}
	return err;
}

/* The same offsets twice are as good as once. */
enum kp_err
kafka_admin_commit(struct kafka_admin *a, const char *group, const char *topic,
    const struct partition_offsets *v, size_t n, int timeout_ms, char *why)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	enum kp_err err;

	for (;;) {
		err = reach_coordinator(a, group, topic, v[0].partition, until, why);
		if (err == KP_OK)
			err = commit_all(a, group, topic, v, n, until, why);
		if (err != KP_EUNAVAIL || clock_mono_ms() + PAUSE_MS >= until)
			return err;
		admin_pause();
	}
}
