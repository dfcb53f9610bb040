/* The mock cluster and its witnesses. */
#include "tests/it/mock.h"

#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

#define PUT_MS 10000
#define READ_MS 30000
#define PARTITIONS 64		/* most of a topic in these tests */

struct mock mock;

int
mock_group_setup(void **state)
{
	(void)state;
	mock_open(&mock);
	return 0;
}

int
mock_group_teardown(void **state)
{
	(void)state;
	mock_close(&mock);
	return 0;
}

static rd_kafka_t *
new_client(rd_kafka_type_t type, const char *const props[][2])
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512];
	rd_kafka_t *rk;

	/* Its brokers come and go by the test's will: nothing to tell about. */
	rd_kafka_conf_set(conf, "log_level", "0", why, sizeof(why));
	for (; (*props)[0]; props++)
		if (rd_kafka_conf_set(conf, (*props)[0], (*props)[1], why, sizeof(why)) !=
		    RD_KAFKA_CONF_OK)
			fail_msg("%s", why);
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (rk == NULL)
		fail_msg("%s", why);
	return rk;
}

void
mock_open_brokers(struct mock *m, int n)
{
	m->owner = new_client(RD_KAFKA_PRODUCER, (const char *const[][2]){ { NULL, NULL } });
	m->cluster = rd_kafka_mock_cluster_new(m->owner, n);
	assert_non_null(m->cluster);
	m->brokers = rd_kafka_mock_cluster_bootstraps(m->cluster);
	m->producer = new_client(RD_KAFKA_PRODUCER, (const char *const[][2]){
	    { "bootstrap.servers", m->brokers }, { "linger.ms", "0" },
	    { "reconnect.backoff.max.ms", "100" }, { NULL, NULL } });
}

void
mock_open(struct mock *m)
{
	mock_open_brokers(m, 1);
}

void
mock_close(struct mock *m)
{
	rd_kafka_destroy(m->producer);
	rd_kafka_mock_cluster_destroy(m->cluster);
	rd_kafka_destroy(m->owner);
}

void
mock_topic(struct mock *m, const char *topic, int partitions)
{
	const struct rd_kafka_metadata *md;
	rd_kafka_topic_t *t;

	assert_int_equal(rd_kafka_mock_topic_create(m->cluster, topic, partitions, 1), 0);
	/* The producer looks at once, and not with its next round a second later. */
	t = rd_kafka_topic_new(m->producer, topic, NULL);
	assert_int_equal(rd_kafka_metadata(m->producer, 0, t, &md, PUT_MS), 0);
	rd_kafka_metadata_destroy(md);
	rd_kafka_topic_destroy(t);
}

void
mock_down(struct mock *m)
{
	assert_int_equal(rd_kafka_mock_broker_set_down(m->cluster, -1), 0);
}

void
mock_up(struct mock *m)
{
	assert_int_equal(rd_kafka_mock_broker_set_up(m->cluster, -1), 0);
}

static void
produce(struct mock *m, const char *topic, int32_t partition, const char *key,
    const char *value)
{
	rd_kafka_resp_err_t err;

	err = rd_kafka_producev(m->producer, RD_KAFKA_V_TOPIC(topic),
	    RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	    RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
	    RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? strlen(value) : 0),
	    RD_KAFKA_V_END);
	if (err)
		fail_msg("put: %s", rd_kafka_err2str(err));
}

static int64_t
end_offset(struct mock *m, const char *topic, int32_t partition)
{
	int64_t low, high;

	assert_int_equal(rd_kafka_query_watermark_offsets(m->producer, topic, partition, &low,
	    &high, PUT_MS), 0);
	return high;
}

int64_t
mock_put(struct mock *m, const char *topic, int32_t partition, const char *key, const char *value)
{
	produce(m, topic, partition, key, value);
	assert_int_equal(rd_kafka_flush(m->producer, PUT_MS), 0);
	return end_offset(m, topic, partition) - 1;
}

void
mock_put_many(struct mock *m, const char *topic, int32_t partition, const char *prefix,
    unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char value[64];

		snprintf(value, sizeof(value), "%s%u", prefix, i);
		produce(m, topic, partition, NULL, value);
	}
	assert_int_equal(rd_kafka_flush(m->producer, PUT_MS), 0);
}

