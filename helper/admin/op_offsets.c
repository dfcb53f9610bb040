/*
 * GET_OFFSETS and SET_OFFSETS: begin, end and a group's offset of every partition
 * of a topic. Each is a few blocking calls to Kafka, on a worker, once it is known that there
 * is such a topic. What fails for a moment is tried again without a worker in between.
 *
 * Set: everything is checked before anything is changed. While other hosts
 * consume the group it is refused: they would overwrite it.
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
#include "helper/kafka/topics.h"

/* Reading takes so long at most, and so does each further step of setting. */
#define TIMEOUT_MS 4000
/* Leaders and coordinators move: what fails now may work in a moment. */
#define AGAIN_MS 50

struct offsets_job {
	struct loop_job job;		/* first */
	struct topics_ask ask;
	struct loop_timer again;
	struct helper *h;
	int64_t until_ms;		/* clock_mono_ms() */
	int32_t partitions;		/* of the topic, when it was last seen */
	void (*answer)(struct offsets_job *j);
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
	loop_timer_end(&j->again);
	partition_offsets_free(j->v, j->n);
	free(j);
}

static void
job_begin(void *arg)
{
	struct offsets_job *j = arg;

	j->err = KP_OK;
	j->why[0] = '\0';
	partition_offsets_free(j->v, j->n);
	j->v = NULL;
	j->n = 0;
	if (loop_work(j->h->loop, &j->job))
		return;
	op_fail(j->op, KP_EBUSY, 1, "%s", kp_err_text(KP_EBUSY));
	job_free(j);
}

static void
job_done(struct loop_job *job)
{
	struct offsets_job *j = (struct offsets_job *)job;

	if (j->err == KP_EUNAVAIL && j->op->conn && clock_mono_ms() + AGAIN_MS < j->until_ms) {
		loop_timer_set(j->h->loop, &j->again, AGAIN_MS, 0, job_begin, j);
		return;
	}
	if (j->err == KP_ENOTFOUND && j->n == 0)
		topics_forget(j->h->topics, kp_slice_str(j->topic));
	j->answer(j);
}

/* Nothing else is asked about a topic that does not exist: handles would remember it. */
static void
topic_known(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct offsets_job *j = (struct offsets_job *)((char *)ask -
	    offsetof(struct offsets_job, ask));

	if (err) {
		op_fail(j->op, err == KP_EBUSY ? KP_EUNAVAIL : err, 1, "%s", why);
		job_free(j);
		return;
	}
	j->partitions = partitions;
	j->until_ms = clock_mono_ms() + TIMEOUT_MS;
	job_begin(j);
}

static void
job_start(struct helper *h, struct op *op, struct kp_slice topic, struct kp_slice group,
    void (*work)(struct loop_job *), void (*answer)(struct offsets_job *))
{
	struct offsets_job *j;

	if (!op_names_ok(op, topic, &group))
		return;
	j = calloc(1, sizeof(*j));
	if (j == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	j->h = h;
	j->op = op;
	memcpy(j->topic, topic.p, topic.n);
	memcpy(j->group, group.p, group.n);
	j->answer = answer;
	j->ask = (struct topics_ask){ .done = topic_known, .only_look = true };
	j->job = (struct loop_job){ .work = work, .done = job_done, .lane = LOOP_QUESTIONS,
	    .keys = { loop_key('t', j->topic), loop_key('g', j->group) } };
	topics_ask(h->topics, topic, &j->ask);
}

/* Worker: each partition of the topic in .v, which may have more by now. Without a leader
 * the other questions would only wait. */
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

/* Worker: begin, end and committed of all partitions, in .v. */
static void
ask_all(struct offsets_job *j)
{
	see_partitions(j);
	if (j->err == KP_OK)
		j->err = kafka_admin_offsets_once(j->h->admin, j->group, j->topic, j->v, j->n,
		    sock_left_ms(j->until_ms), j->why);
}

/* ---- get ---- */

static void
get_work(struct loop_job *job)
{
	ask_all((struct offsets_job *)job);
}

static void
get_answer(struct offsets_job *j)
{
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

	if (msg_topic_group_decode(op_body(op), &m) == KP_OK)
		job_start(h, op, m.topic, m.group, get_work, get_answer);
	else
		op_fail(op, KP_EBADMSG, 0, "malformed GET_OFFSETS");
}

/* ---- set: resolve, see who consumes, commit ---- */

/* Puts the offset of the first message at or after it, or -1, in place of each time. */
static enum kp_err
resolve_times(struct offsets_job *j, struct msg_offsets *want)
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
		err = kafka_admin_times(j->h->admin, j->topic, v, n,
		    sock_left_ms(j->until_ms), j->why);
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
	struct msg_offsets want;

	if (msg_offsets_decode(op_body(j->op), &want) != KP_OK || !are_sane(&want))
		j->err = KP_EBADREQ;
	else
		ask_all(j);
	if (j->err == KP_OK)
		j->err = check_partitions(j, &want);
	if (j->err == KP_OK && want.n)
		j->err = resolve_times(j, &want);
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

	if (err == KP_ENOTSUP) {
		set_answer(j, KP_ECONFLICT, "the group is being consumed by members of Kafka's new "
		    "consumer protocol; stop them first");
		return;
	}
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
set_resolved(struct offsets_job *j)
{
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

	if (msg_offsets_decode(op_body(op), &m) == KP_OK)
		job_start(h, op, m.topic, m.group, set_work, set_resolved);
	else
		op_fail(op, KP_EBADMSG, 0, "malformed SET_OFFSETS");
	msg_offsets_free(&m);
}
