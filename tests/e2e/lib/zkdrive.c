/*
 * Takes part in one group through ZooKeeper, without Kafka: what the coordination says
 * is printed, a line each, and a partition is given back as soon as it is asked for.
 *
 *	zkdrive <servers[/chroot]> <group> <member> [<topic>:<partitions>]...
 *
 * Lines on its input: "subscribe T N", "unsubscribe T", "hold" (give nothing back until
 * "release"), "trouble T", "consumers T [G]", "rounds K N" (in each of K groups more, named
 * <group>-0 and so on, come and go N times for topic t of two partitions; then the bytes that
 * this process has allocated are printed), "quit". SIGTERM is "quit" too.
 */
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "helper/coordination/coordination.h"
#include "helper/zookeeper/zk.h"

#define HELD_BACK_MAX 1024
#define DEADLINE_MS 3000

static struct {
	struct coordination_env env;
	struct coordination *c;
	struct loop_watch *input;
	uv_signal_t term;
	const char *group;
	char line[4096];
	size_t n;
	bool hold;
	bool quitting;
	struct {
		char topic[TOPIC_MAX + 1];
		int32_t partition;
	} held_back[HELD_BACK_MAX];
	size_t n_held_back;
	char topics[16][TOPIC_MAX + 1];
	size_t n_topics;
} drive;

static const struct coordination_ops *const ops = &coordination_zookeeper;

static void
say(const char *what, const char *topic, int32_t partition)
{
	printf("%s %s %d\n", what, topic, partition);
	fflush(stdout);
}

static void
on_claimed(void *arg, const char *topic, int32_t partition)
{
	(void)arg;
	say("claimed", topic, partition);
}

static void
on_revoke(void *arg, const char *topic, int32_t partition)
{
	(void)arg;
	say("revoke", topic, partition);
	if (!drive.hold || drive.n_held_back == HELD_BACK_MAX) {
		ops->released(drive.c, topic, partition);
		return;
	}
	snprintf(drive.held_back[drive.n_held_back].topic, TOPIC_MAX + 1, "%s", topic);
	drive.held_back[drive.n_held_back++].partition = partition;
}

static void
on_lost(void *arg, const char *topic, int32_t partition)
{
	(void)arg;
	say("lost", topic, partition);
}

static const struct coordination_events events = {
	on_claimed, on_revoke, on_lost
};

static void
release_all(void)
{
	drive.hold = false;
	for (size_t i = 0; i < drive.n_held_back; i++)
		ops->released(drive.c, drive.held_back[i].topic, drive.held_back[i].partition);
	drive.n_held_back = 0;
}

static void
session_closed(void *arg)
{
	(void)arg;
	printf("end\n");
	fflush(stdout);
	loop_stop(drive.env.loop);
}

static void
left(void *arg)
{
	(void)arg;
	printf("left\n");
	fflush(stdout);
	zk_close(drive.env.zk, session_closed, NULL);
}

static void
quit(void)
{
	if (drive.quitting)
		return;
	drive.quitting = true;
	release_all();
	for (size_t i = 0; i < drive.n_topics; i++)
		ops->unsubscribe(drive.c, drive.topics[i]);
	ops->close(drive.c, left, NULL);
}

/*
 * Rounds.
 */

#define ROUNDS_MAX 64
#define LOOK_MS 10

static struct round {
	struct coordination *c;
	struct loop_timer look;
	unsigned left;
	char group[GROUP_MAX + 1];
} rounds[ROUNDS_MAX];
static unsigned n_rounds;		/* that are not over */

static void round_begin(struct round *r);

static void
round_ignore(void *arg, const char *topic, int32_t partition)
{
	(void)arg, (void)topic, (void)partition;
}

static void
round_revoke(void *arg, const char *topic, int32_t partition)
{
	const struct round *r = arg;

	ops->released(r->c, topic, partition);
}

static void
round_left(void *arg)
{
	struct round *r = arg;

	if (--r->left > 0) {
		round_begin(r);
		return;
	}
	loop_timer_end(&r->look);
	if (--n_rounds > 0)
		return;
	printf("rounds %zu\n", mallinfo2().uordblks);
	fflush(stdout);
}

/* It has what it will get: all, or it waits for others. */
static void
round_look(void *arg)
{
	struct round *r = arg;
	const char *why = ops->trouble(r->c, "t");

	if (why && strstr(why, "not been released yet") == NULL)
		return;
	loop_timer_set(drive.env.loop, &r->look, INT32_MAX, 0, round_look, r);
	ops->unsubscribe(r->c, "t");
	ops->close(r->c, round_left, r);
}

static void
round_begin(struct round *r)
{
	static const struct coordination_events of_round = {
		round_ignore, round_revoke, round_ignore
	};

	if (ops->open(&drive.env, r->group, &of_round, r, &r->c) != KP_OK ||
	    ops->subscribe(r->c, "t", 2) != KP_OK)
		abort();
	loop_timer_set(drive.env.loop, &r->look, LOOK_MS, LOOK_MS, round_look, r);
}

