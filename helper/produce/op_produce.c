/*
 * PRODUCE: one message for Kafka.
 *
 * Both ways first ask whether the topic exists. Then sync goes straight to the
 * producer and is answered by its delivery report, async to the sender. When Kafka
 * cannot be asked, sync fails and async is kept all the same.
 */
#include "helper/produce/op_produce.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/msg.h"
#include "helper/ops.h"
#include "helper/produce/sender.h"
#include "helper/kafka/topics.h"

/* librdkafka looks at its time-outs once a second: its report comes within that. */
#define REPORT_LATE_MS 700
#define AGAIN_MS 250

/* What follows is kafka_cause(). */
#define LATEST "; the latest failure: "

/* While it is asked whether the topic exists. */
struct produce {
	struct topics_ask ask;		/* first */
	struct helper *h;
	struct op *op;			/* NULL: was answered */
	struct msg_produce m;		/* its slices point into the op's body */
};

/* A sync message on its way; the value must stay until its report. */
struct sync_send {
	struct topics_ask ask;		/* first */
	struct loop_timer again;
	struct op *op;			/* NULL: was answered */
	struct helper *h;
	struct op_body body;
	struct kp_slice key, value;	/* in the body */
	bool late;
	bool maybe_kept;		/* when no report says more */
	int64_t stamp_ms;		/* the time that it is sent with, wall clock */
	bool stamped_anew;		/* that of its acceptance was refused */
	char topic[TOPIC_MAX + 1];
};

/* ---- sync ---- */

static void
fail_unreachable(struct helper *h, struct op *op)
{
	char cause[KAFKA_CAUSE_MAX];
	bool known = kafka_cause(h->kafka, cause, sizeof(cause));

	op_fail(op, KP_ETIMEDOUT, 0, "Kafka cannot be reached; nothing was sent%s%s",
	    known ? LATEST : "", cause);
}

static void
fail_sync(struct helper *h, struct op *op, const struct delivery *d)
{
	char cause[KAFKA_CAUSE_MAX];
	bool known = kafka_cause(h->kafka, cause, sizeof(cause));
	const char *maybe = d->maybe_kept ? "; a copy was on its way, so Kafka may have it" :
	    "; nothing was sent";

	if (d->err == KP_EBUSY)
		op_fail(op, d->err, 1, "Kafka: %s", d->text);
	else if (d->err == KP_ETIMEDOUT || d->err == KP_EUNAVAIL)
		op_fail(op, KP_ETIMEDOUT, 0, "Kafka did not take the message in time%s%s%s",
		    maybe, known ? LATEST : "", cause);
	else if (d->err == KP_ENOTFOUND)
		op_fail(op, d->err, 0, "Unknown topic");
	else
		op_fail(op, d->err, 0, "Kafka: %s", d->text);
}

static void
sync_free(struct sync_send *s)
{
	loop_timer_end(&s->again);
	op_body_free(&s->body);
	free(s);
}

static void sync_unknown(struct sync_send *s, const struct delivery *d);

static void
sync_put(struct sync_send *s, bool alone)
{
	struct delivery failed;

	s->maybe_kept = true;
	if (producer_send(s->h->sync, s->topic, s->key, s->value, s->stamp_ms, alone, s,
	    &failed) == KP_OK)
		return;
	if (failed.err == KP_ENOTFOUND) {
		sync_unknown(s, &failed);
		return;
	}
	fail_sync(s->h, s->op, &failed);
	sync_free(s);
}

static void
sync_again(void *arg)
{
	struct sync_send *s = arg;

	if (s->op)
		sync_put(s, false);
	else
		sync_free(s);
}

static void
sync_asked(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct sync_send *s = (struct sync_send *)ask;

	(void)partitions;
	if (s->op && (err == KP_ENOTFOUND || err == KP_EDENIED)) {
		op_fail(s->op, err, 0, "%s", why);
		s->op = NULL;
	}
	if (s->op)
		loop_timer_set(s->h->loop, &s->again, AGAIN_MS, 0, sync_again, s);
	else
		sync_free(s);
}

/* A broker that has just started may say so of any topic: another one is asked. */
static void
sync_unknown(struct sync_send *s, const struct delivery *d)
{
	s->maybe_kept = d->maybe_kept;
	topics_forget(s->h->topics, kp_slice_str(s->topic));
	s->ask.done = sync_asked;
	topics_ask(s->h->topics, kp_slice_str(s->topic), &s->ask);
}

/* Its time was refused. False: that of now was, too. */
static bool
stamp_anew(struct sync_send *s)
{
	if (s->h->conf.on_old_timestamp == OLD_DEAD || s->stamped_anew)
		return false;
	s->stamp_ms = clock_wall_ms();
	s->stamped_anew = true;
	return true;
}

