/*
 * A consumer handle with explicitly assigned partitions. Each partition's queue
 * is split off before it is assigned, so that nothing of it ever reaches the
 * common queue; all queues wake the loop through one descriptor. What only a
 * member of a broker-managed group does is in consumer_member.c.
 */
#include "helper/consume/consumer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "helper/consume/consumer_private.h"

#define PROBE_TIMEOUT_MS 1000
#define SWEEP_MS 500
#define SWEEP_LAST_MS 20

struct consumer_commit {
	struct consumer_commit *prev, *next;
	struct consumer *c;
	rd_kafka_topic_partition_list_t *list;
	const rd_kafka_topic_partition_list_t *result;	/* inside done(): each has its error */
	consumer_committed_fn *done;
	void *arg;
};

static enum kp_err
commit_err(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
	case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
	case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
		return KP_ECONFLICT;
	case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
		return KP_ETOOBIG;
	default:
		return kafka_err(err);
	}
}

static void
commit_free(struct consumer_commit *x)
{
	if (x->prev)
		x->prev->next = x->next;
	else
		x->c->commits = x->next;
	if (x->next)
		x->next->prev = x->prev;
	rd_kafka_topic_partition_list_destroy(x->list);
	free(x);
}

static void
committed(struct consumer_commit *x, rd_kafka_resp_err_t err,
    const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; list && i < list->cnt; i++)
		if (list->elems[i].err) {
			x->result = list;
			if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
				err = list->elems[i].err;
		}
	x->done(x->arg, commit_err(err), x);
	commit_free(x);
}

enum kp_err
consumer_commit_err(const struct consumer_commit *x, enum kp_err err, const char *topic,
    int32_t partition)
{
	const rd_kafka_topic_partition_t *p = err && x->result ?
	    rd_kafka_topic_partition_list_find(x->result, topic, partition) : NULL;

	return p ? commit_err(p->err) : err;
}

void
consumer_serve(void *arg)
{
	struct consumer *c = arg;
	rd_kafka_event_t *ev;

	while ((ev = rd_kafka_queue_poll(c->main, 0)) != NULL) {
		switch (rd_kafka_event_type(ev)) {
		case RD_KAFKA_EVENT_ERROR:
			log_debug("consumer kafka: %s", rd_kafka_event_error_string(ev));
			if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
				c->events->down(c->arg);
			else if (c->member)
				member_error(c, rd_kafka_event_error_string(ev));
			break;
		case RD_KAFKA_EVENT_REBALANCE:
			member_rebalance(c, ev);
			break;
		case RD_KAFKA_EVENT_OFFSET_COMMIT:
			committed(rd_kafka_event_opaque(ev), rd_kafka_event_error(ev),
			    rd_kafka_event_topic_partition_list(ev));
			break;
		default:
			break;
		}
		rd_kafka_event_destroy(ev);
	}
	c->events->ready(c->arg);
}

/* The list of properties ends at the first without a name. */
static rd_kafka_t *
make_handle(struct kafka *k, const char *group, bool member)
{
	const struct kafka_property props[] = {
		{ "group.id", group },
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		/* We know the nearest valid offset better: see group.c. */
		{ "auto.offset.reset", "error" },
		{ "enable.partition.eof", "true" },
		{ "isolation.level", "read_uncommitted" },
		{ "queued.min.messages", "1000" },
		{ "queued.max.messages.kbytes", "1024" },
		{ "fetch.wait.max.ms", "250" },
		/* An answer that a slow line can carry before it counts as lost. */
		{ "fetch.max.bytes", "4194304" },
		{ "fetch.error.backoff.ms", "50" },
		{ "check.crcs", "true" },
		{ "allow.auto.create.topics", "false" },
		/* A leader that stands still breaks no connection: who leads now must be asked. It
		 * is also how soon a member sees new partitions. */
		{ "topic.metadata.refresh.interval.ms", "5000" },
		/* From here on for members only. */
		{ member ? "!partition.assignment.strategy" : NULL, "range" },
		{ "session.timeout.ms", "15000" },
		/* How long a rebalance waits for one that hangs. We poll all the time. */
		{ "max.poll.interval.ms", "60000" },
		/* A broker that has just started may leave a question unanswered. */
		{ "socket.timeout.ms", "10000" },
		/* How soon the others hear of one that comes or goes. */
		{ "heartbeat.interval.ms", "400" },
		{ NULL, NULL },
	};

	return kafka_new(k, RD_KAFKA_CONSUMER, props, RD_KAFKA_EVENT_ERROR |
	    RD_KAFKA_EVENT_OFFSET_COMMIT | (member ? RD_KAFKA_EVENT_REBALANCE : 0));
}

