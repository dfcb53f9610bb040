/*
 * Produces messages over HTTP and keeps the books of it, for the oracle (oracle.py).
 *
 *	load --port N --topic T --run R --log FILE [--first N] [--producers N] [--sync N]
 *	     [--rate N] [--seed N] [--large N] [--most BYTES]
 *
 * A process of its own, which no fault of a test ever hits: what it wrote to its log
 * has happened. Each producer is a thread with one connection, one key, and one
 * request at a time. SIGTERM lets the requests under way end. The log, one write()
 * a line to a file opened with O_APPEND, synced each 100 lines:
 *
 *	I producer seq bytes crc s|a ms		about to be sent, sync or async
 *	O producer seq id partition offset ms	200; -1 for what the reply did not say
 *	E producer seq status retry-after ms text	any other reply
 *	U producer seq - - ms why			no reply: nobody knows
 *
 * The value is run:producer:seq:bytes:crc: and a pad of that many bytes, 0 B to 1 MB
 * or to --most; the CRC-32 is that of the text before it and of the pad. One in --large
 * (0: none) is above the limit of a message and must be refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 1000000
#define PAD_MAX 1100000
#define PRODUCERS_MAX 64
#define REPLY_MAX 8192
#define REPLY_WITHIN_S 30
#define AFTER_FAILURE_MS 20
#define SYNC_EVERY 100

static struct {
	int port;
	const char *topic, *run, *log;
	long first, producers, sync, rate, large, most;
	uint64_t seed;
	int fd;
	atomic_long lines;
	uint32_t crc[256];
} load = { .producers = 8, .rate = 500, .most = MESSAGE_MAX, .seed = 1, .fd = -1 };

static volatile sig_atomic_t stopping;

struct producer {
	pthread_t thread;
	long number;
	bool sync;
	long seq;
	uint64_t random;
	int fd;				/* -1: not connected */
	char head[512];			/* of the request */
	char start[128];		/* of the value */
	uint8_t *pad;
	char reply[REPLY_MAX + 1];
};

static void
on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

static void
die(const char *what)
{
	perror(what);
	_exit(1);
}

static int64_t
now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void
sleep_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	if (ms > 0)
		nanosleep(&t, NULL);
}

static void book(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
book(const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line) || write(load.fd, line, (size_t)n) != n)
		die("log");
	if (atomic_fetch_add(&load.lines, 1) % SYNC_EVERY == SYNC_EVERY - 1 && fsync(load.fd) < 0)
		die("fsync");
}

/* ---- values ---- */

static void
crc_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		load.crc[i] = c;
	}
}

static uint32_t
crc(uint32_t c, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	c = ~c;
	while (n--)
		c = load.crc[(c ^ *p++) & 0xff] ^ (c >> 8);
	return ~c;
}

static uint64_t
random_next(struct producer *p)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random;
}

/* Mostly small, as messages are; some of any size. */
static size_t
pad_size(struct producer *p)
{
	uint64_t r = random_next(p), die_roll = r % 2000;
	static const struct { unsigned below; size_t max; } sizes[] = {
		{ 200, 0 }, { 1000, 100 }, { 1800, 1000 }, { 1980, 10000 }, { 1998, 100000 },
		{ 2000, MESSAGE_MAX - sizeof(p->start) },
	};
	size_t i = 0, max;

	if (load.large && (r >> 32) % (uint64_t)load.large == 0)
		return PAD_MAX;
	while (die_roll >= sizes[i].below)
		i++;
	max = sizes[i].max < (size_t)load.most ? sizes[i].max : (size_t)load.most;
	return (random_next(p) >> 8) % (max + 1);
}

