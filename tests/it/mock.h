/*
 * The Kafka of a test: librdkafka's mock cluster inside the test's own process,
 * so that a test can put a broker down or make it answer errors; and the plain
 * clients that fill it and read it, as independent witnesses.
 *
 * Whatever fails here fails the running test.
 */
#ifndef KP_IT_MOCK_H
#define KP_IT_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kafka's numbers of the requests that errors can be pushed for. */
enum mock_api { MOCK_PRODUCE = 0, MOCK_FETCH = 1, MOCK_LIST_OFFSETS = 2, MOCK_METADATA = 3,
	MOCK_OFFSET_COMMIT = 8, MOCK_OFFSET_FETCH = 9, MOCK_FIND_COORDINATOR = 10 };

struct mock {
	rd_kafka_t *owner;
	rd_kafka_mock_cluster_t *cluster;
	rd_kafka_t *producer;
	const char *brokers;		/* for --kafkaPeers */
};

/* That of the program: for cmocka_run_group_tests(). */
extern struct mock mock;
int mock_group_setup(void **state);
int mock_group_teardown(void **state);

/* One broker. */
void mock_open(struct mock *m);
/* Brokers 1 to n. */
void mock_open_brokers(struct mock *m, int n);
void mock_close(struct mock *m);
void mock_topic(struct mock *m, const char *topic, int partitions);
void mock_down(struct mock *m);
void mock_up(struct mock *m);

/* Puts a message and waits for it; NULL: null. Gives its offset. */
int64_t mock_put(struct mock *m, const char *topic, int32_t partition, const char *key,
    const char *value);
/* Puts n messages "prefix0", "prefix1", ... in that order. */
void mock_put_many(struct mock *m, const char *topic, int32_t partition, const char *prefix,
    unsigned n);
/* As a group without members commits. */
void mock_commit(struct mock *m, const char *topic, const char *group, int32_t partition,
    int64_t offset);

struct mock_record {
	int32_t partition;
	int64_t offset;
	bool has_key, has_value;
	size_t key_bytes, value_bytes;
	char *key, *value;		/* NUL-terminated */
};
struct mock_records {
	struct mock_record *v;		/* by partition in order, partitions mixed */
	size_t n;
};

/* All that the topic holds, from its beginning. Waits until there are at least
 * `want`, at most wait_ms; then reads on to the end. */
void mock_read(struct mock *m, const char *topic, size_t want, int64_t wait_ms,
    struct mock_records *r);
void mock_records_free(struct mock_records *r);
/*
 * The topic holds each of "prefix0" ... "prefix<n-1>", and nothing else:
 * ONCE, in that order within each partition; TWICE: the first copies are in that
 * order; ANY: in any order, and others may be there too. Waits for them.
 */
enum mock_order { MOCK_ONCE, MOCK_TWICE, MOCK_ANY };
void mock_expect(struct mock *m, const char *topic, const char *prefix, unsigned n,
    enum mock_order order);

#endif
