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

#include "common/fault.h"
#include "common/msg.h"
#include "helper/ops.h"
#include "helper/produce/sender.h"
#include "helper/topics.h"

/* librdkafka looks at its time-outs once a second: its report comes within that. */
#define REPORT_LATE_MS 700

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
	struct op *op;			/* NULL: was answered */
	struct helper *h;
	uint8_t *body;
	struct kp_slice key, value;	/* in the body */
	bool late;
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

	if (d->err == KP_ETIMEDOUT || d->err == KP_EUNAVAIL)
		op_fail(op, KP_ETIMEDOUT, 0, "Kafka did not take the message in time%s%s%s",
		    maybe, known ? LATEST : "", cause);
	else if (d->err == KP_ENOTFOUND)
		op_fail(op, d->err, 0, "Unknown topic");
	else
		op_fail(op, d->err, 0, "Kafka: %s", d->text);
}

/* Its batch was refused, maybe for another message in it. */
static bool
send_alone(struct sync_send *s)
{
	const char *why;

	return producer_send(s->h->sync, s->topic, s->key, s->value, true, s, &why) == KP_OK;
}

void
op_produce_delivered(void *arg, void *opaque, const struct delivery *d)
{
	struct sync_send *s = opaque;
	struct msg_produced r = { .partition = d->partition, .offset = d->offset };

	(void)arg;
	if (d->shared && s->op && send_alone(s))
		return;
	if (d->err == KP_ENOTFOUND)
		topics_forget(s->h->topics, kp_slice_str(s->topic));
	if (s->op && d->err) {
		fail_sync(s->h, s->op, d);
	} else if (s->op) {
		msg_produced_encode(op_reply_begin(s->op, MSG_PRODUCED), &r);
		op_reply_send(s->op);
	}
	free(s->body);
	free(s);
}

/* The report knows whether a copy was on its way, so it is worth a moment more. */
static void
sync_late(struct op *op, enum kp_err why)
{
	static const struct delivery unknown = { .err = KP_ETIMEDOUT, .maybe_kept = true };
	struct sync_send *s = op->state;

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
	const char *why;
	enum kp_err err;

	if (s == NULL) {
		op_fail(op, KP_ENOMEM, 1, "%s", kp_err_text(KP_ENOMEM));
		return;
	}
	s->op = op;
	s->h = h;
	memcpy(s->topic, m->topic.p, m->topic.n);
	s->body = op_take_body(op);
	op->state = s;
	op->interrupted = sync_late;
	s->key = m->key;
	s->value = m->value;
	err = producer_send(h->sync, s->topic, s->key, s->value, false, s, &why);
	if (err == KP_OK)
		return;
	op_fail(op, err, 1, "Kafka: %s", why);
	free(s->body);
	free(s);
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
