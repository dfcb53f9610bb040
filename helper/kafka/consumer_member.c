/*
 * A consumer that is a member of a group which the brokers manage: librdkafka speaks
 * the protocol, on its own thread; here its rebalances come in and are answered.
 *
 *	NONE -subscribe-> JOINING -assigned-> HOLDING -revoked-> GIVING -give_up-> JOINING
 *
 * An assignment is answered at once with no partition at all, so that nobody waits
 * for us. Partitions are read as their offsets become known: each change of what is
 * read is one rd_kafka_assign() with all of it, because the eager protocol has no
 * other way, and every partition continues where it was.
 *
 * The common queue is polled all the time: whoever does not is thrown out of the group.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "helper/kafka/consumer_private.h"

#define POLL_MS 250
#define APPLY_MS 100			/* at least between two changes of what is read */
#define SESSION_MS 15000		/* when librdkafka does not tell */
#define LEFT_TRIES 20			/* of 50 ms */
#define LEAVING_TRIES 140

struct membership {
	const struct consumer_member_events *events;
	void *arg;
	LIST_HEAD(, consumer_part) parts;
	bool holding;
	bool changed;			/* .parts since they were last told to Kafka */
	int64_t applied_ms;
	struct loop_timer poll, apply;
	rd_kafka_queue_t *farewell;	/* NULL unless leaving */
};

/* ---- what is read ---- */

/*
 * Before each rd_kafka_assign(). librdkafka stops what it reads by messages to its own main
 * thread, and what is taken away once more before their answers are back there is stopped
 * twice: an assertion of rd_kafka_assignment_partition_stopped() then ends the process (2.0.2
 * and 2.8.0). Each of these questions is behind what was there before it, so behind the second
 * all is answered.
 */
static void
settle(const struct consumer *c)
{
	for (int i = 0; i < 2; i++) {
		rd_kafka_topic_partition_list_t *all;

		if (rd_kafka_assignment(c->rk, &all) == RD_KAFKA_RESP_ERR_NO_ERROR)
			rd_kafka_topic_partition_list_destroy(all);
	}
}

static void
apply(void *arg)
{
	struct consumer *c = arg;
	struct membership *m = c->member;
	rd_kafka_topic_partition_list_t *list;
	struct consumer_part *p;
	rd_kafka_resp_err_t err;

	/* To assign would hide that the assignment is lost. */
	if (!m->holding || !m->changed || m->farewell || consumer_lost(c))
		return;
	list = rd_kafka_topic_partition_list_new(8);
	LIST_FOREACH(p, &m->parts, link)
		rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset =
		    p->read_offset;
	settle(c);
	err = rd_kafka_assign(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	m->applied_ms = loop_now_ms(c->loop);
	m->changed = err != RD_KAFKA_RESP_ERR_NO_ERROR;
	LIST_FOREACH(p, &m->parts, link)
		p->reading |= !m->changed;
	if (err) {
		log_error("consumer assign: %s", rd_kafka_err2str(err));
		loop_timer_set(c->loop, &m->apply, APPLY_MS, 0, apply, c);
	}
}

/* Many change at once: they are told to Kafka together. */
static void
change(struct consumer *c)
{
	struct membership *m = c->member;
	int64_t since = loop_now_ms(c->loop) - m->applied_ms;

	if (m->changed || !m->holding)
		return;
	m->changed = true;
	loop_timer_set(c->loop, &m->apply, since < APPLY_MS ? APPLY_MS - since : 0, 0, apply, c);
}

void
member_add(struct consumer_part *p)
{
	LIST_INSERT_HEAD(&p->c->member->parts, p, link);
	change(p->c);
}

void
member_remove(struct consumer_part *p)
{
	LIST_REMOVE(p, link);
	p->reading = false;
	change(p->c);
}

/* All of them are read from where they are. */
void
member_rewind(struct consumer_part *p)
{
	change(p->c);
}

/* ---- rebalances ---- */

static void
answer(struct consumer *c, bool revoked)
{
	rd_kafka_topic_partition_list_t *none = revoked ? NULL :
	    rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t err = rd_kafka_assign(c->rk, none);

	if (none)
		rd_kafka_topic_partition_list_destroy(none);
	if (err)
		log_error("consumer assign: %s", rd_kafka_err2str(err));
}

static void
assign_nothing(struct consumer *c, bool revoked)
{
	settle(c);
	answer(c, revoked);
}

static void
assigned(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	struct membership *m = c->member;
	size_t n = list ? (size_t)list->cnt : 0;
	struct consumer_slot *v = calloc(n + 1, sizeof(*v));

	assign_nothing(c, false);
	m->holding = true;
	m->changed = false;
	if (v == NULL) {
		log_error("consumer assigned partitions=%zu: out of memory", n);
		n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(v[i].topic, list->elems[i].topic, strlen(list->elems[i].topic) + 1);
		v[i].partition = list->elems[i].partition;
	}
	m->events->assigned(m->arg, v, n);
	free(v);
}

void
member_rebalance(struct consumer *c, rd_kafka_event_t *ev)
{
	struct membership *m = c->member;

	if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		/* Who leaves waits for no answer to it, and may be gone before it is there:
		 * then nobody answers us (rd_kafka_cgrp_terminated() drops questions). */
		if (m->farewell == NULL)
			assigned(c, rd_kafka_event_topic_partition_list(ev));
		return;
	}
	m->holding = false;
	m->events->revoked(m->arg, consumer_lost(c));
}

