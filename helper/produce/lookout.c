/* Asks for a list of all topics while there is trouble, and lets it be judged by it. */
#include "helper/produce/lookout.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/msg.h"
#include "helper/kafka/kafka_list.h"

#define LOOK_MS (PRODUCER_STUCK_MS / 12)
#define ASK_TIMEOUT_MS 4000
#define LOST_LOOK_MS (KAFKA_LOST_MS / 10)
/* When a new handle did not help either. */
#define LOST_WAIT_MAX_MS (10 * 60 * 1000)

struct lookout {
	struct loop *loop;
	struct kafka *kafka;
	struct kafka_reach *reach;
	struct sender *sender;
	struct producer *sync;
	struct loop_timer timer, lost;
	int64_t lost_ms;		/* when `sync` was last renewed because of that */
	int64_t lost_wait_ms;		/* until the next time */
	unsigned peers;			/* which generation of them the producers know */
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
	producer_renew(o->sync, false);	/* who waits there has a deadline */
}

static void
ask(struct loop_job *job)
{
	struct lookout *o = loop_owner(job, struct lookout, job);

	o->list = kafka_list_ask(o->kafka, o->last, o->turn, ASK_TIMEOUT_MS);
}

static void
asked(struct loop_job *job)
{
	struct lookout *o = loop_owner(job, struct lookout, job);

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

static void
renew_sync(struct lookout *o)
{
	int64_t now = loop_now_ms(o->loop);

	if (now - o->lost_ms < o->lost_wait_ms)
		return;
	o->lost_wait_ms = now - o->lost_ms > 4 * o->lost_wait_ms ? KAFKA_LOST_MS :
	    o->lost_wait_ms < LOST_WAIT_MAX_MS ? 2 * o->lost_wait_ms : o->lost_wait_ms;
	o->lost_ms = now;
	log_warn("sync nothing reaches kafka, and others do: it is tried through a new handle");
	producer_renew(o->sync, true);
}

/* Their handles know a peer that is no broker, and may ask it for good. */
static void
forget_peers(void *arg)
{
	struct lookout *o = arg;
	unsigned peers = kafka_peers_generation(kafka_peers(o->kafka));

	if (o->peers == peers || o->stopped)
		return;
	if (sender_renew(o->sender, "the brokers to be asked have changed") &&
	    producer_renew(o->sync, true))
		o->peers = peers;
}

static void
look_for_lost(void *arg)
{
	struct lookout *o = arg;

	forget_peers(o);
	if (kafka_reach_lost(o->reach, producer_mute_ms(o->sync)))
		renew_sync(o);
	if (kafka_reach_lost(o->reach, sender_mute_ms(o->sender)))
		sender_renew(o->sender, "nothing reaches kafka, and others do");
}

struct lookout *
lookout_new(struct loop *l, struct kafka *k, struct kafka_reach *reach, struct sender *sender,
    struct producer *sync)
{
	struct lookout *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	*o = (struct lookout){ .loop = l, .kafka = k, .reach = reach, .sender = sender,
	    .sync = sync };
	loop_timer_set(l, &o->timer, LOOK_MS, LOOK_MS, look, o);
	loop_timer_set(l, &o->lost, LOST_LOOK_MS, LOST_LOOK_MS, look_for_lost, o);
	kafka_reach_on_change(reach, forget_peers, o);
	return o;
}

void
lookout_stop(struct lookout *o)
{
	if (o == NULL)
		return;
	o->stopped = true;
	loop_timer_end(&o->timer);
	loop_timer_end(&o->lost);
}

void
lookout_free(struct lookout *o)
{
	if (o == NULL)
		return;
	kafka_list_free(o->last);
	free(o);
}
