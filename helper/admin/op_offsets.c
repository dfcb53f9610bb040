/*
 * GET_OFFSETS and SET_OFFSETS: begin, end and a group's offset of every partition of a topic,
 * and what a user puts in its place. From top to bottom:
 *
 *	op_get_offsets()  op_set_offsets()	decoded, once
 *	             |      |
 *	           topic_known()		else nothing is asked: handles would remember it
 *	                |
 *	             look() <-- looked()	a worker asks Kafka, and a set checks all of it and
 *	             |      |			makes offsets of it; again, if it fails for a moment
 *	  get_answer()    set_looked()
 *	                    |
 *	                  set_if_ours()		409 while other hosts consume the group: they would
 *	                    |			overwrite it
 *	                  set_commit()		goes on in consume/group_set.c, and ends in answer()
 *
 * A set changes nothing before all of it is checked. What fails goes to answer() at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/sock.h"
#include "helper/consume/group.h"
#include "helper/ops.h"

/* Reading takes so long at most, and so does each further step of setting. */
#define TIMEOUT_MS 4000
/* Leaders and coordinators move: what fails now may work in a moment. */
#define AGAIN_MS 50

struct offsets_job {
	struct loop_job job;		/* first */
	struct topics_ask ask;
	struct loop_timer again;
	struct helper *h;
	struct op *op;
	bool set;
	struct msg_offsets want;	/* of a set; slices of the op's body */
	int64_t until_ms;		/* clock_mono_ms() */
	int32_t partitions;		/* of the topic, when it was last seen */
	char topic[TOPIC_MAX + 1];
	char group[GROUP_MAX + 1];
	struct partition_offsets *v;
	size_t n;
	enum kp_err err;
	char why[WHY_MAX];
};

static void topic_known(struct topics_ask *ask, enum kp_err err, int32_t partitions,
    const char *why);
static void look_begin(void *arg);
static void look(struct loop_job *job);
static void looked(struct loop_job *job);
static void get_answer(struct offsets_job *j);
static void set_looked(struct offsets_job *j);
static void set_if_ours(void *arg, enum kp_err err, const char *text,
    const struct msg_consumers *found);
static void set_commit(struct offsets_job *j);

static void
job_free(struct offsets_job *j)
{
	loop_timer_end(&j->again);
	partition_offsets_free(j->v, j->n);
	msg_offsets_free(&j->want);
	free(j);
}

/* All but what a get has found. */
static void
answer(void *arg, enum kp_err err, const char *why)
{
	struct offsets_job *j = arg;

	if (err)
		op_fail(j->op, err, 1, "%s", why);
	else
		op_done(j->op);
	job_free(j);
}

/* ---- a request comes in ---- */

/* Takes `want`; of a get it has the names only. */
static void
begin(struct helper *h, struct op *op, struct msg_offsets want)
{
	struct offsets_job *j = NULL;

	if (op_names_ok(op, want.topic, &want.group)) {
		j = calloc(1, sizeof(*j));
		if (j == NULL)
			op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
	}
	if (j == NULL) {
		msg_offsets_free(&want);
		return;
	}
	j->h = h;
	j->op = op;
	j->set = op->type == MSG_SET_OFFSETS;
	j->want = want;
	memcpy(j->topic, want.topic.p, want.topic.n);
	memcpy(j->group, want.group.p, want.group.n);
	j->ask = (struct topics_ask){ .done = topic_known, .only_look = true };
	j->job = (struct loop_job){ .work = look, .done = looked, .lane = LOOP_QUESTIONS,
	    .keys = { loop_key('t', j->topic), loop_key('g', j->group) } };
	topics_ask(h->topics, want.topic, &j->ask);
}

void
op_get_offsets(struct helper *h, struct op *op)
{
	struct msg_topic_group m;

	if (msg_topic_group_decode(op_body(op), &m) == KP_OK)
		begin(h, op, (struct msg_offsets){ .topic = m.topic, .group = m.group });
	else
		op_fail(op, KP_EBADMSG, 0, "malformed GET_OFFSETS");
}

void
op_set_offsets(struct helper *h, struct op *op)
{
	struct msg_offsets m;

	if (msg_offsets_decode(op_body(op), &m) == KP_OK) {
		begin(h, op, m);
		return;
	}
	msg_offsets_free(&m);
	op_fail(op, KP_EBADMSG, 0, "malformed SET_OFFSETS");
}

/* ---- is there such a topic? ---- */