void
consumer_give_up(struct consumer *c)
{
	assign_nothing(c, true);
}

bool
consumer_lost(const struct consumer *c)
{
	return rd_kafka_assignment_lost(c->rk);
}

void
member_error(struct consumer *c, const char *text)
{
	c->member->events->error(c->member->arg, text);
}

/* ---- in and out ---- */

static void
poll_again(void *arg)
{
	struct consumer *c = arg;
	struct membership *m = c->member;

	consumer_serve(c);
	if (m->farewell && rd_kafka_consumer_closed(c->rk)) {
		loop_timer_end(&m->poll);
		m->events->left(m->arg);
	}
}

enum kp_err
consumer_join(struct consumer *c, const struct consumer_member_events *events, void *arg)
{
	struct membership *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return KP_ENOMEM;
	m->events = events;
	m->arg = arg;
	c->member = m;
	loop_timer_set(c->loop, &m->poll, POLL_MS, POLL_MS, poll_again, c);
	return KP_OK;
}

enum kp_err
consumer_subscribe(struct consumer *c, const char *const *topics, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n + 1);
	rd_kafka_resp_err_t err;

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
	err = n > 0 ? rd_kafka_subscribe(c->rk, list) : rd_kafka_unsubscribe(c->rk);
	rd_kafka_topic_partition_list_destroy(list);
	if (err)
		log_error("consumer subscribe topics=%zu: %s", n, rd_kafka_err2str(err));
	return err ? kafka_err(err) : KP_OK;
}

int64_t
consumer_session_ms(const struct consumer *c)
{
	char text[32];
	size_t n = sizeof(text);
	long ms = 0;

	if (rd_kafka_conf_get(rd_kafka_conf(c->rk), "session.timeout.ms", text, &n) ==
	    RD_KAFKA_CONF_OK)
		ms = strtol(text, NULL, 10);
	return ms > 0 ? ms : SESSION_MS;
}

/* What comes meanwhile has to be served from a queue of its own. */
void
consumer_leave(struct consumer *c)
{
	struct membership *m = c->member;
	rd_kafka_error_t *e;

	c->leaving = true;
	m->farewell = rd_kafka_queue_new(c->rk);
	kafka_wake_add(c->wake, m->farewell);
	e = rd_kafka_consumer_close_queue(c->rk, m->farewell);
	if (e) {
		log_warn("consumer close: %s", rd_kafka_error_string(e));
		rd_kafka_error_destroy(e);
	}
	loop_timer_set(c->loop, &m->poll, 0, 10, poll_again, c);
}

void
member_free(struct consumer *c)
{
	struct membership *m = c->member;

	if (m == NULL)
		return;
	loop_timer_end(&m->poll);
	loop_timer_end(&m->apply);
	if (m->farewell) {
		rd_kafka_queue_io_event_enable(m->farewell, -1, NULL, 0);
		rd_kafka_queue_destroy(m->farewell);
	}
	free(m);
	c->member = NULL;
}

static bool
await_closed(const struct consumer *c, int tries)
{
	static const struct timespec a_moment = { 0, 50 * 1000000L };

	while (!rd_kafka_consumer_closed(c->rk) && tries-- > 0)
		nanosleep(&a_moment, NULL);
	return rd_kafka_consumer_closed(c->rk);
}

/*
 * A member may be given up before it has left: while a broker is asked to let it go, or while
 * it owes an answer to a rebalance, of which nobody hears any more. The end of the handle would
 * wait for either for ever, its main thread at full speed: rd_kafka_cgrp_handle_LeaveGroup()
 * keeps WAIT_LEAVE when the request ends with the handle, rd_kafka_cgrp_terminate0() does not
 * begin anew, and rd_kafka_timers_run() runs no timers then, so that the first is always due
 * (2.0.2 and 2.8.0). A broker that does not answer is waited for for 5 s by librdkafka itself.
 */
bool
member_let_go(struct consumer *c)
{
	if (await_closed(c, LEFT_TRIES))
		return true;
	/* Once: to who leaves each answer is the same, and there may be nobody for another. */
	answer(c, true);
	return await_closed(c, LEAVING_TRIES);
}
