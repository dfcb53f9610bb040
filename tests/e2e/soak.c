/*
 * Mixed load over HTTP at a pace that does not change, and the books of it, for test_soak.py.
 *
 *	soak --port N --run R [--topics N] [--busy N] [--groups N] [--work S] [--rest S]
 *	     [--pace KIND=PER_SECOND]...
 *
 * Topics are R-0 to R-<n-1>. Each of the first --busy has a group that always consumes; the others
 * belong to --groups groups, of which each works for --work seconds and rests for --rest, one after
 * the other. Of these, one in three counts messages as consumed when it gets them, one acknowledges
 * with the next request, one by itself. When all have joined, the paced kinds begin.
 *
 * To standard output, a line of JSON: {"ready":true} then, {"t":…} each second with [answers, median
 * us, 99th percentile us] of each kind, how many posts to unknown names are out, and the CPU
 * time of a piece of work that is always the same; and {"end":true,…} at the end. SIGUSR1: Kafka cannot
 * be asked from now on, so nothing is posted to names that are not there; SIGUSR2: it can. SIGTERM:
 * consume what is left, and end.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/e2e/soak_http.h"

#define TOPICS_MAX 1000
#define ASKERS_MAX 64			/* of one kind */
#define TIMES_MAX 4096			/* of one kind in a second */
#define LATE_US 1000000			/* what is later is not asked at all */
#define AFTER_FAILURE_US 300000
#define STUCK_US 90000000		/* nothing consumed for so long at the end: it does not come */
#define VALUE_BYTES 100
#define WORK_EVERY_US 200000
#define SECOND 1000000

enum kind { ASYNC, QUIET, SYNC, CONSUME, ACK, OFFSETS, SET, WHO, STATUS, RECEIPT, UNKNOWN,
	STRANGER, PASSER, KINDS };

enum book { ACCEPTED = 1, REFUSED = 2, SEEN = 4 };

struct topic {
	uint8_t *books;			/* of each message, by its number */
	uint32_t n, room;
};

/* One that asks at a pace. */
struct asker {
	struct conn c;			/* first */
	enum kind kind;
	int topic;
	uint32_t seq;
	bool posts;			/* to a name that is not there */
};

/* One that consumes a topic for its group, one request after the other. */
struct reader {
	struct conn c;			/* first */
	enum kind kind;			/* of the request under way */
	int topic, group;		/* group: -1 if it is of a busy topic */
	enum { PLAIN, ACK_NEXT, ACK_POST } mode;
	bool joined, pending;
	long long partition, offset;	/* of what is pending */
	int64_t rest_until_us;
};

static void ask_async(struct asker *), ask_sync(struct asker *), ask_offsets(struct asker *),
    ask_set(struct asker *), ask_who(struct asker *), ask_status(struct asker *),
    ask_receipt(struct asker *), ask_unknown(struct asker *), ask_stranger(struct asker *),
    ask_passer(struct asker *);

static struct {
	const char *name;
	double rate;			/* a second */
	int askers;
	void (*ask)(struct asker *);
} kinds[KINDS] = {
	[ASYNC]    = { "async", 300, 8, ask_async },
	[QUIET]    = { "quiet", 60, 8, ask_async },
	[SYNC]     = { "sync", 40, 16, ask_sync },
	[CONSUME]  = { "consume", 0, 0, NULL },
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

static struct {
	const char *run;
	int port, topics, busy, groups;
	int64_t work_us, rest_us;
	uint64_t random;
	long long receipt;		/* the latest id */
	struct topic topic[TOPICS_MAX];
	struct asker *asker[KINDS];
	struct reader reader[TOPICS_MAX];
	int64_t due_us[KINDS];
	int64_t began_us, moved_us;	/* moved: when a message was consumed last */
	uint64_t work_cpu_us, works;	/* of this second */
	uint32_t times[KINDS][TIMES_MAX];
	int timed[KINDS];
	long statuses[KINDS][600];
	long missed, sent, accepted, consumed, twice, phantom, refused_seen, kept_unknown;
} soak = { .topics = 300, .busy = 4, .groups = 50, .work_us = 12 * SECOND, .rest_us = 28 * SECOND,
    .random = 88172645463325252u };

static volatile sig_atomic_t ending, away;

static void
on_signal(int sig)
{
	if (sig == SIGTERM)
		ending = 1;
	else
		away = sig == SIGUSR1;
}

static uint64_t
random_next(void)
{
	soak.random ^= soak.random << 13;
	soak.random ^= soak.random >> 7;
	soak.random ^= soak.random << 17;
	return soak.random;
}

static int
random_below(int n)
{
	return (int)((random_next() >> 16) % (uint64_t)n);
}

/* ---- books ---- */

static void
count(enum kind kind, struct conn *c, int status)
{
	int64_t us = http_now_us() - c->began_us;

	soak.statuses[kind][status >= 0 && status < 600 ? status : 0]++;
	if (soak.timed[kind] < TIMES_MAX)
		soak.times[kind][soak.timed[kind]++] = (uint32_t)us;
}

static uint32_t
message_add(struct topic *t)
{
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 1024;
		t->books = realloc(t->books, t->room);
		if (t->books == NULL)
			exit(1);
	}
	t->books[t->n] = 0;
	soak.sent++;
	return t->n++;
}

