/*
 * The partitions of a consumer. They have one queue, so that none has to be looked at that
 * has nothing, and what comes out of it is told apart by topic and partition. What is left in
 * there of a partition that was removed, or assigned anew, is dropped by librdkafka: it is of
 * an older version.
 *
 * A partition that was removed stays in the table, as it stays in librdkafka.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "helper/kafka/consumer_private.h"

#define TABLE_MIN 64
#define SWEEP_MS 20
#define TELL_AGAIN_MS 100

/* ---- the table ---- */

static size_t
place(const struct consumer *c, const char *topic, int32_t partition)
{
	uint32_t h = (kp_slice_hash(kp_slice_str(topic)) ^ (uint32_t)partition) * 16777619u;

	return (h ^ h >> 15) & (c->table_size - 1);
}

static void
put(struct consumer *c, struct consumer_part *p)
{
	struct consumer_part **at = &c->table[place(c, p->topic, p->partition)];

	p->next_same = *at;
	*at = p;
}

static bool
grow(struct consumer *c)
{
	size_t old_size = c->table_size;
	struct consumer_part **old = c->table;
	struct consumer_part **table = calloc(old_size ? 2 * old_size : TABLE_MIN, sizeof(*table));

	if (table == NULL)
		return false;
	c->table = table;
	c->table_size = old_size ? 2 * old_size : TABLE_MIN;
	for (size_t i = 0; i < old_size; i++)
		for (struct consumer_part *p = old[i], *next; p; p = next) {
			next = p->next_same;
			put(c, p);
		}
	free(old);
	return true;
}

static bool
is(const struct consumer_part *p, const char *topic, int32_t partition)
{
	return p->partition == partition && strcmp(p->topic, topic) == 0;
}

static struct consumer_part *
find(struct consumer *c, const char *topic, int32_t partition)
{
	struct consumer_part *p = c->n_parts ? c->table[place(c, topic, partition)] : NULL;

	while (p && !is(p, topic, partition))
		p = p->next_same;
	return p;
}

/* Most often that of the message before. NULL: it is not ours now. What comes to a member
 * before it reads is from before it was taken over. */
static struct consumer_part *
whose(struct consumer *c, const char *topic, int32_t partition)
{
	struct consumer_part *p;

	if (c->latest == NULL || !is(c->latest, topic, partition))
		c->latest = find(c, topic, partition);
	p = c->latest;
	return p && p->there && !p->changed && (c->member == NULL || p->reading) ? p : NULL;
}

/* ---- what comes in ---- */

void
part_receive(struct consumer *c, const rd_kafka_message_t *rm)
{
	struct consumer_part *p = whose(c, rd_kafka_topic_name(rm->rkt), rm->partition);

	if (p == NULL || p->resting || rm->offset < p->read_offset)
		return;
	if (unfit_by_size(p, rm))
		return;
	unfit_forget(p);
	ahead_keep(p, rm);
	c->events->arrived(p->owner);
}

void
part_error(struct consumer *c, const rd_kafka_topic_partition_t *at, const char *text)
{
	struct consumer_part *p = whose(c, at->topic, at->partition);

	if (p == NULL)
		return;
	switch (at->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (!p->resting && at->offset >= p->read_offset) {
			unfit_forget(p);
			p->read_offset = at->offset;
		}
		break;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		unfit_forget(p);
		p->out_of_range = true;
		c->events->arrived(p->owner);
		break;
	default:
		if (!unfit_by_error(p, at, text))
			log_warn("consumer topic=%s partition=%d: %s", p->topic, p->partition,
			    text);
		break;
	}
}

/* ---- in and out ---- */

/* True when it was done. */
static bool
tell_all(struct consumer *c, bool assign)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
	rd_kafka_error_t *e = NULL;

	for (struct consumer_part *p = c->changed; p; p = p->next_changed)
		if (assign ? p->there : p->assigned)
			rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset =
			    assign ? p->read_offset : RD_KAFKA_OFFSET_INVALID;
	if (list->cnt > 0)
		e = assign ? rd_kafka_incremental_assign(c->rk, list) :
		    rd_kafka_incremental_unassign(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (e) {
		log_error("consumer %s: %s", assign ? "assign" : "unassign",
		    rd_kafka_error_string(e));
		rd_kafka_error_destroy(e);
		return false;
	}
	for (struct consumer_part *p = c->changed; p; p = p->next_changed)
		p->assigned = assign && p->there;
	return true;
}

