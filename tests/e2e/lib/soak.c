/*
 * Mixed load over HTTP at a pace that does not change, and the books of it, for test_soak.py.
 *
 *	soak --port N --run R [--topics N] [--busy N] [--groups N] [--work S] [--rest S]
 *	     [--pace KIND=PER_SECOND]...
 *
 * Topics are R-0 to R-<n-1>. Each of the first --busy has a group that always consumes; the others
 * belong to --groups groups, of which each works for --work seconds and rests for --rest, one
 * after the other. When all have joined, the paced kinds begin (soak_asks.c).
 *
 * To standard output, a line of JSON: {"ready":true} then, {"t":...} each second with [answers,
 * median us, 99th percentile us] of each kind, how many posts to unknown names are out, and the CPU
 * time of a piece of work that is always the same; and {"end":true,...} at the end. SIGUSR1: Kafka
 * cannot be asked from now on, so nothing is posted to names that are not there; SIGUSR2: it can.
 * SIGTERM: consume what is left, and end.
 */
#include "tests/e2e/lib/soak.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct soak soak = { .topics = 300, .busy = 4, .groups = 50, .work_us = 4 * SECOND,
    .rest_us = 25 * SECOND };
volatile sig_atomic_t ending, away;

static void
on_signal(int sig)
{
	if (sig == SIGTERM)
		ending = 1;
	else
		away = sig == SIGUSR1;
}

static void
begin(int64_t now_us)
{
	printf("{\"ready\":true}\n");
	soak.began_us = now_us;
	asks_begin(now_us);
}

static bool
each_second(int64_t now_us)
{
	asks_check(now_us);
	readers_check(now_us);
	books_tell(now_us);
	return !ending || asks_out() || !books_done(now_us);
}

static void
run(void)
{
	int64_t second_us = http_now_us() + SECOND, now_us;
	bool goes_on = true;

	while (goes_on) {
		now_us = http_now_us();
		if (soak.began_us == 0 && readers_joined())
			begin(now_us);
		if (soak.began_us && !ending)
			asks_run(now_us);
		readers_run(now_us);
		if (now_us >= second_us) {
			second_us += SECOND;
			goes_on = each_second(now_us);
		}
		http_turn(2);
	}
}

static void
options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", 1, NULL, 'p' }, { "run", 1, NULL, 'u' }, { "topics", 1, NULL, 't' },
		{ "busy", 1, NULL, 'b' }, { "groups", 1, NULL, 'g' }, { "work", 1, NULL, 'w' },
		{ "rest", 1, NULL, 'r' }, { "pace", 1, NULL, 'a' }, { NULL, 0, NULL, 0 },
	};
	bool bad = false;
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
		case 'a': bad |= !asks_pace(optarg); break;
		default: exit(2);
		}
	}
	if (bad || !soak.port || !soak.run || strlen(soak.run) > 40 || soak.busy < 1 ||
	    soak.groups < 1 || soak.topics <= soak.busy || soak.topics > TOPICS_MAX) {
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
	asks_init();
	readers_init();
	run();
	books_tell_end();
	return 0;
}
