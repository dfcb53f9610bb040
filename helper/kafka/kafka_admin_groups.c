/*
 * Two questions: which groups are there (each broker knows those that it coordinates),
 * and who is in them (each coordinator is asked for its own).
 */
#include "helper/kafka/kafka_admin_groups.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/sock.h"
#include "helper/kafka/kafka_admin_private.h"

#define ALL "(all groups)"		/* no group can have this name: see msg_group_ok() */
/* For the list that tells unknown groups from those that librdkafka cannot see into. */
#define LIST_MS 1000
/* librdkafka asks about each of them in a request of its own, all at once. */
#define DESCRIBE_MAX 64
#define NOT_KNOWN "either group or topic is incorrect"
#define NOT_SEEN "the group uses Kafka's new consumer protocol (group.protocol=consumer), of " \
	"which librdkafka sees the members from 2.10 on; this is "

struct members {
	const char *topic;
	struct kafka_admin_member *v;
	size_t n, cap;
	rd_kafka_resp_err_t err;
	enum kp_err failed;		/* on our side */
};

struct group_list {
	char **v;
	size_t n;
	const char *wanted;		/* only this one is looked for; NULL: all are taken */
	bool listed, used;		/* it is there; it has members */
};

void
kafka_admin_members_free(struct kafka_admin_member *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++) {
		free(v[i].group);
		free(v[i].member);
		free(v[i].partitions);
	}
	free(v);
}

/* ---- who is in a group ---- */

static int
compare_partitions(const void *va, const void *vb)
{
	const int32_t *a = va, *b = vb;

	return (*a > *b) - (*a < *b);
}

static size_t
take_partitions(const rd_kafka_topic_partition_list_t *list, const char *topic, int32_t *out)
{
	size_t n = 0;

	for (int i = 0; list && i < list->cnt; i++)
		if (strcmp(list->elems[i].topic, topic) == 0)
			out[n++] = list->elems[i].partition;
	if (n > 0)
		qsort(out, n, sizeof(*out), compare_partitions);
	return n;
}

static struct kafka_admin_member *
next_row(struct members *m)
{
	struct kafka_admin_member *v;
	size_t cap;

	if (m->n == m->cap) {
		cap = m->cap ? 2 * m->cap : 16;
		v = m->cap < CONSUMERS_MAX ? realloc(m->v, cap * sizeof(*v)) : NULL;
		if (v == NULL) {
			m->failed = m->cap < CONSUMERS_MAX ? KP_ENOMEM : KP_ETOOBIG;
			return NULL;
		}
		m->v = v;
		m->cap = cap;
	}
	return &m->v[m->n];
}

/* Our client ids have dots where the names of members have colons, because old brokers
 * fail each request of a client with one. */
static char *
name_of_client(const char *id)
{
	char *name = strdup(id);

	/* As in T21.31.06Z, and maybe what the broker puts behind it. */
	for (char *t = name && strncmp(name, "pixy_", 5) == 0 ? name : NULL;
	    t && (t = strchr(t, 'T')) != NULL; t++)
		if (strlen(t) >= 10 && t[3] == '.' && t[6] == '.' && t[9] == 'Z')
			t[3] = t[6] = ':';
	return name;
}

static void
add_member(struct members *m, const char *group, const char *name,
    const rd_kafka_topic_partition_list_t *list)
{
	struct kafka_admin_member *r = next_row(m);

	if (r == NULL)
		return;
	*r = (struct kafka_admin_member){
		.group = strdup(group), .member = name_of_client(name),
		.partitions = calloc((size_t)list->cnt + 1, sizeof(*r->partitions)),
	};
	if (r->group == NULL || r->member == NULL || r->partitions == NULL)
		m->failed = KP_ENOMEM;
	r->n = r->partitions ? take_partitions(list, m->topic, r->partitions) : 0;
	if (r->n > 0 && strlen(name) <= MEMBER_MAX) {
		m->n++;
		return;
	}
	free(r->group);
	free(r->member);
	free(r->partitions);
}

static const char *
member_name(const rd_kafka_ConsumerGroupDescription_t *d, const rd_kafka_MemberDescription_t *one)
{
	const char *id = rd_kafka_MemberDescription_client_id(one);
	size_t same = 0;

	for (size_t i = 0; id && i < rd_kafka_ConsumerGroupDescription_member_count(d); i++) {
		const char *other = rd_kafka_MemberDescription_client_id(
		    rd_kafka_ConsumerGroupDescription_member(d, i));

		same += other && strcmp(other, id) == 0;
	}
	return same == 1 && id[0] ? id : rd_kafka_MemberDescription_consumer_id(one);
}