/* Makes the next value, and tells the log of it. The bytes of its pad. */
static size_t
value_make(struct producer *p)
{
	size_t n = pad_size(p);
	uint32_t sum;
	int len;

	p->seq++;
	for (size_t i = 0; i < n; i += 8) {
		uint64_t r = random_next(p);

		memcpy(p->pad + i, &r, 8);	/* the buffer has room for it */
	}
	len = snprintf(p->start, sizeof(p->start), "%s:%ld:%ld:%zu:", load.run, p->number, p->seq,
	    n);
	sum = crc(crc(0, p->start, (size_t)len), p->pad, n);
	snprintf(p->start + len, sizeof(p->start) - (size_t)len, "%08x:", sum);
	book("I %ld %ld %zu %08x %c %" PRId64 "\n", p->number, p->seq, n, sum,
	    p->sync ? 's' : 'a', now_ms(CLOCK_REALTIME));
	return n;
}

/* ---- HTTP ---- */

static void
hang_up(struct producer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static bool
connected(struct producer *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)load.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval within = { .tv_sec = REPLY_WITHIN_S };
	int one = 1;

	if (p->fd >= 0)
		return true;
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		die("socket");
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof(within));
	setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof(within));
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(p->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return true;
	hang_up(p);
	return false;
}

static bool
send_all(int fd, struct iovec *v, int n)
{
	while (n > 0) {
		struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)n };
		ssize_t k = sendmsg(fd, &m, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return false;
		for (; n > 0 && (size_t)k >= v->iov_len; v++, n--)
			k -= (ssize_t)v->iov_len;
		if (n > 0) {
			v->iov_base = (char *)v->iov_base + k;
			v->iov_len -= (size_t)k;
		}
	}
	return true;
}