static void
topic_known(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct offsets_job *j = loop_owner(ask, struct offsets_job, ask);

	if (err) {
		answer(j, err == KP_EBUSY ? KP_EUNAVAIL : err, why);
		return;
	}
	j->partitions = partitions;
	j->until_ms = clock_mono_ms() + TIMEOUT_MS;
	look_begin(j);
}

/* ---- what Kafka has of it: a worker ---- */

static void
look_begin(void *arg)
{
	struct offsets_job *j = arg;

	j->err = KP_OK;
	j->why[0] = '\0';
	partition_offsets_free(j->v, j->n);
	j->v = NULL;
	j->n = 0;
	if (!loop_work(j->h->loop, &j->job))
		answer(j, KP_EBUSY, kp_err_text(KP_EBUSY));
}

/* Each partition of the topic in .v, which may have more by now. Without a leader the other
 * questions would only wait. */
static void
see_partitions(struct offsets_job *j)
{
	int32_t n = 0, there = j->partitions;
	bool *led = NULL, all = there > 0;

	while (j->err == KP_OK && n != there) {
		n = there;
		free(led);
		led = calloc((size_t)n + 1, sizeof(*led));
		j->err = led == NULL ? KP_ENOMEM : kafka_admin_leaders(j->h->admin, j->topic, led,
		    n, &there, sock_left_ms(j->until_ms), j->why);
	}
	j->v = j->err ? NULL : calloc((size_t)n + 1, sizeof(*j->v));
	if (j->v)
		j->n = (size_t)n;
	else if (j->err == KP_OK)
		j->err = KP_ENOMEM;
	for (int32_t i = 0; i < (int32_t)j->n; i++) {
		j->v[i].partition = i;
		all &= led[i];
	}
	if (j->err == KP_OK && !all) {
		j->err = KP_EUNAVAIL;
		snprintf(j->why, sizeof(j->why), "the topic has partitions without a leader");
	}
	free(led);
}

/* A responder has refused these already. */
static bool
are_sane(const struct msg_offsets *want)
{
	for (size_t i = 0; i < want->n; i++)
		if (want->v[i].offset < (want->v[i].by_time ? 0 : -2))
			return false;
	return true;
}

/* -1 and -2 are the end and the beginning of now. */
static int64_t
place(const struct partition_offsets *o, int64_t offset)
{
	return offset == -1 ? o->end : offset == -2 ? o->begin : offset;
}

/* Puts what is wanted in place of what is committed; drops the other partitions. Each must be
 * there, and be given once; a responder has refused twins already. */
static enum kp_err
put_wanted(struct offsets_job *j)
{
	size_t n = j->want.n;
	struct partition_offsets *v = calloc(n + 1, sizeof(*v));
	enum kp_err err = v ? KP_OK : KP_ENOMEM;

	for (size_t i = 0; i < n && err == KP_OK; i++) {
		const struct msg_offset *o = &j->want.v[i];

		if (o->partition < 0 || (size_t)o->partition >= j->n) {
			snprintf(j->why, sizeof(j->why), "Unknown partition %d: the topic has %zu",
			    o->partition, j->n);
			err = KP_ENOTFOUND;
		} else if (j->v[o->partition].partition == -1) {
			err = KP_EBADREQ;
		} else {
			v[i] = j->v[o->partition];
			v[i].metadata = o->metadata.n ? kp_slice_dup(o->metadata) : NULL;
			v[i].committed = place(&v[i], o->offset);
			j->v[o->partition].partition = -1;	/* was given */
		}
	}
	if (err) {
		partition_offsets_free(v, n);
		return err;
	}
	partition_offsets_free(j->v, j->n);
	j->v = v;
	j->n = n;
	return KP_OK;
}

/* Of those that are wanted by a time: the offset of the first message at or after it; -1: none. */
static enum kp_err
put_times(struct offsets_job *j)
{
	struct partition_offsets *v = calloc(j->n + 1, sizeof(*v));
	enum kp_err err = KP_OK;
	size_t n = 0;

	if (v == NULL)
		return KP_ENOMEM;
	for (size_t i = 0; i < j->n; i++)
		if (j->want.v[i].by_time)
			v[n++] = (struct partition_offsets){
				.partition = j->v[i].partition,
				.committed = j->want.v[i].offset,
			};
	if (n)
		err = kafka_admin_times(j->h->admin, j->topic, v, n,
		    sock_left_ms(j->until_ms), j->why);
	for (size_t i = j->n; i-- > 0 && err == KP_OK;)
		if (j->want.v[i].by_time)
			j->v[i].committed = place(&j->v[i], v[--n].committed);
	free(v);
	return err;
}

