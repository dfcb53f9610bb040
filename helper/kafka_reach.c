/* A new handle, asked for what it must know first, again and again while somebody wants it. */
#include "helper/kafka_reach.h"

#include <stdlib.h>

#include "common/fault.h"

#define ASK_EACH_MS (KAFKA_LOST_MS / 5)
#define ASK_TIMEOUT_MS 4000
/* Nobody has wanted to know it for so long: what was known then says nothing any more. */
#define FORGET_MS (KAFKA_LOST_MS / 2)

struct kafka_reach {
	struct loop *loop;
	struct kafka *kafka;
	int64_t wanted_ms;		/* the last time somebody did */
	int64_t asked_ms;		/* when the last question began */
	int64_t since_ms;		/* all from then on were answered; 0: the last was not */
	bool asking, stopped;
	struct loop_job job;
	bool answered;			/* the worker's until its job is done */
};

static void
ask_work(struct loop_job *job)
{
	static const struct kafka_property props[] = {
		{ "allow.auto.create.topics", "false" },
		{ NULL, NULL },
	};
	struct kafka_reach *r = (struct kafka_reach *)((char *)job -
	    offsetof(struct kafka_reach, job));
	rd_kafka_t *rk = kafka_new(r->kafka, RD_KAFKA_CONSUMER, props, 0);
	const struct rd_kafka_metadata *md;

	r->answered = false;
	if (rk == NULL)
		return;
	if (rd_kafka_metadata(rk, 0, NULL, &md, ASK_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		r->answered = md->broker_cnt > 0;
		rd_kafka_metadata_destroy(md);
	}
	rd_kafka_destroy(rk);
}

static void
ask_done(struct loop_job *job)
{
	struct kafka_reach *r = (struct kafka_reach *)((char *)job -
	    offsetof(struct kafka_reach, job));

	r->asking = false;
	if (!r->answered)
		r->since_ms = 0;
	else if (r->since_ms == 0)
		r->since_ms = loop_now_ms(r->loop);
}

static void
ask(struct kafka_reach *r, int64_t now)
{
	if (r->asking || r->stopped || now - r->asked_ms < ASK_EACH_MS)
		return;
	r->job.work = ask_work;
	r->job.done = ask_done;
	r->asking = loop_work(r->loop, &r->job);
	r->asked_ms = now;
}

struct kafka_reach *
kafka_reach_new(struct loop *l, struct kafka *k)
{
	struct kafka_reach *r = calloc(1, sizeof(*r));

	if (r)
		*r = (struct kafka_reach){ .loop = l, .kafka = k, .asked_ms = -ASK_EACH_MS };
	return r;
}

int64_t
kafka_reach_ms(struct kafka_reach *r)
{
	int64_t now = loop_now_ms(r->loop);

	if (now - r->wanted_ms > FORGET_MS)
		r->since_ms = 0;
	r->wanted_ms = now;
	ask(r, now);
	return r->since_ms ? now - r->since_ms : 0;
}

bool
kafka_reach_is_there(struct kafka_reach *r)
{
	return kafka_reach_ms(r) >= KAFKA_LOST_MS / 2;
}

void
kafka_reach_stop(struct kafka_reach *r)
{
	if (r)
		r->stopped = true;
}

void
kafka_reach_free(struct kafka_reach *r)
{
	free(r);
}
