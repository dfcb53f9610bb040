/*
 * A consumer handle: its events and its life. Its queues wake the loop through one
 * descriptor. What only a member of a broker-managed group does is in consumer_member.c.
 */
#include "helper/kafka/consumer.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "helper/kafka/consumer_private.h"

#define PROBE_TIMEOUT_MS 1000
/* Brokers that need to be told of their version know no limit for an answer as a whole. */
#define OLD_FETCHES 16
#define QUEUE_MAX 100000

static void
received(struct consumer *c, rd_kafka_event_t *ev)
{
	const rd_kafka_message_t *rm;

	while ((rm = rd_kafka_event_message_next(ev)) != NULL)
		part_receive(c, rm);
}

/* librdkafka says the same of a broker again after half a minute. */
#define REFUSED_MS 35000

static void
see_refusal(struct consumer *c, rd_kafka_resp_err_t err)
{
	if (kafka_err_unreachable(err))
		c->refused_ms = loop_now_ms(c->loop);
}

bool
consumer_is_refused(const struct consumer *c)
{
	return c->refused_ms && loop_now_ms(c->loop) - c->refused_ms < REFUSED_MS;
}

/* With a partition, or with all. */
static void
failed(struct consumer *c, rd_kafka_event_t *ev)
{
	rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(ev);
	const char *text = rd_kafka_event_error_string(ev);

	if (at) {
		part_error(c, at, text);
		rd_kafka_topic_partition_destroy(at);
		return;
	}
	/* Such as an answer that is larger than receive.message.max.bytes. */
	if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__BAD_MSG)
		log_warn("consumer kafka: %s", text);
	else
		log_debug("consumer kafka: %s", text);
	see_refusal(c, rd_kafka_event_error(ev));
	if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		c->events->down(c->arg);
	else if (c->member)
		member_error(c, text);
}

/* What a broker is asked next it answers only then. It may be told not to wait meanwhile, and
 * still have to. Who waits for longer than socket.timeout.ms connects anew, and is told again. */
#define THROTTLE_MORE_MS 1000
#define THROTTLE_MAX_MS 12000

/* Whose queue is polled: librdkafka has no event for what comes by a callback there. */
static struct consumer *polled;

static void
throttled(rd_kafka_t *rk, const char *broker, int32_t id, int ms, void *kafka)
{
	struct consumer *c = polled;
	int64_t until;

	(void)id, (void)kafka;
	if (c == NULL || c->rk != rk || ms <= 0)
		return;
	log_debug("consumer throttled broker=%s ms=%d", broker, ms);
	until = loop_now_ms(c->loop) + THROTTLE_MORE_MS +
	    (ms < THROTTLE_MAX_MS ? ms : THROTTLE_MAX_MS);
	if (until > c->throttled_ms)
		c->throttled_ms = until;
}

int64_t
consumer_throttled_ms(const struct consumer *c)
{
	int64_t left = c->throttled_ms - loop_now_ms(c->loop);

	return c->throttled_ms && left > 0 ? left : 0;
}

void
consumer_serve(void *arg)
{
	struct consumer *c = arg;
	rd_kafka_event_t *ev;

	polled = c;
	while ((ev = rd_kafka_queue_poll(c->main, 0)) != NULL) {
		switch (rd_kafka_event_type(ev)) {
		case RD_KAFKA_EVENT_FETCH:
			received(c, ev);
			break;
		case RD_KAFKA_EVENT_ERROR:
			failed(c, ev);
			break;
		case RD_KAFKA_EVENT_REBALANCE:
			member_rebalance(c, ev);
			break;
		case RD_KAFKA_EVENT_OFFSET_COMMIT:
			commit_returned(rd_kafka_event_opaque(ev), rd_kafka_event_error(ev),
			    rd_kafka_event_topic_partition_list(ev));
			break;
		default:
			break;
		}
		rd_kafka_event_destroy(ev);
	}
	polled = NULL;
	c->events->ready(c->arg);
}

struct sizes {
	char fetch[24], part[24], queue_kbytes[24], queue_messages[24];
};

/* What librdkafka takes for a queue. */
static size_t
limit(size_t n)
{
	return n < QUEUE_MAX ? n : QUEUE_MAX;
}

/* The answers to all fetches together are bounded. The queue is emptied all the time; its own
 * bound is for a loop that stands still, and never reached else: after that librdkafka 2.0.2
 * looks again only after a second. */
static void
size(struct sizes *s, const struct budget *b, bool old_brokers)
{
	size_t bytes = budget_fetch_bytes(b);

	snprintf(s->fetch, sizeof(s->fetch), "%zu", bytes);
	snprintf(s->part, sizeof(s->part), "%zu", old_brokers ? bytes / OLD_FETCHES : bytes);
	snprintf(s->queue_kbytes, sizeof(s->queue_kbytes), "%zu", limit(b->max / 4 / 1024));
	snprintf(s->queue_messages, sizeof(s->queue_messages), "%zu", limit(b->max / 1024));
}

