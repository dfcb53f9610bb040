/*
 * What is read ahead of a partition, and when it rests. Messages are copied as soon as they
 * come: librdkafka's hold the whole answer of a broker that they came in. A partition that
 * has its share of the budget is paused in librdkafka, which forgets what it has of it; when
 * most of its share was handed on it is read on from there.
 *
 *	reading -share is full-> resting -a quarter is left-> hungry -there is room-> reading
 *	   any of them -memory is short, nobody asks-> asleep -somebody wants it-> hungry
 *
 * To pause does not stop what is on its way: librdkafka drops it when it comes. To resume
 * does not wake librdkafka's thread, but to seek does, and it says from where.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "helper/kafka/consumer_private.h"

#define IDLE_MS 1000		/* who was not asked for so long may lose what it has */
#define WAKES_MAX 64		/* in one go */
#define MALLOC_BYTES 16		/* what an allocation costs beside its bytes */

#define PART_OF(link, field) \
	((struct consumer_part *)((char *)(link) - offsetof(struct consumer_part, field)))

/* ---- messages ---- */

static struct consumer_message *
message_new(struct budget *b, const rd_kafka_message_t *rm)
{
	size_t size = sizeof(struct consumer_message) + rm->key_len + rm->len;
	struct consumer_message *m = malloc(size);

	if (m == NULL)
		return NULL;
	*m = (struct consumer_message){
		.budget = b, .size = size + MALLOC_BYTES,
		.has_key = rm->key != NULL, .has_value = rm->payload != NULL,
		.partition = rm->partition, .offset = rm->offset,
		.key_bytes = rm->key_len, .value_bytes = rm->len,
	};
	if (rm->key_len)
		memcpy(m->bytes, rm->key, rm->key_len);
	if (rm->len)
		memcpy(m->bytes + rm->key_len, rm->payload, rm->len);
	budget_take(b, m->size);
	return m;
}

struct msg_message
consumer_message_view(const struct consumer_message *m)
{
	return (struct msg_message){
		.partition = m->partition, .offset = m->offset,
		.key = { m->has_key ? m->bytes : NULL, m->key_bytes },
		.value = { m->has_value ? m->bytes + m->key_bytes : NULL, m->value_bytes },
	};
}

void
consumer_message_pend(struct consumer_message *m, bool pending)
{
	if (m->pending == pending)
		return;
	m->pending = pending;
	if (pending)
		m->budget->pending += m->size;
	else
		m->budget->pending -= m->size;
}

/* ---- reading and resting ---- */

static rd_kafka_topic_partition_list_t *
list_of(const struct consumer_part *p)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->read_offset;
	return list;
}

