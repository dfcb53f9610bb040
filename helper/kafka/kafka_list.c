/* librdkafka's metadata of all topics, in the order of their names. */
#include "helper/kafka/kafka_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_MAX 300

struct kafka_list {
	int32_t broker;
	const struct rd_kafka_metadata *md;
	const struct rd_kafka_metadata_topic **topics;	/* by name */
};

static int
by_name(const void *a, const void *b)
{
	const struct rd_kafka_metadata_topic *const *x = a, *const *y = b;

	return strcmp((*x)->topic, (*y)->topic);
}

static rd_kafka_t *
connect_to(struct kafka *k, const struct rd_kafka_metadata_broker *b)
{
	char address[ADDRESS_MAX];
	const struct kafka_property props[] = {
		{ "allow.auto.create.topics", "false" },
		{ b ? "!bootstrap.servers" : NULL, address },
		{ NULL, NULL },
	};

	if (b)
		snprintf(address, sizeof(address), strchr(b->host, ':') ? "[%s]:%d" : "%s:%d",
		    b->host, b->port);
	return kafka_new(k, RD_KAFKA_CONSUMER, props, 0);
}

static bool
fill(struct kafka_list *l, rd_kafka_t *rk, int timeout_ms)
{
	if (rd_kafka_metadata(rk, 1, NULL, &l->md, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR)
		l->topics = calloc((size_t)l->md->topic_cnt + 1, sizeof(*l->topics));
	if (l->topics == NULL)
		return false;
	for (int i = 0; i < l->md->topic_cnt; i++)
		l->topics[i] = &l->md->topics[i];
	qsort(l->topics, (size_t)l->md->topic_cnt, sizeof(*l->topics), by_name);
	return true;
}

struct kafka_list *
kafka_list_ask(struct kafka *k, const struct kafka_list *before, unsigned turn, int timeout_ms)
{
	const struct rd_kafka_metadata_broker *b = before && before->md->broker_cnt ?
	    &before->md->brokers[turn % (unsigned)before->md->broker_cnt] : NULL;
	struct kafka_list *l = calloc(1, sizeof(*l));
	rd_kafka_t *rk = l ? connect_to(k, b) : NULL;

	if (l)
		l->broker = b ? b->id : -1;
	if (rk == NULL || !fill(l, rk, timeout_ms)) {
		kafka_list_free(l);
		l = NULL;
	}
	if (rk)
		rd_kafka_destroy(rk);
	return l;
}

void
kafka_list_free(struct kafka_list *l)
{
	if (l == NULL)
		return;
	if (l->md)
		rd_kafka_metadata_destroy(l->md);
	free(l->topics);
	free(l);
}

int32_t
kafka_list_broker(const struct kafka_list *l)
{
	return l->broker;
}

int
kafka_list_brokers(const struct kafka_list *l)
{
	return l->md->broker_cnt;
}

static const struct rd_kafka_metadata_topic *
find(const struct kafka_list *l, const char *name)
{
	struct rd_kafka_metadata_topic key = { .topic = (char *)(uintptr_t)name };
	const struct rd_kafka_metadata_topic *wanted = &key, **found;

	found = bsearch(&wanted, l->topics, (size_t)l->md->topic_cnt, sizeof(*l->topics), by_name);
	return found ? *found : NULL;
}

bool
kafka_list_has(const struct kafka_list *l, const char *topic)
{
	const struct rd_kafka_metadata_topic *t = find(l, topic);

	return t && t->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

bool
kafka_list_led(const struct kafka_list *l, const char *topic, int32_t partition)
{
	const struct rd_kafka_metadata_topic *t = find(l, topic);

	for (int i = 0; t && i < t->partition_cnt; i++)
		if ((partition < 0 || t->partitions[i].id == partition) &&
		    t->partitions[i].leader >= 0)
			return true;
	return false;
}