static void
add_group(struct members *m, const rd_kafka_ConsumerGroupDescription_t *d)
{
	const char *group = rd_kafka_ConsumerGroupDescription_group_id(d);

	for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(d); i++) {
		const rd_kafka_MemberDescription_t *one =
		    rd_kafka_ConsumerGroupDescription_member(d, i);
		const rd_kafka_MemberAssignment_t *its =
		    rd_kafka_MemberDescription_assignment(one);
		const rd_kafka_topic_partition_list_t *list = its ?
		    rd_kafka_MemberAssignment_partitions(its) : NULL;

		if (list)
			add_member(m, group, member_name(d, one), list);
	}
}

/* One group that does not let itself be described does not hide the others. */
static void
take_groups(struct members *m, rd_kafka_event_t *ev, bool one, bool *known)
{
	size_t n;
	const rd_kafka_ConsumerGroupDescription_t **v =
	    rd_kafka_DescribeConsumerGroups_result_groups(
	    rd_kafka_event_DescribeConsumerGroups_result(ev), &n);

	for (size_t i = 0; i < n; i++) {
		const rd_kafka_error_t *e = rd_kafka_ConsumerGroupDescription_error(v[i]);
		rd_kafka_resp_err_t err = e ? rd_kafka_error_code(e) :
		    RD_KAFKA_RESP_ERR_NO_ERROR;

		if (err && (one || kafka_err(err) == KP_EUNAVAIL))
			m->err = err;
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			add_group(m, v[i]);
		*known |= rd_kafka_ConsumerGroupDescription_state(v[i]) !=
		    RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
	}
}