/* The list of properties ends at the first without a name. */
static rd_kafka_t *
make_handle(struct kafka *k, const char *group, bool member, const struct sizes *s)
{
	const struct kafka_property props[] = {
		{ "group.id", group },
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		/* We know the nearest valid offset better: see group.c. */
		{ "auto.offset.reset", "error" },
		{ "enable.partition.eof", "true" },
		/* Of all partitions together, as they have one queue. */
		{ "queued.min.messages", s->queue_messages },
		{ "queued.max.messages.kbytes", s->queue_kbytes },
		{ "fetch.wait.max.ms", "250" },
		/* Not larger than an answer as a whole: librdkafka wants that. */
		{ "!message.max.bytes", s->fetch },
		{ "fetch.max.bytes", s->fetch },
		{ "fetch.message.max.bytes", s->part },
		/* More than a message has where requests are at most 100 MiB, as is usual: so it
		 * comes, and can be named. */
		{ "receive.message.max.bytes", "268435456" },
		{ "fetch.error.backoff.ms", "50" },
		/* Before 2.2 it looks again when something happens. */
		{ "?fetch.queue.backoff.ms", "20" },
		{ "check.crcs", "true" },
		{ "allow.auto.create.topics", "false" },
		/* A leader that stands still breaks no connection: who leads now must be asked. It
		 * is also how soon a member sees new partitions. */
		{ "topic.metadata.refresh.interval.ms", "5000" },
		/* Longer than it takes to ask who coordinates: a commit that is to be tried again
		 * while librdkafka (2.0.2) connects to a new coordinator fails by that, and makes
		 * it ask anew, for good. */
		{ "retry.backoff.ms", "1000" },
		/* From here on for members only. */
		{ member ? "!partition.assignment.strategy" : NULL, "range" },
		{ "session.timeout.ms", "15000" },
		/* How long a rebalance waits for one that hangs. We poll all the time. */
		{ "max.poll.interval.ms", "60000" },
		/* How soon the others hear of one that comes or goes. */
		{ "heartbeat.interval.ms", "400" },
		{ NULL, NULL },
	};

	return kafka_new_consumer(k, props, RD_KAFKA_EVENT_ERROR |
	    RD_KAFKA_EVENT_OFFSET_COMMIT | (member ? RD_KAFKA_EVENT_REBALANCE : 0), throttled);
}

struct consumer *
consumer_new(struct loop *l, struct kafka *k, const char *group, bool member,
    struct budget *budget, const struct consumer_events *events, void *arg)
{
	struct consumer *c = calloc(1, sizeof(*c));
	struct sizes sizes;

	if (c == NULL)
		return NULL;
	size(&sizes, budget, kafka_is_old(k));
	c->loop = l;
	c->budget = budget;
	c->events = events;
	c->arg = arg;
	c->rk = make_handle(k, group, member, &sizes);
	c->wake = kafka_wake_new(l, consumer_serve, c);
	if (c->rk == NULL || c->wake == NULL) {
		if (c->rk)
			rd_kafka_destroy(c->rk);
		kafka_wake_free(c->wake);
		free(c);
		return NULL;
	}
	rd_kafka_poll_set_consumer(c->rk);
	c->main = rd_kafka_queue_get_consumer(c->rk);
	kafka_wake_add(c->wake, c->main);
	budget->consumers++;
	return c;
}

/* rd_kafka_destroy() waits for the handle's threads. */
static void
end_work(struct loop_job *job)
{
	struct consumer *c = loop_owner(job, struct consumer, end);

	part_sweep_all(c);
	if (c->leaving && !member_let_go(c))
		log_warn("consumer of a group is not ended: librdkafka did not close it in time");
	else
		rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void
end_done(struct loop_job *job)
{
	struct consumer *c = loop_owner(job, struct consumer, end);

	part_free_all(c);
	free(c);
}

static void
end(struct consumer *c)
{
	c->end.work = end_work;
	c->end.done = end_done;
	loop_work_last(c->loop, &c->end);
}

/* A worker that still asks through the handle comes back first. */
void
consumer_free(struct consumer *c)
{
	commits_free(c);
	member_free(c);
	loop_timer_end(&c->tell);
	c->budget->consumers--;
	rd_kafka_queue_io_event_enable(c->main, -1, NULL, 0);
	rd_kafka_queue_destroy(c->main);
	kafka_wake_free(c->wake);
	c->ending = true;
	if (!c->probing)
		end(c);
}

static void
probe_work(struct loop_job *job)
{
	struct consumer *c = loop_owner(job, struct consumer, probe);
	const struct rd_kafka_metadata *md;
	rd_kafka_resp_err_t err = rd_kafka_metadata(c->rk, 0, NULL, &md, PROBE_TIMEOUT_MS);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(md);
	c->probe_err = kafka_err(err);
}

static void
probe_done(struct loop_job *job)
{
	struct consumer *c = loop_owner(job, struct consumer, probe);

	c->probing = false;
	if (c->ending)
		end(c);
	else
		c->probed(c->arg, c->probe_err);
}

void
consumer_probe(struct consumer *c, void (*probed)(void *arg, enum kp_err err))
{
	if (c->probing)
		return;
	c->probed = probed;
	c->probe.work = probe_work;
	c->probe.done = probe_done;
	c->probing = loop_work(c->loop, &c->probe);
}
