/*
 * Numbers for messages, what became of each, and of each question; and the lines that tell it.
 */
#include "tests/e2e/lib/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TIMES_MAX 4096			/* of one kind in a second */
#define STATUSES 600
#define STUCK_US 90000000		/* nothing consumed for so long: it does not come */

struct topic {
	uint8_t *books;			/* of each message, by its number */
	uint32_t n, room;
};

static struct {
	struct topic topic[TOPICS_MAX];
	uint32_t times[KINDS][TIMES_MAX];	/* of this second */
	int timed[KINDS];
	long statuses[KINDS][STATUSES];
	int64_t moved_us;		/* when a message was consumed last */
	long behind;			/* accepted, and not consumed yet */
	long missed, sent, accepted, consumed, twice, phantom, refused_seen;
} books;

uint32_t
books_add(int topic)
{
	struct topic *t = &books.topic[topic];

	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 1024;
		t->books = realloc(t->books, t->room);
		if (t->books == NULL)
			exit(1);
	}
	t->books[t->n] = 0;
	books.sent++;
	return t->n++;
}

void
books_note(int topic, uint32_t seq, enum book book)
{
	uint8_t *b = &books.topic[topic].books[seq];

	*b |= (uint8_t)book;
	books.accepted += book == BOOK_ACCEPTED;
	books.behind += book == BOOK_ACCEPTED && !(*b & BOOK_SEEN);
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

void
books_consumed(int topic, const char *value)
{
	char text[65], run[65];
	unsigned number, seq;
	struct topic *t = &books.topic[topic];

	unbase64(value ? value : "", text, sizeof(text) - 1);
	books.consumed++;
	books.moved_us = http_now_us();
	if (sscanf(text, "%64[^:]:%u:%u:", run, &number, &seq) != 3 || strcmp(run, soak.run) != 0 ||
	    (int)number != topic || seq >= t->n) {
		books.phantom++;
		return;
	}
	books.twice += (t->books[seq] & BOOK_SEEN) != 0;
	books.behind -= (t->books[seq] & (BOOK_ACCEPTED | BOOK_SEEN)) == BOOK_ACCEPTED;
	books.refused_seen += (t->books[seq] & BOOK_REFUSED) != 0;
	t->books[seq] |= BOOK_SEEN;
}

void
books_answer(enum kind kind, const struct conn *c, int status)
{
	int64_t us = http_now_us() - c->began_us;

	books.statuses[kind][status >= 0 && status < STATUSES ? status : 0]++;
	if (books.timed[kind] < TIMES_MAX)
		books.times[kind][books.timed[kind]++] = (uint32_t)us;
}

void
books_missed(void)
{
	books.missed++;
}

bool
books_done(int64_t now_us)
{
	return now_us - books.moved_us > STUCK_US || books.behind == 0;
}

/* ---- what is told ---- */

/*
 * The same work each time: how much CPU time it takes is the machine's doing. Some of it is
 * reckoning, some is memory, some is the kernel.
 */
static double
work_us(void)
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
	return (double)(after.tv_sec - before.tv_sec) * SECOND +
	    (double)(after.tv_nsec - before.tv_nsec) / 1000;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Some of those that were accepted and not consumed, as topic:number. */
static void
tell_lost(void)
{
	const char *comma = "";

	for (int i = 0; i < soak.topics; i++) {
		const struct topic *t = &books.topic[i];

		for (uint32_t seq = 0; seq < t->n; seq++) {
			if ((t->books[seq] & (BOOK_ACCEPTED | BOOK_SEEN)) == BOOK_ACCEPTED) {
				printf("%s\"%d:%u\"", comma, i, seq);
				comma = ",";
				break;
			}
		}
	}
}

void
books_tell(int64_t now_us)
{
	int posts = 0;

	for (int i = 0; i < soak.kinds[UNKNOWN].askers; i++)
		posts += soak.asker[UNKNOWN][i].c.busy && soak.asker[UNKNOWN][i].posts;
	printf("{\"t\":%.3f,\"work\":%.1f,\"missed\":%ld,\"behind\":%ld,\"posts_out\":%d",
	    (double)now_us / SECOND, work_us(), books.missed, books.behind, posts);
	for (int k = 0; k < KINDS; k++) {
		uint32_t *t = books.times[k];
		int n = books.timed[k];

		qsort(t, (size_t)n, sizeof(*t), by_value);
		printf(",\"%s\":[%d,%u,%u]", soak.kinds[k].name, n, n ? t[n / 2] : 0,
		    n ? t[n * 99 / 100] : 0);
		books.timed[k] = 0;
	}
	printf("}\n");
	fflush(stdout);
}

void
books_tell_end(void)
{
	printf("{\"end\":true,\"sent\":%ld,\"accepted\":%ld,\"consumed\":%ld,\"twice\":%ld,"
	    "\"phantom\":%ld,\"refused_seen\":%ld,\"kept_unknown\":%ld,\"missed\":%ld,\"lost\":%ld,"
	    "\"such_as\":[",
	    books.sent, books.accepted, books.consumed, books.twice, books.phantom,
	    books.refused_seen, books.statuses[UNKNOWN][200], books.missed, books.behind);
	tell_lost();
	printf("],\"statuses\":{");
	for (int k = 0, n = 0; k < KINDS; k++)
		for (int s = 0; s < STATUSES; s++)
			if (books.statuses[k][s])
				printf("%s\"%s %d\":%ld", n++ ? "," : "", soak.kinds[k].name, s,
				    books.statuses[k][s]);
	printf("}}\n");
	fflush(stdout);
}