void
op_produce_delivered(void *arg, void *opaque, const struct delivery *d)
{
	struct sync_send *s = opaque;
	struct msg_produced r = { .partition = d->partition, .offset = d->offset };

	(void)arg;
	if (d->of_time && s->op && stamp_anew(s)) {
		sync_put(s, false);
		return;
	}
	if (d->shared && s->op) {
		/* Its batch was refused, maybe for another message in it. */
		sync_put(s, true);
		return;
	}
	/* The handle was; another one has taken its place. */
	if (d->given_up && s->op && !s->h->stopping) {
		sync_put(s, false);
		return;
	}
	if (d->err == KP_ENOTFOUND && s->op) {
		sync_unknown(s, d);
		return;
	}
	if (s->op && d->err) {
		fail_sync(s->h, s->op, d);
	} else if (s->op) {
		msg_produced_encode(op_reply_begin(s->op, MSG_PRODUCED), &r);
		op_reply_send(s->op);
	}
	sync_free(s);
}

/* The report knows whether a copy was on its way, so it is worth a moment more. */
static void
sync_late(struct op *op, enum kp_err why)
{
	struct sync_send *s = op->state;
	struct delivery unknown = { .err = KP_ETIMEDOUT, .maybe_kept = s->maybe_kept };

	if (why == KP_ETIMEDOUT && !s->late) {
		s->late = true;
		op->interrupted = sync_late;
		op_extend(op, REPORT_LATE_MS);
		return;
	}
	s->op = NULL;
	fail_sync(s->h, op, &unknown);
}

static void
send_sync(struct helper *h, struct op *op, const struct msg_produce *m)
{
	struct sync_send *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	s->op = op;
	s->h = h;
	s->stamp_ms = clock_wall_ms();
	memcpy(s->topic, m->topic.p, m->topic.n);
	op_keep_body(op, &s->body);
	op->state = s;
	op->interrupted = sync_late;
	s->key = m->key;
	s->value = m->value;
	sync_put(s, false);
}

/* ---- both ---- */

/* Kafka may have been asked until the last moment: the disk needs some more. */
static void
keep(struct produce *p, struct op *op)
{
	if (op_left_ms(op) < REPORT_LATE_MS)
		op_extend(op, REPORT_LATE_MS);
	sender_accept(p->h->sender, op, &p->m);
}

/* Nobody knows whether the topic exists, and that is not because of Kafka: what is kept now
 * might be for nobody. */
static void
fail_crowded(struct op *op, const char *why)
{
	op_fail(op, KP_EUNAVAIL, 1, "%s", why);
}

/* Kafka could not be asked in time: sync has failed, async is kept all the same. Unless Kafka
 * answers others: then it was us who did not ask. */
static void
ask_late(struct op *op, enum kp_err why)
{
	struct produce *p = op->state;

	p->op = NULL;
	op->interrupted = NULL;
	if (why != KP_ETIMEDOUT) {
		op_end(op);
	} else if (topics_answered(p->h->topics)) {
		fail_crowded(op, "it is not known yet whether the topic exists; try again");
	} else if (p->m.sync) {
		fail_unreachable(p->h, op);
	} else {
		keep(p, op);
	}
}

static void
topic_known(struct topics_ask *ask, enum kp_err err, int32_t partitions, const char *why)
{
	struct produce *p = (struct produce *)ask;
	struct op *op = p->op;

	(void)partitions;
	if (op == NULL) {
		free(p);
		return;
	}
	op->interrupted = NULL;
	if (err == KP_ENOTFOUND || err == KP_EDENIED)
		op_fail(op, err, 0, "%s", why);
	else if (err == KP_EBUSY)
		fail_crowded(op, why);
	else if (!p->m.sync)
		keep(p, op);
	else if (err)
		fail_unreachable(p->h, op);
	else
		send_sync(p->h, op, &p->m);
	free(p);
}

void
op_produce(struct helper *h, struct op *op)
{
	struct msg_produce m;
	struct produce *p;

	fault_point("P1");
	if (msg_produce_decode(op_body(op), &m) != KP_OK) {
		op_fail(op, KP_EBADMSG, 0, "malformed PRODUCE");
		return;
	}
	if (!op_names_ok(op, m.topic, NULL))
		return;
	if (m.value.n > h->conf.max_message_bytes) {
		op_fail(op, KP_ETOOBIG, 0, "the message has %zu bytes, the limit is %llu",
		    m.value.n, (unsigned long long)h->conf.max_message_bytes);
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	*p = (struct produce){ .ask.done = topic_known, .h = h, .op = op, .m = m };
	op->state = p;
	op->interrupted = ask_late;
	topics_ask(h->topics, m.topic, &p->ask);
}
