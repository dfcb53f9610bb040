/* Asks for a list of all topics while there is trouble, and lets it be judged by it. */
#include "helper/produce/lookout.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/msg.h"
#include "helper/kafka_list.h"

#define LOOK_MS 5000
#define ASK_TIMEOUT_MS 4000
/* The connections of the handle are held so long after the last trouble. */
#define QUIET_MS (60 * 1000)

struct lookout {
	struct loop *loop;
	struct kafka *kafka;
	struct sender *sender;
	struct producer *sync;
	struct loop_timer timer;
	int64_t trouble_ms;		/* the last time */
	bool asking, stopped;
	struct loop_job job;
	/* The worker's until its job is done. */
	rd_kafka_t *rk;			/* NULL: not made */
	struct kafka_list *list;	/* NULL: no answer */
};

static void
judge_sync(struct lookout *o)
{
	int32_t partition;
	const char *topic = producer_stuck(o->sync, &partition);

	if (topic == NULL || !kafka_list_led(o->list, topic, partition))
		return;
	log_warn("sync nothing is reported topic=%s partition=%d: it has a leader, so it is "
	    "tried through a new handle", topic, partition);
	producer_renew(o->sync, true);
}

static void
asked(struct loop_job *job)
{
	struct lookout *o = (struct lookout *)((char *)job - offsetof(struct lookout, job));

	o->asking = false;
	if (o->list && !o->stopped) {
		sender_judge(o->sender, o->list);
		judge_sync(o);
	}
	kafka_list_free(o->list);
	o->list = NULL;
}

static void
ask(struct loop_job *job)
{
	struct lookout *o = (struct lookout *)((char *)job - offsetof(struct lookout, job));

	if (o->rk == NULL)
		o->rk = kafka_list_handle(o->kafka);
	if (o->rk)
		o->list = kafka_list_ask(o->rk, ASK_TIMEOUT_MS);
}

static void
end(struct loop_job *job)
{
	struct lookout *o = (struct lookout *)((char *)job - offsetof(struct lookout, job));

	rd_kafka_destroy(o->rk);
	o->rk = NULL;
}

static void
look(void *arg)
{
	struct lookout *o = arg;
	int64_t now = loop_now_ms(o->loop);
	int32_t partition;
	bool trouble;

	if (o->asking)
		return;
	trouble = sender_in_trouble(o->sender) || producer_stuck(o->sync, &partition);
	if (trouble)
		o->trouble_ms = now;
	else if (o->rk == NULL || now - o->trouble_ms < QUIET_MS)
		return;
	o->job.work = trouble ? ask : end;
	o->job.done = asked;
	o->asking = loop_work(o->loop, &o->job);
}

struct lookout *
lookout_new(struct loop *l, struct kafka *k, struct sender *sender, struct producer *sync)
{
	struct lookout *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	*o = (struct lookout){ .loop = l, .kafka = k, .sender = sender, .sync = sync };
	loop_timer_set(l, &o->timer, LOOK_MS, LOOK_MS, look, o);
	return o;
}

void
lookout_stop(struct lookout *o)
{
	if (o == NULL)
		return;
	o->stopped = true;
	loop_timer_end(&o->timer);
}

void
lookout_free(struct lookout *o)
{
	if (o == NULL)
		return;
	if (o->rk)
		rd_kafka_destroy(o->rk);
	free(o);
}