static void
rounds_begin(const char *group, unsigned groups, unsigned times)
{
	for (n_rounds = 0; n_rounds < groups && n_rounds < ROUNDS_MAX; n_rounds++) {
		struct round *r = &rounds[n_rounds];

		snprintf(r->group, sizeof(r->group), "%s-%u", group, n_rounds);
		r->left = times;
		round_begin(r);
	}
}

static void
on_term(uv_signal_t *uv, int number)
{
	(void)uv;
	(void)number;
	quit();
}

static void
subscribe(const char *topic, int32_t n)
{
	size_t i;

	for (i = 0; i < drive.n_topics && strcmp(drive.topics[i], topic) != 0; i++)
		;
	if (i == drive.n_topics && i < 16)
		snprintf(drive.topics[drive.n_topics++], TOPIC_MAX + 1, "%s", topic);
	if (ops->subscribe(drive.c, topic, n) != KP_OK)
		abort();
}

static void
print_consumers(void *arg, enum kp_err err, const char *text, const struct msg_consumers *found)
{
	(void)arg;
	printf("consumers %s", err ? text : "ok");
	for (size_t i = 0; err == KP_OK && i < found->n; i++) {
		const struct msg_consumer *m = &found->v[i];

		printf(" %.*s/%.*s=", (int)m->group.n, (const char *)m->group.p,
		    (int)m->member.n, (const char *)m->member.p);
		for (size_t k = 0; k < m->n; k++)
			printf("%s%d", k ? "," : "", m->partitions[k]);
	}
	printf("\n");
	fflush(stdout);
}

static void
run(char *line)
{
	const char *why;
	char *word[3] = { NULL, NULL, NULL };
	char *rest = line;

	for (size_t i = 0; i < 3; i++)
		word[i] = strtok_r(i ? NULL : line, " ", &rest);
	if (word[0] == NULL)
		return;
	if (strcmp(word[0], "subscribe") == 0 && word[2])
		subscribe(word[1], (int32_t)strtol(word[2], NULL, 10));
	else if (strcmp(word[0], "unsubscribe") == 0 && word[1])
		ops->unsubscribe(drive.c, word[1]);
	else if (strcmp(word[0], "hold") == 0)
		drive.hold = true;
	else if (strcmp(word[0], "release") == 0)
		release_all();
	else if (strcmp(word[0], "consumers") == 0 && word[1])
		ops->consumers(&drive.env, word[1], word[2], DEADLINE_MS, print_consumers, NULL);
	else if (strcmp(word[0], "rounds") == 0 && word[2])
		rounds_begin(drive.group, (unsigned)strtoul(word[1], NULL, 10),
		    (unsigned)strtoul(word[2], NULL, 10));
	else if (strcmp(word[0], "quit") == 0)
		quit();
	else if (strcmp(word[0], "trouble") == 0 && word[1]) {
		why = ops->trouble(drive.c, word[1]);
		printf("trouble %s\n", why ? why : "none");
		fflush(stdout);
	}
}

static void
on_input(void *arg)
{
	ssize_t n = read(0, drive.line + drive.n, sizeof(drive.line) - 1 - drive.n);
	char *end;

	(void)arg;
	if (n <= 0) {
		loop_watch_end(drive.input);
		return;
	}
	drive.n += (size_t)n;
	drive.line[drive.n] = '\0';
	while ((end = strchr(drive.line, '\n')) != NULL) {
		*end = '\0';
		run(drive.line);
		drive.n -= (size_t)(end + 1 - drive.line);
		memmove(drive.line, end + 1, drive.n + 1);
	}
}

int
main(int argc, char **argv)
{
	enum kp_err err;

	if (argc < 4)
		return 2;
	log_init("zkdrive", getenv("ZKDRIVE_DEBUG") ? LOG_DEBUG : LOG_INFO);
	drive.env.loop = loop_new();
	drive.group = argv[2];
	drive.env.member = argv[3];
	err = zk_open(drive.env.loop, argv[1], &drive.env.zk);
	if (err == KP_OK)
		err = ops->open(&drive.env, argv[2], &events, NULL, &drive.c);
	if (err) {
		fprintf(stderr, "zkdrive: %s\n", kp_err_text(err));
		return 1;
	}
	for (int i = 4; i < argc; i++) {
		char *colon = strchr(argv[i], ':');

		if (colon == NULL)
			return 2;
		*colon = '\0';
		subscribe(argv[i], (int32_t)strtol(colon + 1, NULL, 10));
	}
	drive.input = loop_watch_fd(drive.env.loop, 0, on_input, NULL);
	uv_signal_init(loop_uv(drive.env.loop), &drive.term);
	uv_signal_start(&drive.term, on_term, SIGTERM);
	loop_run(drive.env.loop);
	loop_free(drive.env.loop);
	return 0;
}