/* The first n bytes of base64 text, with a NUL behind them. */
static void
unbase64(const char *text, char *out, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int held = 0;
	size_t at = 0;

	for (const char *d; at < n && *text && (d = strchr(digits, *text)) != NULL; text++) {
		bits = bits << 6 | (uint32_t)(d - digits);
		held += 6;
		if (held >= 8)
			out[at++] = (char)(bits >> (held -= 8));
	}
	out[at] = '\0';
}

static void
message_seen(struct reader *r)
{
	const char *value = http_text(&r->c, "\"value\": \"");
	char text[65], run[65];
	unsigned topic, seq;
	struct topic *t = &soak.topic[r->topic];

	unbase64(value ? value : "", text, sizeof(text) - 1);
	soak.consumed++;
	soak.moved_us = http_now_us();
	if (sscanf(text, "%64[^:]:%u:%u:", run, &topic, &seq) != 3 || strcmp(run, soak.run) != 0 ||
	    (int)topic != r->topic || seq >= t->n) {
		soak.phantom++;
		return;
	}
	soak.twice += (t->books[seq] & SEEN) != 0;
	soak.refused_seen += (t->books[seq] & REFUSED) != 0;
	t->books[seq] |= SEEN;
}

static long
missing(bool print)
{
	long n = 0;

	for (int i = 0; i < soak.topics; i++) {
		const struct topic *t = &soak.topic[i];

		for (uint32_t seq = 0; seq < t->n; seq++) {
			if ((t->books[seq] & (ACCEPTED | SEEN)) != ACCEPTED)
				continue;
			if (print && n < 5)
				printf("%s\"%d:%u\"", n ? "," : "", i, seq);
			n++;
		}
	}
	return n;
}

/* ---- what is asked at a pace ---- */

static void
asked(struct conn *c, int status)
{
	struct asker *a = (struct asker *)c;
	uint8_t *book;

	count(a->kind, c, status);
	if (a->kind == UNKNOWN && status == 200)
		soak.kept_unknown++;
	if (a->kind != ASYNC && a->kind != QUIET && a->kind != SYNC)
		return;
	book = &soak.topic[a->topic].books[a->seq];
	if (status == 200) {
		*book |= ACCEPTED;
		soak.accepted++;
		if (a->kind != SYNC)
			soak.receipt = http_number(c, "\r\nX-Kafka-Pixy-Id:");
	} else if (status / 100 == 4 || http_text(c, "nothing was sent")) {
		*book |= REFUSED;
	}
}