/* The number after `name` in the reply, -1 without one. */
static long long
number_after(const char *reply, const char *name)
{
	const char *at = strcasestr(reply, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

/* Reads one whole reply: its status, or -1 with *why. */
static int
reply_read(struct producer *p, const char **why)
{
	size_t n = 0;

	for (;;) {
		ssize_t k = recv(p->fd, p->reply + n, REPLY_MAX - n, 0);
		const char *body;
		long long length;

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			*why = k == 0 ? "closed" : errno == EAGAIN ? "timeout" : "reset";
			return -1;
		}
		n += (size_t)k;
		p->reply[n] = '\0';
		body = strstr(p->reply, "\r\n\r\n");
		if (body == NULL)
			continue;
		length = number_after(p->reply, "\r\nContent-Length:");
		if (length >= 0 && n - (size_t)(body + 4 - p->reply) >= (size_t)length)
			break;
		if (length < 0 || n == REPLY_MAX) {
			*why = "not a reply";
			return -1;
		}
	}
	return (int)strtol(p->reply + strcspn(p->reply, " "), NULL, 10);
}

/* The text of an error, on one line. */
static const char *
error_text(struct producer *p)
{
	char *body = strstr(p->reply, "\r\n\r\n") + 4;
	char *text = strstr(body, "\"error\": \"");

	if (text == NULL)
		return "";
	text += strlen("\"error\": \"");
	text[strcspn(text, "\"\r\n")] = '\0';
	if (strlen(text) > 500)
		text[500] = '\0';
	return text;
}

/* False: not answered 200. */
static bool
reply_book(struct producer *p, int status, const char *why)
{
	int64_t ms = now_ms(CLOCK_REALTIME);

	if (status == 200)
		book("O %ld %ld %lld %lld %lld %" PRId64 "\n", p->number, p->seq,
		    number_after(p->reply, "\r\nX-Kafka-Pixy-Id:"),
		    number_after(p->reply, "\"partition\":"),
		    number_after(p->reply, "\"offset\":"), ms);
	else if (status > 0)
		book("E %ld %ld %d %lld %" PRId64 " %s\n", p->number, p->seq, status,
		    number_after(p->reply, "\r\nRetry-After:"), ms, error_text(p));
	else
		book("U %ld %ld - - %" PRId64 " %s\n", p->number, p->seq, ms, why);
	return status == 200;
}

/* One message. False: not answered 200. */
static bool
produce(struct producer *p)
{
	size_t n = value_make(p), start = strlen(p->start);
	struct iovec v[3];
	const char *why = "not connected";
	int status = -1;
	bool close_after;

	snprintf(p->head, sizeof(p->head), "POST /topics/%s/messages?key=p%ld%s HTTP/1.1\r\n"
	    "Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
	    load.topic, p->number, p->sync ? "&sync" : "", start + n);
	v[0] = (struct iovec){ p->head, strlen(p->head) };
	v[1] = (struct iovec){ p->start, start };
	v[2] = (struct iovec){ p->pad, n };
	if (connected(p)) {
		/* Who refuses a body may answer before it has read all of it. */
		bool sent = send_all(p->fd, v, 3);

		status = reply_read(p, &why);
		close_after = !sent || status < 0 ||
		    strcasestr(p->reply, "\r\nConnection: close") != NULL;
		if (close_after)
			hang_up(p);
	}
	return reply_book(p, status, why);
}

static void *
run(void *arg)
{
	struct producer *p = arg;
	int64_t interval_us = load.producers * INT64_C(1000000) / load.rate, due_us, now_us;

	due_us = now_ms(CLOCK_MONOTONIC) * 1000 +
	    (int64_t)(random_next(p) % (uint64_t)(interval_us + 1));
	while (!stopping) {
		now_us = now_ms(CLOCK_MONOTONIC) * 1000;
		sleep_ms((due_us - now_us) / 1000);
		/* Who is late does not hurry afterwards. */
		due_us = (due_us > now_us - 1000000 ? due_us : now_us) + interval_us;
		if (!stopping && !produce(p))
			sleep_ms(AFTER_FAILURE_MS);
	}
	hang_up(p);
	return NULL;
}

static void
options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", 1, NULL, 'p' }, { "topic", 1, NULL, 't' }, { "run", 1, NULL, 'u' },
		{ "log", 1, NULL, 'l' }, { "first", 1, NULL, 'f' }, { "producers", 1, NULL, 'n' },
		{ "sync", 1, NULL, 'y' }, { "rate", 1, NULL, 'r' }, { "seed", 1, NULL, 's' },
		{ "large", 1, NULL, 'g' }, { "most", 1, NULL, 'm' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'p': load.port = (int)strtol(optarg, NULL, 10); break;
		case 't': load.topic = optarg; break;
		case 'u': load.run = optarg; break;
		case 'l': load.log = optarg; break;
		case 'f': load.first = strtol(optarg, NULL, 10); break;
		case 'n': load.producers = strtol(optarg, NULL, 10); break;
		case 'y': load.sync = strtol(optarg, NULL, 10); break;
		case 'r': load.rate = strtol(optarg, NULL, 10); break;
		case 's': load.seed = strtoull(optarg, NULL, 10); break;
		case 'g': load.large = strtol(optarg, NULL, 10); break;
		case 'm': load.most = strtol(optarg, NULL, 10); break;
		default: exit(2);
		}
	}
	if (!load.port || !load.topic || !load.run || !load.log || load.producers < 1 ||
	    load.producers > PRODUCERS_MAX || load.rate < 1) {
		fprintf(stderr, "load: see the top of load.c\n");
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	static struct producer producers[PRODUCERS_MAX];

	options(argc, argv);
	crc_table();
	signal(SIGTERM, on_term);
	load.fd = open(load.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (load.fd < 0)
		die(load.log);
	for (long i = 0; i < load.producers; i++) {
		struct producer *p = &producers[i];

		p->number = load.first + i;
		p->sync = i < load.sync;
		p->random = (load.seed + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)(p->number + 1) << 20;
		p->random |= 1;
		p->fd = -1;
		p->pad = malloc(PAD_MAX + 8);
		if (p->pad == NULL || pthread_create(&p->thread, NULL, run, p) != 0)
			die("thread");
	}
	for (long i = 0; i < load.producers; i++) {
		pthread_join(producers[i].thread, NULL);
		free(producers[i].pad);
	}
	if (fsync(load.fd) < 0)
		die("fsync");
	return close(load.fd) == 0 ? 0 : 1;
}
