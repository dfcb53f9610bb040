/*
 * GET_OFFSETS and SET_OFFSETS: begin, end and a group's offset of every partition
 * of a topic. Each is a few blocking calls to Kafka, on a worker.
 *
 * Set: everything is checked before anything is changed. While other hosts
 * consume the group it is refused: they would overwrite it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/sock.h"
#include "helper/consume/group.h"
#include "helper/ops.h"

/* Reading takes so long at most, and so does each further step of setting. */
#define TIMEOUT_MS 4000

struct offsets_job {
	struct loop_job job;		/* first */
	struct helper *h;
	struct op *op;
	char topic[TOPIC_MAX + 1];
	char group[GROUP_MAX + 1];
	struct partition_offsets *v;
	size_t n;
	enum kp_err err;
	char why[WHY_MAX];
};

static void
job_free(struct offsets_job *j)
{
	partition_offsets_free(j->v, j->n);
	free(j);
}

static struct offsets_job *
job_new(struct helper *h, struct op *op, struct kp_slice topic, struct kp_slice group)
{
	struct offsets_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return NULL;
	}
	j->h = h;
	j->op = op;
	memcpy(j->topic, topic.p, topic.n);
	memcpy(j->group, group.p, group.n);
	return j;
}

static void
job_start(struct offsets_job *j, void (*work)(struct loop_job *), void (*done)(struct loop_job *))
{
	j->job.work = work;
	j->job.done = done;
	if (loop_work(j->h->loop, &j->job))
		return;
	op_fail(j->op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
	job_free(j);
}

/* Worker: begin, end and committed of all partitions, in .v. */
static void
ask_all(struct offsets_job *j, int64_t until)
{
	int32_t n = 0;

	j->err = kafka_admin_partitions(j->h->admin, j->topic, false, TIMEOUT_MS, &n, j->why);
	if (j->err)
		return;
	j->v = calloc((size_t)n, sizeof(*j->v));
	if (j->v == NULL) {
		j->err = KP_ENOMEM;
		return;
	}
	j->n = (size_t)n;
	for (int32_t i = 0; i < n; i++)
		j->v[i].partition = i;
	j->err = kafka_admin_offsets(j->h->admin, j->group, j->topic, j->v, j->n,
	    sock_left_ms(until), j->why);
}

/* ---- get ---- */

static void
get_work(struct loop_job *job)
{
	ask_all((struct offsets_job *)job, sock_now_ms() + TIMEOUT_MS);
}

static void
get_done(struct loop_job *job)
{
	struct offsets_job *j = (struct offsets_job *)job;
	struct msg_offsets r = { .n = j->n };

	if (j->err == KP_OK && (r.v = calloc(j->n, sizeof(*r.v))) == NULL)
		j->err = KP_ENOMEM;
	if (j->err) {
		op_fail(j->op, j->err, 1, "%s", j->why);
		job_free(j);
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

void
op_get_offsets(struct helper *h, struct op *op)
{
	struct msg_topic_group m;
	struct offsets_job *j;

	if (msg_topic_group_decode(op_body(op), &m) != KP_OK)
		op_fail(op, KP_EBADMSG, 0, "malformed GET_OFFSETS");
	else if (op_names_ok(op, m.topic, &m.group) &&
	    (j = job_new(h, op, m.topic, m.group)) != NULL)
		job_start(j, get_work, get_done);
}

/* ---- set: resolve, see who consumes, commit ---- */

/* Puts the offset of the first message at or after it, or -1, in place of each time. */
static enum kp_err
resolve_times(struct offsets_job *j, struct msg_offsets *want, int64_t until)
{
	struct partition_offsets *v = calloc(want->n, sizeof(*v));
	enum kp_err err = KP_OK;
	size_t n = 0;

	if (v == NULL)
		return KP_ENOMEM;
	for (size_t i = 0; i < want->n; i++)
		if (want->v[i].by_time)
			v[n++] = (struct partition_offsets){
				.partition = want->v[i].partition,
				.committed = want->v[i].offset,
			};
	if (n)
		err = kafka_admin_times(j->h->admin, j->topic, v, n, sock_left_ms(until), j->why);
	for (size_t i = want->n; i-- > 0 && err == KP_OK;)
		if (want->v[i].by_time)
			want->v[i].offset = v[--n].committed;
	free(v);
	return err;
}

/* Each is there, and is given once; a responder has refused twins already. */
static enum kp_err
check_partitions(struct offsets_job *j, const struct msg_offsets *want)
{
	bool *given = calloc(j->n + 1, sizeof(*given));
	enum kp_err err = given ? KP_OK : KP_ENOMEM;

	for (size_t i = 0; i < want->n && err == KP_OK; i++) {
		int32_t partition = want->v[i].partition;

		if (partition < 0 || (size_t)partition >= j->n) {
			snprintf(j->why, sizeof(j->why), "Unknown partition %d: the topic has %zu",
			    partition, j->n);
			err = KP_ENOTFOUND;
		} else if (given[partition]) {
			err = KP_EBADREQ;
		} else {
			given[partition] = true;
		}
	}
	free(given);
	return err;
}

/* Puts what is wanted in place of what is committed; drops the other partitions.
 * -1 and -2 become the end and the beginning of now. */
static enum kp_err
resolve(struct offsets_job *j, const struct msg_offsets *want)
{
	struct partition_offsets *v = calloc(want->n ? want->n : 1, sizeof(*v));

	if (v == NULL)
		return KP_ENOMEM;
	for (size_t i = 0; i < want->n; i++) {
		const struct msg_offset *o = &want->v[i];

		v[i] = j->v[o->partition];
		v[i].metadata = o->metadata.n ? kp_slice_dup(o->metadata) : NULL;
		v[i].committed = o->offset == -1 ? v[i].end : o->offset == -2 ? v[i].begin :
		    o->offset;
	}
	partition_offsets_free(j->v, j->n);
	j->v = v;
	j->n = want->n;
	return KP_OK;
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

static void
set_work(struct loop_job *job)
{
	struct offsets_job *j = (struct offsets_job *)job;
	int64_t until = sock_now_ms() + TIMEOUT_MS;
	struct msg_offsets want;

	if (msg_offsets_decode(op_body(j->op), &want) != KP_OK || !are_sane(&want))
		j->err = KP_EBADREQ;
	else
		ask_all(j, until);
	if (j->err == KP_OK)
		j->err = check_partitions(j, &want);
	if (j->err == KP_OK && want.n)
		j->err = resolve_times(j, &want, until);
	if (j->err == KP_OK)
		j->err = resolve(j, &want);
	msg_offsets_free(&want);
}

static void
set_answer(void *arg, enum kp_err err, const char *why)
{
	struct offsets_job *j = arg;

	if (err)
		op_fail(j->op, err, 1, "%s", why);
	else
		op_done(j->op);
	job_free(j);
}

static void
set_commit(struct offsets_job *j)
{
	struct partition_offsets *v = j->v;
	size_t n = j->n;

	log_info("offsets set group=%s topic=%s partitions=%zu", j->group, j->topic, n);
	j->v = NULL;
	j->n = 0;
	groups_set_offsets(j->h->groups, j->group, j->topic, v, n, TIMEOUT_MS, set_answer, j);
}

/* Our own member id, also after ZooKeeper made us change it. */
static bool
is_ours(const struct helper *h, struct kp_slice member)
{
	const char *own = groups_member(h->groups);

	return member.n >= strlen(own) && memcmp(member.p, own, strlen(own)) == 0;
}

/* Nobody but this host may be consuming the topic for the group. */
static void
set_if_ours(void *arg, enum kp_err err, const char *text, const struct msg_consumers *found)
{
	struct offsets_job *j = arg;
	char others[WHY_MAX] = "";

	if (err && err != KP_ENOTFOUND) {
		set_answer(j, err, text);
		return;
	}
	for (size_t i = 0; err == KP_OK && i < found->n; i++) {
		size_t used = strlen(others);

		if (!is_ours(j->h, found->v[i].member))
			snprintf(others + used, sizeof(others) - used, "%s%.*s", used ? ", " : "",
			    (int)found->v[i].member.n, (const char *)found->v[i].member.p);
	}
	if (others[0]) {
		snprintf(j->why, sizeof(j->why), "the group is being consumed by %.200s; "
		    "stop it first", others);
		set_answer(j, KP_ECONFLICT, j->why);
		return;
	}
	set_commit(j);
}

static void
set_resolved(struct loop_job *job)
{
	struct offsets_job *j = (struct offsets_job *)job;

	if (j->err)
		set_answer(j, j->err, j->why[0] ? j->why : kp_err_text(j->err));
	else if (j->n == 0)
		set_answer(j, KP_OK, NULL);
	else
		groups_consumers(j->h->groups, j->topic, j->group, TIMEOUT_MS, set_if_ours, j);
}

/* The op's body stays until the op is answered: the worker decodes it again. */
void
op_set_offsets(struct helper *h, struct op *op)
{
	struct msg_offsets m;
	struct offsets_job *j;

	if (msg_offsets_decode(op_body(op), &m) != KP_OK)
		op_fail(op, KP_EBADMSG, 0, "malformed SET_OFFSETS");
	else if (op_names_ok(op, m.topic, &m.group) &&
	    (j = job_new(h, op, m.topic, m.group)) != NULL)
		job_start(j, set_work, set_resolved);
	msg_offsets_free(&m);
}