static void
produce(struct asker *a, int topic, const char *more)
{
	char value[VALUE_BYTES + 1];
	int n;

	a->topic = topic;
	a->seq = message_add(&soak.topic[topic]);
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

/* The group that consumes a topic. */
static void
group_name(char *name, size_t n, int topic)
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

	group_name(group, sizeof(group), topic);
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

	group_name(group, sizeof(group), topic);
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
	http_get(&a->c, "/_messages/%lld", soak.receipt > 0 ? soak.receipt : 1);
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

static void
pace(enum kind kind, int64_t now_us)
{
	int64_t interval_us = kinds[kind].rate > 0 ? (int64_t)(SECOND / kinds[kind].rate) : 0;

	while (interval_us && soak.due_us[kind] <= now_us) {
		struct asker *a = soak.asker[kind], *end = a + kinds[kind].askers;

		while (a < end && a->c.busy)
			a++;
		if (a < end)
			kinds[kind].ask(a);
		else if (now_us - soak.due_us[kind] > LATE_US)
			soak.missed++;
		else
			return;
		soak.due_us[kind] += interval_us;
	}
}

/* ---- consumers ---- */

static bool
works(const struct reader *r, int64_t now_us)
{
	int64_t cycle_us = soak.work_us + soak.rest_us;

	if (r->group < 0 || ending || soak.began_us == 0)
		return true;
	return (now_us - soak.began_us + cycle_us * r->group / soak.groups) % cycle_us < soak.work_us;
}

static void
consumed(struct conn *c, int status)
{
	struct reader *r = (struct reader *)c;
	bool gave = status == 200 && r->kind == CONSUME;

	count(r->kind, c, status);
	if (status != 200 && status != 408)
		r->rest_until_us = http_now_us() + AFTER_FAILURE_US;
	/* 404 and 409: another has it now, and it comes again. */
	if (status == 200 || status == 408 || status == 404 || status == 409)
		r->pending = false;
	r->joined = r->joined || status == 408 || gave;
	if (!gave)
		return;
	message_seen(r);
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
	group_name(group, sizeof(group), r->topic);
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

static bool
all_joined(void)
{
	for (int i = 0; i < soak.topics; i++)
		if (!soak.reader[i].joined)
			return false;
	return true;
}

/* ---- what is told ---- */

/* The same work each time: how much CPU time it takes is the machine's doing. */
static void
measure(void)
{
	static uint8_t bytes[1 << 18];
	static int ends[2] = { -1, -1 };
	struct timespec before, after;
	uint32_t sum = 0;

	if (ends[0] < 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		exit(1);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(sum = sum * 31 + bytes[i] + 1);
	for (int i = 0; i < 200; i++)
		if (write(ends[0], bytes, 512) != 512 || read(ends[1], bytes, 512) != 512)
			exit(1);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	soak.work_cpu_us += (uint64_t)((after.tv_sec - before.tv_sec) * SECOND +
	    (after.tv_nsec - before.tv_nsec) / 1000);
	soak.works++;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
tell_second(int64_t now_us)
{
	int out = 0;

	for (int i = 0; i < kinds[UNKNOWN].askers; i++)
		out += soak.asker[UNKNOWN][i].c.busy && soak.asker[UNKNOWN][i].posts;
	printf("{\"t\":%.3f,\"work\":%.1f,\"missed\":%ld,\"posts_out\":%d", (double)now_us / SECOND,
	    soak.works ? (double)soak.work_cpu_us / (double)soak.works : 0.0, soak.missed, out);
	soak.work_cpu_us = soak.works = 0;
	for (int k = 0; k < KINDS; k++) {
		int n = soak.timed[k];

		qsort(soak.times[k], (size_t)n, sizeof(uint32_t), by_value);
		printf(",\"%s\":[%d,%u,%u]", kinds[k].name, n, n ? soak.times[k][n / 2] : 0,
		    n ? soak.times[k][n * 99 / 100] : 0);
		soak.timed[k] = 0;
	}
	printf("}\n");
	fflush(stdout);
}

static void
tell_end(void)
{
	printf("{\"end\":true,\"sent\":%ld,\"accepted\":%ld,\"consumed\":%ld,\"twice\":%ld,"
	    "\"phantom\":%ld,\"refused_seen\":%ld,\"kept_unknown\":%ld,\"missed\":%ld,\"lost\":[",
	    soak.sent, soak.accepted, soak.consumed, soak.twice, soak.phantom, soak.refused_seen,
	    soak.kept_unknown, soak.missed);
	printf("],\"lost_count\":%ld,\"statuses\":{", missing(true));
	for (int k = 0, n = 0; k < KINDS; k++)
		for (int s = 0; s < 600; s++)
			if (soak.statuses[k][s])
				printf("%s\"%s %d\":%ld", n++ ? "," : "", kinds[k].name, s,
				    soak.statuses[k][s]);
	printf("}}\n");
	fflush(stdout);
}

/* ---- the loop ---- */

static void
begin(int64_t now_us)
{
	printf("{\"ready\":true}\n");
	soak.began_us = soak.moved_us = now_us;
	for (int k = 0; k < KINDS; k++)
		soak.due_us[k] = now_us;
}

/* Nothing is under way, and all is consumed, or does not come. */
static bool
ended(int64_t now_us)
{
	if (!ending)
		return false;
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < kinds[k].askers; i++)
			if (soak.asker[k][i].c.busy)
				return false;
	return now_us - soak.moved_us > STUCK_US || missing(false) == 0;
}

static void
each_second(int64_t now_us)
{
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < kinds[k].askers; i++)
			http_check(&soak.asker[k][i].c, now_us);
	for (int i = 0; i < soak.topics; i++)
		http_check(&soak.reader[i].c, now_us);
	tell_second(now_us);
}

static void
run(void)
{
	int64_t second_us = http_now_us() + SECOND, work_us = second_us, now_us;
	bool end = false;

	while (!end) {
		now_us = http_now_us();
		if (soak.began_us == 0 && all_joined())
			begin(now_us);
		for (int k = 0; k < KINDS && soak.began_us && !ending; k++)
			pace(k, now_us);
		for (int i = 0; i < soak.topics; i++)
			reader_ask(&soak.reader[i], now_us);
		if (now_us >= work_us) {
			work_us = now_us + WORK_EVERY_US;
			measure();
		}
		if (now_us >= second_us) {
			second_us += SECOND;
			each_second(now_us);
			end = ended(now_us);
		}
		http_turn(2);
	}
}

static void
askers_make(void)
{
	for (int k = 0; k < KINDS; k++) {
		soak.asker[k] = calloc(ASKERS_MAX, sizeof(struct asker));
		for (int i = 0; i < kinds[k].askers; i++) {
			soak.asker[k][i].kind = k;
			http_conn_init(&soak.asker[k][i].c, asked);
		}
	}
	for (int i = 0; i < soak.topics; i++) {
		struct reader *r = &soak.reader[i];

		http_conn_init(&r->c, consumed);
		r->topic = i;
		r->group = i < soak.busy ? -1 : i % soak.groups;
		r->mode = (r->group < 0 ? i : r->group) % 3;
	}
}

static void
pace_set(const char *text)
{
	size_t n = strcspn(text, "=");

	for (int k = 0; k < KINDS; k++) {
		if (strncmp(kinds[k].name, text, n) == 0 && kinds[k].name[n] == '\0' && text[n]) {
			kinds[k].rate = strtod(text + n + 1, NULL);
			return;
		}
	}
	fprintf(stderr, "soak: --pace %s\n", text);
	exit(2);
}

static void
options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", 1, NULL, 'p' }, { "run", 1, NULL, 'u' }, { "topics", 1, NULL, 't' },
		{ "busy", 1, NULL, 'b' }, { "groups", 1, NULL, 'g' }, { "work", 1, NULL, 'w' },
		{ "rest", 1, NULL, 'r' }, { "pace", 1, NULL, 'a' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'p': soak.port = (int)strtol(optarg, NULL, 10); break;
		case 'u': soak.run = optarg; break;
		case 't': soak.topics = (int)strtol(optarg, NULL, 10); break;
		case 'b': soak.busy = (int)strtol(optarg, NULL, 10); break;
		case 'g': soak.groups = (int)strtol(optarg, NULL, 10); break;
		case 'w': soak.work_us = (int64_t)(strtod(optarg, NULL) * SECOND); break;
		case 'r': soak.rest_us = (int64_t)(strtod(optarg, NULL) * SECOND); break;
		case 'a': pace_set(optarg); break;
		default: exit(2);
		}
	}
	if (!soak.port || !soak.run || strlen(soak.run) > 40 || soak.busy < 1 || soak.groups < 1 ||
	    soak.topics <= soak.busy || soak.topics > TOPICS_MAX) {
		fprintf(stderr, "soak: see the top of soak.c\n");
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	options(argc, argv);
	signal(SIGTERM, on_signal);
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	http_init(soak.port);
	askers_make();
	run();
	tell_end();
	return 0;
}