struct consumer *
consumer_new(struct loop *l, struct kafka *k, const char *group, bool member,
    const struct consumer_events *events, void *arg)
{
	struct consumer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->events = events;
	c->arg = arg;
	c->rk = make_handle(k, group, member);
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
	return c;
}

/*
 * What is left in the queue of a partition keeps the partition alive, in librdkafka
 * 2.0.2, also when Kafka did not know the topic for a moment; and then the handle
 * never ends. Fetches that were on their way come a little later.
 */
static void
sweep(void *arg)
{
	struct consumer *c = arg;
	rd_kafka_message_t *rm;

	while (c->removed) {
		struct consumer_part *p = c->removed;

		c->removed = p->next;
		while ((rm = rd_kafka_consume_queue(p->q, 0)) != NULL)
			rd_kafka_message_destroy(rm);
		rd_kafka_queue_destroy(p->q);
		free(p);
	}
}

/* rd_kafka_destroy() waits for the handle's threads. */
static void
end_work(struct loop_job *job)
{
	static const struct timespec a_moment = { 0, SWEEP_LAST_MS * 1000000L };
	struct consumer *c = (struct consumer *)((char *)job - offsetof(struct consumer, end));

	if (c->removed)
		nanosleep(&a_moment, NULL);
	sweep(c);
	rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void
end_done(struct loop_job *job)
{
	free((char *)job - offsetof(struct consumer, end));
}

static void
end(struct consumer *c)
{
	c->end.work = end_work;
	c->end.done = end_done;
	if (!loop_work(c->loop, &c->end)) {
		end_work(&c->end);
		end_done(&c->end);
	}
}

/* A worker that still asks through the handle comes back first. */
void
consumer_free(struct consumer *c)
{
	while (c->commits)
		commit_free(c->commits);
	member_free(c);
	loop_timer_end(&c->sweep);
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
	struct consumer *c = (struct consumer *)((char *)job - offsetof(struct consumer, probe));
	const struct rd_kafka_metadata *md;
	rd_kafka_resp_err_t err = rd_kafka_metadata(c->rk, 0, NULL, &md, PROBE_TIMEOUT_MS);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(md);
	c->probe_err = kafka_err(err);
}

static void
probe_done(struct loop_job *job)
{
	struct consumer *c = (struct consumer *)((char *)job - offsetof(struct consumer, probe));

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

/* ---- partitions ---- */

static enum kp_err
assign(struct consumer_part *p, int64_t offset, bool add)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_error_t *e;
	enum kp_err err = KP_OK;

	rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = offset;
	e = add ? rd_kafka_incremental_assign(p->c->rk, list) :
	    rd_kafka_incremental_unassign(p->c->rk, list);
	if (e) {
		log_error("consumer %s topic=%s partition=%d: %s", add ? "assign" : "unassign",
		    p->topic, p->partition, rd_kafka_error_string(e));
		rd_kafka_error_destroy(e);
		err = KP_EKAFKA;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

struct consumer_part *
consumer_add(struct consumer *c, const char *topic, int32_t partition, int64_t offset)
{
	struct consumer_part *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	/* It may be one that was removed: what is in its queue now is not to be read. */
	sweep(c);
	p->c = c;
	p->partition = partition;
	p->next_offset = offset;
	memcpy(p->topic, topic, strlen(topic) + 1);
	p->q = rd_kafka_queue_get_partition(c->rk, topic, partition);
	if (p->q) {
		rd_kafka_queue_forward(p->q, NULL);
		kafka_wake_add(c->wake, p->q);
	}
	if (p->q == NULL || (c->member == NULL && assign(p, offset, true) != KP_OK)) {
		if (p->q)
			rd_kafka_queue_destroy(p->q);
		free(p);
		return NULL;
	}
	if (c->member)
		member_add(p);
	return p;
}

void
consumer_remove(struct consumer_part *p)
{
	if (p == NULL)
		return;
	if (p->c->member)
		member_remove(p);
	else
		assign(p, RD_KAFKA_OFFSET_INVALID, false);
	rd_kafka_queue_io_event_enable(p->q, -1, NULL, 0);
	p->next = p->c->removed;
	p->c->removed = p;
	loop_timer_set(p->c->loop, &p->c->sweep, SWEEP_MS, 0, sweep, p->c);
}

enum consumer_next
consumer_next(struct consumer_part *p, struct consumer_message **message)
{
	rd_kafka_message_t *rm;

	/* What may still be in the queue is from before it was taken over. */
	if (p->c->member && !p->reading)
		return CONSUMER_EMPTY;
	while ((rm = rd_kafka_consume_queue(p->q, 0)) != NULL) {
		if (rm->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			p->next_offset = rm->offset + 1;
			*message = (struct consumer_message *)rm;
			return CONSUMER_MESSAGE;
		}
		if (rm->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
			if (rm->offset > p->next_offset)
				p->next_offset = rm->offset;
			rd_kafka_message_destroy(rm);
			continue;
		}
		if (rm->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
		    rm->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
			rd_kafka_message_destroy(rm);
			return CONSUMER_OUT_OF_RANGE;
		}
		log_warn("consumer topic=%s partition=%d: %s", p->topic, p->partition,
		    rd_kafka_message_errstr(rm));
		rd_kafka_message_destroy(rm);
	}
	return CONSUMER_EMPTY;
}

bool
consumer_rewind(struct consumer_part *p)
{
	if (p->c->member) {
		member_rewind(p);
		return true;
	}
	assign(p, RD_KAFKA_OFFSET_INVALID, false);
	return assign(p, p->next_offset, true) == KP_OK;
}

int64_t
consumer_position(const struct consumer_part *p)
{
	return p->next_offset;
}

struct msg_message
consumer_message_view(const struct consumer_message *message)
{
	const rd_kafka_message_t *rm = (const rd_kafka_message_t *)message;

	return (struct msg_message){
		.partition = rm->partition, .offset = rm->offset,
		.key = { rm->key, rm->key_len },
		.value = { rm->payload, rm->len },
	};
}

void
consumer_message_free(struct consumer_message *message)
{
	if (message)
		rd_kafka_message_destroy((rd_kafka_message_t *)message);
}

/* ---- commits ---- */

struct consumer_commit *
consumer_commit_begin(struct consumer *c, consumer_committed_fn *done, void *arg)
{
	struct consumer_commit *x = calloc(1, sizeof(*x));

	if (x) {
		x->c = c;
		x->done = done;
		x->arg = arg;
		x->list = rd_kafka_topic_partition_list_new(8);
		x->next = c->commits;
		if (c->commits)
			c->commits->prev = x;
		c->commits = x;
	}
	return x;
}

void
consumer_commit_add(struct consumer_commit *x, const char *topic, int32_t partition,
    int64_t offset, struct kp_slice metadata)
{
	rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(x->list, topic,
	    partition);

	p->offset = offset;
	/* The list's from here on. Without memory it is left out: messages come twice. */
	p->metadata = metadata.n ? kp_slice_dup(metadata) : NULL;
	p->metadata_size = p->metadata ? metadata.n : 0;
}

void
consumer_commit_send(struct consumer_commit *x)
{
	rd_kafka_resp_err_t err = rd_kafka_commit_queue(x->c->rk, x->list, x->c->main, NULL, x);

	if (err)
		committed(x, err, NULL);
}