static enum kp_err
describe(struct kafka_admin *a, struct members *m, const char *group, char **v, size_t n, bool one,
    int timeout_ms, bool *known, char *why)
{
	struct handle *h;
	rd_kafka_AdminOptions_t *o;
	rd_kafka_queue_t *q;
	rd_kafka_event_t *ev;

	if (!late_room(a->late, group))
		return admin_say(why, KP_EUNAVAIL, NO_COORDINATOR);
	h = admin_take(a, HANDLE_ASKS, NULL);
	if (h == NULL)
		return admin_fail(a, why, NO_HANDLE);
	o = admin_options(h, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	q = rd_kafka_queue_new(h->rk);
	rd_kafka_DescribeConsumerGroups(h->rk, (const char **)v, n, o, q);
	ev = admin_await(a, h, group, q, timeout_ms, &m->err);
	if (ev) {
		take_groups(m, ev, one, known);
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_AdminOptions_destroy(o);
	admin_give(a, h, NULL, m->err);
	if (m->failed)
		return admin_say(why, m->failed, "%s", kp_err_text(m->failed));
	return m->err ? admin_fail(a, why, m->err) : KP_OK;
}

/* ---- which groups there are ---- */

static void
group_list_free(struct group_list *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
}

static void
take_name(struct group_list *out, const char *name, bool used)
{
	if (out->wanted && strcmp(name, out->wanted) == 0) {
		out->listed = true;
		out->used |= used;
	} else if (out->wanted == NULL && used) {
		out->v[out->n] = strdup(name);
		if (out->v[out->n])
			out->n++;
	}
}

/* Those that have members, as far as the brokers say. */
static void
take_names(rd_kafka_event_t *ev, struct group_list *out, rd_kafka_resp_err_t *err)
{
	const rd_kafka_ListConsumerGroups_result_t *r =
	    rd_kafka_event_ListConsumerGroups_result(ev);
	size_t n, failed;
	const rd_kafka_ConsumerGroupListing_t **v =
	    rd_kafka_ListConsumerGroups_result_valid(r, &n);
	const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(r, &failed);

	if (failed > 0)
		*err = rd_kafka_error_code(errors[0]);
	out->v = calloc(n + 1, sizeof(*out->v));
	for (size_t i = 0; out->v && i < n && out->n < CONSUMERS_MAX; i++) {
		rd_kafka_consumer_group_state_t state = rd_kafka_ConsumerGroupListing_state(v[i]);
		const char *name = rd_kafka_ConsumerGroupListing_group_id(v[i]);

		if (!rd_kafka_ConsumerGroupListing_is_simple_consumer_group(v[i]) &&
		    msg_group_ok(kp_slice_str(name)))
			take_name(out, name, state != RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY &&
			    state != RD_KAFKA_CONSUMER_GROUP_STATE_DEAD);
	}
}

static enum kp_err
list_groups(struct kafka_admin *a, struct group_list *out, int timeout_ms, char *why)
{
	struct handle *h;
	rd_kafka_AdminOptions_t *o;
	rd_kafka_queue_t *q;
	rd_kafka_resp_err_t err;
	rd_kafka_event_t *ev;

	if (!late_room(a->late, ALL))
		return admin_say(why, KP_EUNAVAIL, "Kafka cannot be reached");
	h = admin_take(a, HANDLE_ASKS, NULL);
	if (h == NULL)
		return admin_fail(a, why, NO_HANDLE);
	o = admin_options(h, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
	q = rd_kafka_queue_new(h->rk);
	rd_kafka_ListConsumerGroups(h->rk, o, q);
	ev = admin_await(a, h, ALL, q, timeout_ms, &err);
	if (ev) {
		take_names(ev, out, &err);
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_AdminOptions_destroy(o);
	admin_give(a, h, NULL, err);
	return err ? admin_fail(a, why, err) : KP_OK;
}

/*
 * A group with members of Kafka's new protocol (KIP-848) is for librdkafka before 2.10 one
 * that its coordinator does not know; but it is listed. A broker that does not tell in time
 * is left out: the coordinator, whose group it would be, has just answered.
 */
static enum kp_err
look_in_list(struct kafka_admin *a, const char *group, int timeout_ms, char *why)
{
	struct group_list all = { .wanted = group };

	list_groups(a, &all, timeout_ms < LIST_MS ? timeout_ms : LIST_MS, why);
	group_list_free(&all);
	if (all.used)
		return admin_say(why, KP_ENOTSUP, NOT_SEEN "%s", rd_kafka_version_str());
	return all.listed ? KP_OK : admin_say(why, KP_ENOTFOUND, NOT_KNOWN);
}

/* ---- */

static int
compare_members(const void *va, const void *vb)
{
	const struct kafka_admin_member *a = va, *b = vb;
	int d = strcmp(a->group, b->group);

	return d ? d : strcmp(a->member, b->member);
}

static enum kp_err
members_once(struct kafka_admin *a, struct members *m, const char *group, int64_t until,
    char *why)
{
	struct group_list names = { 0 };
	bool known = group == NULL;
	enum kp_err err = KP_OK;

	if (group == NULL) {
		err = list_groups(a, &names, sock_left_ms(until), why);
	} else if ((names.v = calloc(1, sizeof(*names.v))) != NULL &&
	    (names.v[0] = strdup(group)) != NULL) {
		names.n = 1;
	} else {
		err = KP_ENOMEM;
	}
	for (size_t at = 0; err == KP_OK && at < names.n; at += DESCRIBE_MAX)
		err = describe(a, m, group ? group : ALL, names.v + at,
		    names.n - at < DESCRIBE_MAX ? names.n - at : DESCRIBE_MAX, names.n == 1,
		    sock_left_ms(until), &known, why);
	if (err == KP_OK && !known)
		err = look_in_list(a, group, sock_left_ms(until), why);
	group_list_free(&names);
	return err;
}

enum kp_err
kafka_admin_members(struct kafka_admin *a, const char *topic, const char *group, int timeout_ms,
    struct kafka_admin_member **v, size_t *n, char *why)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	struct members m;
	enum kp_err err;
	int32_t partitions;

	*v = NULL;
	*n = 0;
	err = kafka_admin_partitions(a, topic, timeout_ms, &partitions, why);
	if (err == KP_ENOTFOUND)
		return admin_say(why, err, NOT_KNOWN);
	if (err)
		return err;
	for (;;) {
		m = (struct members){ .topic = topic };
		err = members_once(a, &m, group, until, why);
		if (err == KP_OK)
			break;
		kafka_admin_members_free(m.v, m.n);
		if (err != KP_EUNAVAIL || clock_mono_ms() + PAUSE_MS >= until)
			return err;
		admin_pause();
	}
	if (m.n > 0)
		qsort(m.v, m.n, sizeof(*m.v), compare_members);
	*v = m.v;
	*n = m.n;
	return KP_OK;
}
