/*
 * Commits of a group: explicit lists of offsets. Brokers keep all of one request in one
 * record batch, which has a limit; so a large commit goes in several, one after another.
 */
#include <stdlib.h>
#include <string.h>

#include "helper/kafka/consumer_private.h"

struct consumer_commit {
	LIST_ENTRY(consumer_commit) link;
	struct consumer *c;
	rd_kafka_topic_partition_list_t *list;	/* all, sorted; each gets its error */
	int at, n;			/* those that are under way: list[at .. at + n) */
	enum kp_err err;		/* the first one */
	consumer_committed_fn *done;	/* NULL: it was given up */
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
	LIST_REMOVE(x, link);
	rd_kafka_topic_partition_list_destroy(x->list);
	free(x);
}

void
commits_free(struct consumer *c)
{
	while (!LIST_EMPTY(&c->commits))
		commit_free(LIST_FIRST(&c->commits));
}

/* How many from `at` on go in one request: one at least. */
static int
count_next(const struct consumer_commit *x)
{
	size_t bytes = 0;
	int n = 0;

	for (; x->at + n < x->list->cnt; n++) {
		const rd_kafka_topic_partition_t *p = &x->list->elems[x->at + n];

		bytes += kafka_commit_bytes(p->topic, p->metadata_size);
		if (n > 0 && bytes > KAFKA_COMMIT_BYTES)
			break;
	}
	return n;
}

/* librdkafka copies the list, and so does not need metadata of its own. */
static rd_kafka_resp_err_t
send_next(struct consumer_commit *x)
{
	rd_kafka_topic_partition_list_t *some;
	rd_kafka_resp_err_t err;

	x->n = count_next(x);
	some = rd_kafka_topic_partition_list_new(x->n);
	for (int i = 0; i < x->n; i++) {
		const rd_kafka_topic_partition_t *from = &x->list->elems[x->at + i];
		rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(some,
		    from->topic, from->partition);

		p->offset = from->offset;
		p->metadata = from->metadata;
		p->metadata_size = from->metadata_size;
	}
	err = rd_kafka_commit_queue(x->c->rk, some, x->c->main, NULL, x);
	for (int i = 0; i < some->cnt; i++)
		some->elems[i].metadata = NULL;
	rd_kafka_topic_partition_list_destroy(some);
	return err;
}

/* What became of each: `list`, or without an error in there `err` for all. Returns how many
 * were taken. */
static int
take_errors(struct consumer_commit *x, rd_kafka_resp_err_t err,
    const rd_kafka_topic_partition_list_t *list)
{
	bool each = false;
	int taken = 0;

	for (int i = 0; list && i < list->cnt; i++)
		each |= list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR;
	for (int i = x->at; i < x->at + x->n; i++) {
		rd_kafka_topic_partition_t *p = &x->list->elems[i];
		const rd_kafka_topic_partition_t *its = each ?
		    rd_kafka_topic_partition_list_find(list, p->topic, p->partition) : NULL;

		p->err = its ? its->err : err;
		if (p->err && x->err == KP_OK)
			x->err = commit_err(p->err);
		taken += p->err == RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	return taken;
}

/* Those that are left are no longer tried. */
static void
give_up(struct consumer_commit *x, rd_kafka_resp_err_t err)
{
	for (int i = x->at; i < x->list->cnt; i++)
		x->list->elems[i].err = err;
	x->at = x->list->cnt;
}

void
commit_returned(struct consumer_commit *x, rd_kafka_resp_err_t err,
    const rd_kafka_topic_partition_list_t *list)
{
	if (x->done == NULL) {
		commit_free(x);
		return;
	}
	do {
		int taken = take_errors(x, err, list);
		rd_kafka_resp_err_t last;

		x->at += x->n;
		last = x->list->elems[x->at - 1].err;
		/* No broker, or no longer our group. A topic that takes none is no reason. */
		if (taken == 0 && (commit_err(last) == KP_EUNAVAIL ||
		    commit_err(last) == KP_ECONFLICT))
			give_up(x, last);
		err = x->at < x->list->cnt ? send_next(x) : RD_KAFKA_RESP_ERR_NO_ERROR;
		list = NULL;
	} while (err);
	if (x->at < x->list->cnt)
		return;
	x->done(x->arg, x->err, x);
	commit_free(x);
}

void
consumer_give_up_commits(struct consumer *c)
{
	struct consumer_commit *x;

	/* New ones come in front of it. */
	LIST_FOREACH(x, &c->commits, link) {
		consumer_committed_fn *done = x->done;

		if (done == NULL)
			continue;
		x->done = NULL;
		x->at = 0;
		give_up(x, RD_KAFKA_RESP_ERR__TIMED_OUT);
		done(x->arg, KP_EUNAVAIL, x);
	}
}

static int
compare(const void *va, const void *vb)
{
	const rd_kafka_topic_partition_t *a = va, *b = vb;
	int d = strcmp(a->topic, b->topic);

	return d ? d : (a->partition > b->partition) - (a->partition < b->partition);
}

enum kp_err
consumer_commit_err(const struct consumer_commit *x, enum kp_err err, const char *topic,
    int32_t partition)
{
	const rd_kafka_topic_partition_t want = { .topic = (char *)(uintptr_t)topic,
		.partition = partition };
	const rd_kafka_topic_partition_t *p = err == KP_OK ? NULL : bsearch(&want,
	    x->list->elems, (size_t)x->list->cnt, sizeof(want), compare);

	return p ? commit_err(p->err) : err;
}

struct consumer_commit *
consumer_commit_begin(struct consumer *c, consumer_committed_fn *done, void *arg)
{
	struct consumer_commit *x = calloc(1, sizeof(*x));

	if (x) {
		x->c = c;
		x->done = done;
		x->arg = arg;
		x->list = rd_kafka_topic_partition_list_new(8);
		LIST_INSERT_HEAD(&c->commits, x, link);
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
	rd_kafka_resp_err_t err;

	qsort(x->list->elems, (size_t)x->list->cnt, sizeof(x->list->elems[0]), compare);
	err = send_next(x);
	if (err)
		commit_returned(x, err, NULL);
}