void
mock_commit(struct mock *m, const char *topic, const char *group, int32_t partition,
    int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", m->brokers, why, sizeof(why));
	rd_kafka_conf_set(conf, "group.id", group, why, sizeof(why));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	assert_non_null(rk);
	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	assert_int_equal(rd_kafka_commit(rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
}

static char *
copy(const void *p, size_t n)
{
	char *s = malloc(n + 1);

	assert_non_null(s);
	if (n)
		memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

static void
add_record(struct mock_records *r, const rd_kafka_message_t *msg)
{
	struct mock_record *v = realloc(r->v, (r->n + 1) * sizeof(*v));

	assert_non_null(v);
	r->v = v;
	v[r->n++] = (struct mock_record){
		.partition = msg->partition, .offset = msg->offset,
		.has_key = msg->key != NULL, .has_value = msg->payload != NULL,
		.key_bytes = msg->key_len, .value_bytes = msg->len,
		.key = copy(msg->key, msg->key_len), .value = copy(msg->payload, msg->len),
	};
}

/* How many partitions it has; it may still be about to be made. */
static int
count_partitions(rd_kafka_t *rk, const char *topic, int64_t until)
{
	rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
	int n = 0;

	do {
		const struct rd_kafka_metadata *md;

		assert_int_equal(rd_kafka_metadata(rk, 0, t, &md, PUT_MS), 0);
		n = md->topics[0].partition_cnt;
		rd_kafka_metadata_destroy(md);
		if (n == 0)
			poll(NULL, 0, 20);
	} while (n == 0 && clock_mono_ms() < until);
	rd_kafka_topic_destroy(t);
	return n;
}

/* All partitions of the topic, from the beginning. */
static void
assign_all(rd_kafka_t *rk, const char *topic, int64_t until, int *partitions)
{
	rd_kafka_topic_partition_list_t *list;

	*partitions = count_partitions(rk, topic, until);
	list = rd_kafka_topic_partition_list_new(*partitions);
	for (int i = 0; i < *partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
		    RD_KAFKA_OFFSET_BEGINNING;
	assert_int_equal(rd_kafka_assign(rk, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
}

static bool
all_of(const bool *v, int n)
{
	for (int i = 0; i < n; i++)
		if (!v[i])
			return false;
	return true;
}

void
mock_read(struct mock *m, const char *topic, size_t want, int64_t wait_ms, struct mock_records *r)
{
	rd_kafka_t *rk = new_client(RD_KAFKA_CONSUMER, (const char *const[][2]){
	    { "bootstrap.servers", m->brokers }, { "group.id", "witness" },
	    { "enable.partition.eof", "true" }, { "enable.auto.commit", "false" },
	    { "fetch.wait.max.ms", "50" }, { "check.crcs", "true" }, { NULL, NULL } });
	int64_t until = clock_mono_ms() + wait_ms;
	bool at_end[PARTITIONS] = { false };
	int partitions;

	*r = (struct mock_records){ NULL, 0 };
	rd_kafka_poll_set_consumer(rk);
	assign_all(rk, topic, until, &partitions);
	while ((r->n < want || !all_of(at_end, partitions)) && clock_mono_ms() < until) {
		rd_kafka_message_t *msg = rd_kafka_consumer_poll(rk, 50);

		if (msg == NULL)
			continue;
		/* An end seen before the last message is seen again after it. */
		if (msg->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			add_record(r, msg);
		if (msg->partition >= 0 && msg->partition < PARTITIONS)
			at_end[msg->partition] = msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
		rd_kafka_message_destroy(msg);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

void
mock_records_free(struct mock_records *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].key);
		free(r->v[i].value);
	}
	free(r->v);
	*r = (struct mock_records){ NULL, 0 };
}

/* The number behind the prefix; n when there is none. */
static unsigned long
number_of(const struct mock_record *r, const char *prefix, unsigned n)
{
	size_t len = strlen(prefix);
	unsigned long k = n;
	char *end = NULL;

	if (strncmp(r->value, prefix, len) == 0)
		k = strtoul(r->value + len, &end, 10);
	return end && *end == '\0' ? k : n;
}

/* Checks the records that are there; gives how many of the n are not, and marks
 * those that are. */
static unsigned
check_records(const struct mock_records *r, const char *prefix, unsigned n, enum mock_order order,
    bool *seen)
{
	long newest[PARTITIONS];
	unsigned missing = n;

	memset(seen, 0, n);
	for (int i = 0; i < PARTITIONS; i++)
		newest[i] = -1;
	for (size_t i = 0; i < r->n; i++) {
		const struct mock_record *v = &r->v[i];
		unsigned long k = number_of(v, prefix, n);

		if (k >= n && order == MOCK_ANY)
			continue;
		if (k >= n)
			fail_msg("partition %d offset %lld holds \"%.60s\", which nobody sent",
			    v->partition, (long long)v->offset, v->value);
		if (seen[k] && order == MOCK_ONCE)
			fail_msg("\"%s\" is there twice", v->value);
		if (!seen[k] && (long)k < newest[v->partition] && order != MOCK_ANY)
			fail_msg("\"%s\" came after %ld", v->value, newest[v->partition]);
		if (!seen[k])
			newest[v->partition] = (long)k;
		missing -= !seen[k];
		seen[k] = true;
	}
	return missing;
}

void
mock_expect(struct mock *m, const char *topic, const char *prefix, unsigned n,
    enum mock_order order)
{
	int64_t until = clock_mono_ms() + READ_MS;
	bool *seen = calloc(n, sizeof(*seen));
	unsigned missing;

	assert_non_null(seen);
	/* Second copies count as records, so there may be n before all have come. */
	do {
		struct mock_records r;

		mock_read(m, topic, n, until - clock_mono_ms(), &r);
		missing = check_records(&r, prefix, n, order, seen);
		mock_records_free(&r);
	} while (missing && clock_mono_ms() < until);
	for (unsigned i = 0; i < n && missing; i++)
		if (!seen[i])
			fail_msg("%s: %u of %u are missing, the first is \"%s%u\"", topic, missing,
			    n, prefix, i);
	free(seen);
}
