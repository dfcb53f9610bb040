/*
 * A consumer for each topic, one request after the other while its group works. Of three groups
 * one counts a message as consumed when it gets it, one acknowledges it with the next request,
 * one by itself.
 */
#include "tests/e2e/lib/soak.h"

#include <stdio.h>

#define AFTER_FAILURE_US 300000

struct reader {
	struct conn c;			/* first */
	enum kind kind;			/* of the request under way */
	int topic, group;		/* group: -1 if it is of a busy topic */
	enum { PLAIN, ACK_NEXT, ACK_POST } mode;
	bool joined, pending;
	long long partition, offset;	/* of what is pending */
	int64_t rest_until_us;
};

static struct reader readers[TOPICS_MAX];

static bool
works(const struct reader *r, int64_t now_us)
{
	int64_t cycle_us = soak.work_us + soak.rest_us;

	if (r->group < 0 || ending || soak.began_us == 0)
		return true;
	now_us += cycle_us * r->group / soak.groups - soak.began_us;
	return now_us % cycle_us < soak.work_us;
}

static void
consumed(struct conn *c, int status)
{
	struct reader *r = (struct reader *)c;
	bool gave = status == 200 && r->kind == CONSUME;

	books_answer(r->kind, c, status);
	if (status != 200 && status != 408)
		r->rest_until_us = http_now_us() + AFTER_FAILURE_US;
	/* 404 and 409: another has it now, and it comes again. */
	if (status == 200 || status == 408 || status == 404 || status == 409)
		r->pending = false;
	r->joined = r->joined || status == 408 || gave;
	if (!gave)
		return;
	books_consumed(r->topic, http_text(c, "\"value\": \""));
	r->pending = r->mode != PLAIN;
	r->partition = http_number(c, "\"partition\": ");
	r->offset = http_number(c, "\"offset\": ");
}

static void
reader_ask(struct reader *r, int64_t now_us)
{
	char group[80], ack[80] = "";

	if (r->c.busy || now_us < r->rest_until_us)
		return;
	asks_group(group, sizeof(group), r->topic);
	if (r->pending && (r->mode == ACK_POST || !works(r, now_us))) {
		r->kind = ACK;
		http_post(&r->c, "", "/topics/%s-%d/acks?group=%s&partition=%lld&offset=%lld",
		    soak.run, r->topic, group, r->partition, r->offset);
		return;
	}
	if (!works(r, now_us) || (soak.began_us == 0 && r->joined))
		return;
	if (r->pending)
		snprintf(ack, sizeof(ack), "&ackPartition=%lld&ackOffset=%lld", r->partition,
		    r->offset);
	r->kind = CONSUME;
	http_get(&r->c, "/topics/%s-%d/messages?group=%s%s%s", soak.run, r->topic, group,
	    r->mode != PLAIN ? "&noAck" : "", ack);
}

bool
readers_joined(void)
{
	for (int i = 0; i < soak.topics; i++)
		if (!readers[i].joined)
			return false;
	return true;
}

void
readers_init(void)
{
	for (int i = 0; i < soak.topics; i++) {
		struct reader *r = &readers[i];

		http_conn_init(&r->c, consumed);
		r->topic = i;
		r->group = i < soak.busy ? -1 : i % soak.groups;
		r->mode = (r->group < 0 ? i : r->group) % 3;
	}
}

void
readers_run(int64_t now_us)
{
	for (int i = 0; i < soak.topics; i++)
		reader_ask(&readers[i], now_us);
}

void
readers_check(int64_t now_us)
{
	for (int i = 0; i < soak.topics; i++)
		http_check(&readers[i].c, now_us);
}
