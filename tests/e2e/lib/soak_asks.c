/*
 * What is asked at a pace, whether or not what was asked before was answered. To add a kind, add
 * a line to the table and the function that asks.
 */
#include "tests/e2e/lib/soak.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_US 1000000			/* what is later is not asked at all */
#define VALUE_BYTES 100

static struct {
	uint64_t random;
	long long receipt;		/* the latest id */
	int64_t due_us[KINDS];
} asks = { .random = 88172645463325252u };

static uint64_t
random_next(void)
{
	asks.random ^= asks.random << 13;
	asks.random ^= asks.random >> 7;
	asks.random ^= asks.random << 17;
	return asks.random;
}

static int
random_below(int n)
{
	return (int)((random_next() >> 16) % (uint64_t)n);
}

static void
asked(struct conn *c, int status)
{
	struct asker *a = (struct asker *)c;

	books_answer(a->kind, c, status);
	if (a->kind != ASYNC && a->kind != QUIET && a->kind != SYNC)
		return;
	if (status == 200) {
		books_note(a->topic, a->seq, BOOK_ACCEPTED);
		if (a->kind != SYNC)
			asks.receipt = http_number(c, "\r\nX-Kafka-Pixy-Id:");
	} else if (status / 100 == 4 || http_text(c, "nothing was sent")) {
		books_note(a->topic, a->seq, BOOK_REFUSED);
	}
}

static void
produce(struct asker *a, int topic, const char *more)
{
	char value[VALUE_BYTES + 1];
	int n;

	a->topic = topic;
	a->seq = books_add(topic);
	memset(value, '.', VALUE_BYTES);
	value[VALUE_BYTES] = '\0';
	n = snprintf(value, sizeof(value), "%s:%d:%u:", soak.run, topic, a->seq);
	value[n] = '.';
	http_post(&a->c, value, "/topics/%s-%d/messages?key=k%d%s", soak.run, topic,
	    random_below(100), more);
}

static void
ask_async(struct asker *a)
{
	produce(a, a->kind == ASYNC ? random_below(soak.busy)
	    : soak.busy + random_below(soak.topics - soak.busy), "");
}

static void
ask_sync(struct asker *a)
{
	produce(a, random_below(soak.topics), "&sync");
}

void
asks_group(char *name, size_t n, int topic)
{
	if (topic < soak.busy)
		snprintf(name, n, "%s-always%d", soak.run, topic);
	else
		snprintf(name, n, "%s-%d", soak.run, topic % soak.groups);
}

static void
ask_offsets(struct asker *a)
{
	char group[80];
	int topic = random_below(soak.topics);

	asks_group(group, sizeof(group), topic);
	http_get(&a->c, "/topics/%s-%d/offsets?group=%s", soak.run, topic, group);
}

/* Of groups that nobody consumes for. */
static void
ask_set(struct asker *a)
{
	http_post(&a->c, "[{\"partition\": 0, \"offset\": -1, \"metadata\": \"soak\"}]",
	    "/topics/%s-%d/offsets?group=%s-set%d", soak.run, random_below(soak.topics), soak.run,
	    random_below(50));
}

static void
ask_who(struct asker *a)
{
	char group[80];
	int topic = random_below(soak.topics);

	asks_group(group, sizeof(group), topic);
	http_get(&a->c, "/topics/%s-%d/consumers?group=%s", soak.run, topic, group);
}

static void
ask_status(struct asker *a)
{
	http_get(&a->c, "/_status");
}

static void
ask_receipt(struct asker *a)
{
	http_get(&a->c, "/_messages/%lld", asks.receipt > 0 ? asks.receipt : 1);
}