static void
look(struct loop_job *job)
{
	struct offsets_job *j = (struct offsets_job *)job;

	if (!are_sane(&j->want)) {
		j->err = KP_EBADREQ;
		return;
	}
	see_partitions(j);
	if (j->err == KP_OK)
		j->err = kafka_admin_offsets_once(j->h->admin, j->group, j->topic, j->v, j->n,
		    sock_left_ms(j->until_ms), j->why);
	if (j->err == KP_OK && j->set)
		j->err = put_wanted(j);
	if (j->err == KP_OK && j->set)
		j->err = put_times(j);
}

static void
looked(struct loop_job *job)
{
	struct offsets_job *j = (struct offsets_job *)job;

	if (j->err == KP_EUNAVAIL && j->op->conn && clock_mono_ms() + AGAIN_MS < j->until_ms) {
		loop_timer_set(j->h->loop, &j->again, AGAIN_MS, 0, look_begin, j);
		return;
	}
	if (j->err == KP_ENOTFOUND && j->n == 0)
		topics_forget(j->h->topics, kp_slice_str(j->topic));
	if (j->set)
		set_looked(j);
	else
		get_answer(j);
}

/* ---- get: the end ---- */

static void
get_answer(struct offsets_job *j)
{
	struct msg_offsets r = { .n = j->n };

	if (j->err == KP_OK && (r.v = calloc(j->n, sizeof(*r.v))) == NULL)
		j->err = KP_ENOMEM;
	if (j->err) {
		answer(j, j->err, j->why);
		return;
	}
	for (size_t i = 0; i < j->n; i++)
		r.v[i] = (struct msg_offset){
			.partition = j->v[i].partition, .begin = j->v[i].begin,
			.end = j->v[i].end, .offset = j->v[i].committed,
			.metadata = kp_slice_str(j->v[i].metadata),
		};
	msg_offsets_encode(op_reply_begin(j->op, MSG_OFFSETS), &r);
	op_reply_send(j->op);
	msg_offsets_free(&r);
	job_free(j);
}

/* ---- set: who consumes? ---- */

static void
set_looked(struct offsets_job *j)
{
	if (j->err)
		answer(j, j->err, j->why[0] ? j->why : kp_err_text(j->err));
	else if (j->n == 0)
		answer(j, KP_OK, NULL);
	else
		groups_consumers(j->h->groups, j->topic, j->group, TIMEOUT_MS, set_if_ours, j);
}

/* Our own member id, also after ZooKeeper made us change it. */
static bool
is_ours(const struct helper *h, struct kp_slice member)
{
	const char *own = groups_member(h->groups);

	return member.n >= strlen(own) && memcmp(member.p, own, strlen(own)) == 0;
}

/* Says in .why who they are. */
static bool
others_consume(struct offsets_job *j, const struct msg_consumers *found)
{
	char others[WHY_MAX] = "";

	for (size_t i = 0; i < found->n; i++) {
		size_t used = strlen(others);

		if (!is_ours(j->h, found->v[i].member))
			snprintf(others + used, sizeof(others) - used, "%s%.*s", used ? ", " : "",
			    (int)found->v[i].member.n, (const char *)found->v[i].member.p);
	}
	snprintf(j->why, sizeof(j->why), "the group is being consumed by %.200s; stop it first",
	    others);
	return others[0] != '\0';
}

static void
set_if_ours(void *arg, enum kp_err err, const char *text, const struct msg_consumers *found)
{
	struct offsets_job *j = arg;

	if (err == KP_ENOTSUP)
		answer(j, KP_ECONFLICT, "the group is being consumed by members of Kafka's new "
		    "consumer protocol; stop them first");
	else if (err && err != KP_ENOTFOUND)
		answer(j, err, text);
	else if (err == KP_OK && others_consume(j, found))
		answer(j, KP_ECONFLICT, j->why);
	else
		set_commit(j);
}

/* ---- set: the commit ---- */

static void
set_commit(struct offsets_job *j)
{
	struct partition_offsets *v = j->v;
	size_t n = j->n;

	log_info("offsets set group=%s topic=%s partitions=%zu", j->group, j->topic, n);
	j->v = NULL;
	j->n = 0;
	groups_set_offsets(j->h->groups, j->group, j->topic, v, n, TIMEOUT_MS, answer, j);
}