void
ahead_rest(struct consumer_part *p)
{
	rd_kafka_topic_partition_list_t *list;

	if (p->resting)
		return;
	list = list_of(p);
	rd_kafka_pause_partitions(p->c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	p->resting = true;
}

static void
read_on(struct consumer_part *p, bool seek)
{
	rd_kafka_topic_partition_list_t *list;

	if (!p->resting)
		return;
	list = list_of(p);
	rd_kafka_resume_partitions(p->c->rk, list);
	if (seek) {
		rd_kafka_error_t *e = rd_kafka_seek_partitions(p->c->rk, list, 0);

		if (e) {
			log_error("consumer seek topic=%s partition=%d: %s", p->topic,
			    p->partition, rd_kafka_error_string(e));
			rd_kafka_error_destroy(e);
		}
	}
	rd_kafka_topic_partition_list_destroy(list);
	p->resting = false;
}

void
ahead_resume(struct consumer_part *p)
{
	read_on(p, false);
}

void
ahead_read_on(struct consumer_part *p)
{
	read_on(p, true);
}

/* Those that have something, or wait for it, share the budget. */
static bool
has_share(const struct consumer_part *p)
{
	return p->first || !budget_link_alone(&p->hungry);
}

/* `had`: what has_share() was, before something changed. */
static void
count(struct consumer_part *p, bool had)
{
	if (has_share(p) && !had)
		p->c->budget->readers++;
	else if (had && !has_share(p))
		p->c->budget->readers--;
}

static void
feed(struct budget *b)
{
	for (int i = 0; i < WAKES_MAX && !budget_link_alone(&b->hungry) && budget_has_room(b);
	    i++) {
		struct consumer_part *p = PART_OF(b->hungry.next, hungry);
		bool had = has_share(p);

		budget_link_leave(&p->hungry);
		count(p, had);
		read_on(p, true);
	}
}

static void
become_hungry(struct consumer_part *p)
{
	bool had = has_share(p);

	budget_link_last(&p->c->budget->hungry, &p->hungry);
	count(p, had);
	feed(p->c->budget);
}

void
consumer_message_free(struct consumer_message *m)
{
	struct budget *b;

	if (m == NULL)
		return;
	b = m->budget;
	consumer_message_pend(m, false);
	budget_give(b, m->size);
	free(m);
	feed(b);
}

/* ---- what is read ahead ---- */

void
ahead_keep(struct consumer_part *p, const rd_kafka_message_t *rm)
{
	struct budget *b = p->c->budget;
	bool had = has_share(p);
	struct consumer_message *m;

	if (p->first && !budget_may_keep_more(b)) {
		ahead_rest(p);
		return;
	}
	m = budget_is_full(b) ? NULL : message_new(b, rm);
	if (m == NULL) {
		ahead_rest(p);
		become_hungry(p);
		return;
	}
	if (p->last)
		p->last->next = m;
	else
		p->first = m;
	p->last = m;
	p->bytes += m->size;
	p->read_offset = m->offset + 1;
	if (budget_link_alone(&p->held)) {
		p->asked_ms = loop_now_ms(p->c->loop);
		budget_link_last(&b->held, &p->held);
	}
	count(p, had);
	if (p->bytes >= budget_share(b))
		ahead_rest(p);
}

static struct consumer_message *
pop(struct consumer_part *p)
{
	struct consumer_message *m = p->first;

	p->first = m->next;
	if (p->first == NULL) {
		p->last = NULL;
		budget_link_leave(&p->held);
	}
	p->bytes -= m->size;
	m->next = NULL;
	return m;
}

struct consumer_message *
ahead_next(struct consumer_part *p)
{
	struct budget *b = p->c->budget;
	bool had = has_share(p);
	struct consumer_message *m;

	if (p->first == NULL)
		return NULL;
	m = pop(p);
	p->asked_ms = loop_now_ms(p->c->loop);
	if (p->first)
		budget_link_last(&b->held, &p->held);
	count(p, had);
	if (p->resting && p->unfit == NULL && budget_link_alone(&p->hungry) &&
	    p->bytes <= budget_share(b) / 4)
		become_hungry(p);
	return m;
}

void
ahead_clear(struct consumer_part *p)
{
	bool had = has_share(p);

	budget_link_leave(&p->hungry);
	while (p->first) {
		struct consumer_message *m = pop(p);

		budget_give(p->c->budget, m->size);
		free(m);
	}
	count(p, had);
}

/* Keeps the first ones, so many bytes of them; 0: none. The others are read again. */
static void
give_back(struct consumer_part *p, size_t keep)
{
	struct consumer_message *m = p->first, *last = NULL;
	size_t bytes = 0;

	while (m && keep > 0 && (last == NULL || bytes + m->size <= keep)) {
		bytes += m->size;
		last = m;
		m = m->next;
	}
	if (m == NULL)
		return;
	ahead_rest(p);
	unfit_forget(p);
	p->read_offset = m->offset;
	if (last == NULL) {
		ahead_clear(p);
		return;
	}
	last->next = NULL;
	p->last = last;
	p->bytes = bytes;
	while (m) {
		struct consumer_message *next = m->next;

		budget_give(p->c->budget, m->size);
		free(m);
		m = next;
	}
}

/* ---- when memory is short ---- */

void
consumer_want(struct consumer_part *p)
{
	if (!p->asleep)
		return;
	p->asleep = false;
	become_hungry(p);
}

bool
consumer_waits_for_room(const struct consumer_part *p)
{
	return p->first == NULL && (p->asleep || !budget_link_alone(&p->hungry));
}

void
consumer_squeeze(struct budget *b, int64_t now_ms)
{
	struct budget_link *l = b->held.next, *next;

	if (budget_link_alone(&b->hungry))
		return;
	for (; l != &b->held && !budget_has_room(b); l = next) {
		struct consumer_part *p = PART_OF(l, held);

		next = l->next;
		if (now_ms - p->asked_ms < IDLE_MS) {
			give_back(p, budget_share(b));
			continue;
		}
		give_back(p, 0);
		p->asleep = true;
		p->c->events->slept(p->owner);
	}
	feed(b);
}
