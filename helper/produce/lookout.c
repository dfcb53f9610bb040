/* Asks for a list of all topics while there is trouble, and lets it be judged by it. */
#include "helper/produce/lookout.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/msg.h"
#include "helper/kafka_list.h"

#define LOOK_MS (PRODUCER_STUCK_MS / 12)
#define ASK_TIMEOUT_MS 4000

struct lookout {
	struct loop *loop;
	struct kafka *kafka;
	struct sender *sender;
	struct producer *sync;
	struct loop_timer timer;
	bool asking, stopped;
	struct kafka_list *last;	/* NULL: no broker has answered yet */
	unsigned turn;			/* among its brokers */
	struct loop_job job;
	struct kafka_list *list;	/* the worker's until its job is done; NULL: no answer */
};

static void
judge_sync(struct lookout *o)
{
	int32_t partition;
	const char *topic = producer_stuck(o->sync, &partition);

	if (topic == NULL || !kafka_list_led(o->last, topic, partition))
		return;
	log_warn("sync nothing is reported topic=%s partition=%d: it has a leader, so it is "
	    "tried through a new handle", topic, partition);
	producer_renew(o->sync, true);
}

static void
ask(struct loop_job *job)
{
	struct lookout *o = (struct lookout *)((char *)job - offsetof(struct lookout, job));

	o->list = kafka_list_ask(o->kafka, o->last, o->turn, ASK_TIMEOUT_MS);
}

static void
asked(struct loop_job *job)
{
	struct lookout *o = (struct lookout *)((char *)job - offsetof(struct lookout, job));

	o->asking = false;
	o->turn++;
	if (o->list == NULL)
		return;
	kafka_list_free(o->last);
	o->last = o->list;
	o->list = NULL;
	if (o->stopped)
		return;
	sender_judge(o->sender, o->last);
	judge_sync(o);
}

static void
look(void *arg)
{
	struct lookout *o = arg;
	int32_t partition;

	if (o->asking)
		return;
	if (!sender_in_trouble(o->sender) && producer_stuck(o->sync, &partition) == NULL) {
		kafka_list_free(o->last);
		o->last = NULL;
		return;
	}
	o->job.work = ask;
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
	kafka_list_free(o->last);
	free(o);
}