static void
tell(void *arg)
{
	struct consumer *c = arg;

	if (!tell_all(c, false) || !tell_all(c, true)) {
		loop_timer_set(c->loop, &c->tell, TELL_AGAIN_MS, 0, tell, c);
		return;
	}
	while (c->changed) {
		struct consumer_part *p = c->changed;

		c->changed = p->next_changed;
		p->changed = false;
	}
}

/* All that change in a turn of the loop are told together: librdkafka looks at all that are
 * assigned each time. */
static void
change(struct consumer_part *p)
{
	struct consumer *c = p->c;

	if (p->changed)
		return;
	p->changed = true;
	p->next_changed = c->changed;
	c->changed = p;
	loop_timer_set(c->loop, &c->tell, 0, 0, tell, c);
}

static struct consumer_part *
part_new(struct consumer *c, const char *topic, int32_t partition)
{
	struct consumer_part *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->c = c;
	p->partition = partition;
	memcpy(p->topic, topic, strlen(topic) + 1);
	budget_link_init(&p->held);
	budget_link_init(&p->hungry);
	p->q = rd_kafka_queue_get_partition(c->rk, topic, partition);
	if (p->q == NULL || (c->n_parts >= c->table_size && !grow(c))) {
		if (p->q)
			rd_kafka_queue_destroy(p->q);
		free(p);
		return NULL;
	}
	put(c, p);
	c->n_parts++;
	return p;
}

struct consumer_part *
consumer_add(struct consumer *c, const char *topic, int32_t partition, int64_t offset,
    void *owner)
{
	struct consumer_part *p = find(c, topic, partition);

	if (p == NULL)
		p = part_new(c, topic, partition);
	if (p == NULL)
		return NULL;
	p->owner = owner;
	p->next_offset = p->read_offset = offset;
	p->there = true;
	if (c->member)
		member_add(p);
	else
		change(p);
	return p;
}

void
consumer_remove(struct consumer_part *p)
{
	if (p == NULL)
		return;
	ahead_clear(p);
	unfit_forget(p);
	ahead_resume(p);
	p->asleep = p->out_of_range = p->there = false;
	if (p->c->member)
		member_remove(p);
	else
		change(p);
}

/*
 * What is left in the queue of a partition itself keeps the partition alive, in librdkafka
 * 2.0.2, also when Kafka did not know the topic for a moment; and then the handle never ends.
 * Fetches that were on their way when it was given up are there, and come a little later.
 * Until it was given up its queue leads to the main one, where other things than messages are.
 */
void
part_sweep_all(struct consumer *c)
{
	static const struct timespec a_moment = { 0, SWEEP_MS * 1000000L };
	rd_kafka_event_t *ev;

	if (c->n_parts)
		nanosleep(&a_moment, NULL);
	for (size_t i = 0; i < c->table_size; i++)
		for (struct consumer_part *p = c->table[i]; p; p = p->next_same) {
			while ((ev = rd_kafka_queue_poll(p->q, 0)) != NULL)
				rd_kafka_event_destroy(ev);
			rd_kafka_queue_destroy(p->q);
		}
}

void
part_free_all(struct consumer *c)
{
	for (size_t i = 0; i < c->table_size; i++)
		while (c->table[i]) {
			struct consumer_part *p = c->table[i];

			c->table[i] = p->next_same;
			free(p);
		}
	free(c->table);
}

void
consumer_rewind(struct consumer_part *p)
{
	p->out_of_range = false;
	unfit_forget(p);
	ahead_resume(p);
	if (p->c->member)
		member_rewind(p);
	else
		change(p);
}

/* ---- what goes out ---- */

enum consumer_next
consumer_next(struct consumer_part *p, struct consumer_message **message)
{
	*message = ahead_next(p);
	if (*message) {
		p->next_offset = (*message)->offset + 1;
		return CONSUMER_MESSAGE;
	}
	if (p->out_of_range) {
		p->out_of_range = false;
		return CONSUMER_OUT_OF_RANGE;
	}
	return CONSUMER_EMPTY;
}

bool
consumer_has(const struct consumer_part *p)
{
	return p->first || p->out_of_range;
}

int64_t
consumer_position(const struct consumer_part *p)
{
	return p->first ? p->next_offset : p->read_offset;
}

int64_t
consumer_progress(const struct consumer_part *p)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t at = consumer_position(p), mark = -1;

	rd_kafka_topic_partition_list_add(list, p->topic, p->partition);
	if (rd_kafka_position(p->c->rk, list) == RD_KAFKA_RESP_ERR_NO_ERROR)
		mark = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	return mark > at ? mark : at;
}