/* A topic that does not exist, and was never asked for before. */
static void
ask_unknown(struct asker *a)
{
	uint64_t name = random_next();
	int what = random_below(4);

	/* What Kafka cannot be asked about is kept, async, and this is not about that. */
	if (away)
		what %= 2;
	a->posts = what >= 2;
	if (what == 0)
		http_get(&a->c, "/topics/%s-none-%" PRIx64 "/messages?group=%s-0", soak.run, name,
		    soak.run);
	else if (what == 1)
		http_get(&a->c, "/topics/%s-none-%" PRIx64 "/offsets?group=%s-0", soak.run, name,
		    soak.run);
	else
		http_post(&a->c, "unknown", "/topics/%s-none-%" PRIx64 "/messages?key=k%s",
		    soak.run, name, what == 2 ? "&sync" : "");
}

/* A group that nobody has heard of. */
static void
ask_stranger(struct asker *a)
{
	http_get(&a->c, "/topics/%s-%d/offsets?group=%s-stranger-%" PRIx64, soak.run,
	    random_below(soak.topics), soak.run, random_next());
}

/* A group that consumes once, and never comes again. */
static void
ask_passer(struct asker *a)
{
	http_get(&a->c, "/topics/%s-%d/messages?group=%s-passer-%" PRIx64, soak.run,
	    random_below(soak.topics), soak.run, random_next());
}

static struct kind_of kinds[KINDS] = {
	[ASYNC]    = { "async", 300, 8, ask_async },
	[QUIET]    = { "quiet", 60, 8, ask_async },
	[SYNC]     = { "sync", 40, 16, ask_sync },
	[CONSUME]  = { "consume", 0, 0, NULL },	/* soak_readers.c */
	[ACK]      = { "ack", 0, 0, NULL },
	[OFFSETS]  = { "offsets", 2, 8, ask_offsets },
	[SET]      = { "set", 0.5, 4, ask_set },
	[WHO]      = { "who", 0.5, 4, ask_who },
	[STATUS]   = { "status", 0.5, 2, ask_status },
	[RECEIPT]  = { "receipt", 2, 4, ask_receipt },
	[UNKNOWN]  = { "unknown", 5, 48, ask_unknown },
	[STRANGER] = { "stranger", 1, 8, ask_stranger },
	[PASSER]   = { "passer", 0.2, 4, ask_passer },
};

void
asks_init(void)
{
	soak.kinds = kinds;
	for (int k = 0; k < KINDS; k++) {
		soak.asker[k] = calloc(ASKERS_MAX, sizeof(struct asker));
		if (soak.asker[k] == NULL)
			exit(1);
		for (int i = 0; i < kinds[k].askers; i++) {
			soak.asker[k][i].kind = k;
			http_conn_init(&soak.asker[k][i].c, asked);
		}
	}
}

bool
asks_pace(const char *text)
{
	size_t n = strcspn(text, "=");

	for (int k = 0; k < KINDS; k++) {
		if (strncmp(kinds[k].name, text, n) == 0 && kinds[k].name[n] == '\0' && text[n]) {
			kinds[k].rate = strtod(text + n + 1, NULL);
			return true;
		}
	}
	return false;
}

void
asks_begin(int64_t now_us)
{
	for (int k = 0; k < KINDS; k++)
		asks.due_us[k] = now_us;
}

static void
pace(enum kind kind, int64_t now_us)
{
	int64_t interval_us = kinds[kind].rate > 0 ? (int64_t)(SECOND / kinds[kind].rate) : 0;

	while (interval_us && asks.due_us[kind] <= now_us) {
		struct asker *a = soak.asker[kind], *end = a + kinds[kind].askers;

		while (a < end && a->c.busy)
			a++;
		if (a < end)
			kinds[kind].ask(a);
		else if (now_us - asks.due_us[kind] > LATE_US)
			books_missed();
		else
			return;
		asks.due_us[kind] += interval_us;
	}
}

void
asks_run(int64_t now_us)
{
	for (int k = 0; k < KINDS; k++)
		pace(k, now_us);
}

void
asks_check(int64_t now_us)
{
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < kinds[k].askers; i++)
			http_check(&soak.asker[k][i].c, now_us);
}

bool
asks_out(void)
{
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < kinds[k].askers; i++)
			if (soak.asker[k][i].c.busy)
				return true;
	return false;
}
