/* Looks at each part once a second, and when it is asked. */
#include "helper/admin/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

#define LOOK_MS 1000
/* A delivery or an answer within this time shows that Kafka is there. */
#define FRESH_MS 5000
#define ASK_TIMEOUT_MS 2500
/* Another cause of the same trouble is logged, but not several in turn all the time. */
#define NEWS_MS 30000
/* What is over within this time of our start is no trouble, but the start. */
#define START_MS 5000

struct part {
	const char *name;
	bool used, up;
	bool starting;			/* it has not been up yet */
	bool causes;			/* its trouble is told with its cause */
	int64_t wall_since_ms;		/* times to be shown, and only that */
	int64_t wall_error_ms;
	int64_t logged_ms;		/* the last line of what is wrong */
	char error[TEXT_MAX];
};

struct health {
	struct loop *loop;
	struct kafka_admin *admin;
	struct zk *zk;
	struct sender *sender;
	struct loop_timer timer;
	int64_t begun_ms;
	bool stopped;
	struct part kafka, zookeeper, store;
	int64_t seen_ms;		/* when Kafka was last there, on the loop's clock */
	bool asking;
	struct loop_job job;
	/* The worker's until its job is done. */
	enum kp_err err;
	char why[WHY_MAX];
};

/* It has been told before that Kafka is down, but not why, or another reason. */
static bool
is_news(const struct part *p, const char *trouble, int64_t now)
{
	size_t n = strlen(p->error);

	if (!p->causes || strcmp(p->error, trouble) == 0)
		return false;
	return now - p->logged_ms > NEWS_MS || strncmp(p->error, trouble, n) == 0;
}

/* `trouble` NULL: it serves. */
static void
part_enter(struct health *h, struct part *p, const char *trouble)
{
	bool up = trouble == NULL, news = p->up != up;
	int64_t now = loop_now_ms(h->loop), wall_now = clock_wall_ms();

	if (!up) {
		news |= is_news(p, trouble, now);
		p->wall_error_ms = wall_now;
		snprintf(p->error, sizeof(p->error), "%s", trouble);
	} else if (p->starting) {
		p->starting = false;
		if (now - h->begun_ms < START_MS)
			p->wall_error_ms = 0;
	}
	if (p->up != up)
		p->wall_since_ms = wall_now;
	p->up = up;
	if (news && up) {
		log_info("health part=%s state=up", p->name);
	} else if (news) {
		log_warn("health part=%s state=down: %s", p->name, trouble);
		p->logged_ms = now;
	}
}

/* ---- Kafka ---- */

/* It serves, and yet is not as somebody wants it. */
static void
see_left_out(struct health *h)
{
	struct part *p = &h->kafka;
	char text[TEXT_MAX];

	if (!p->up || !kafka_admin_left_out(h->admin, text, sizeof(text)) ||
	    strcmp(p->error, text) == 0)
		return;
	memcpy(p->error, text, sizeof(text));
	p->wall_error_ms = clock_wall_ms();
}

static void
ask_work(struct loop_job *job)
{
	struct health *h = loop_owner(job, struct health, job);

	h->err = kafka_admin_reach(h->admin, ASK_TIMEOUT_MS, h->why);
}

static void
ask_done(struct loop_job *job)
{
	struct health *h = loop_owner(job, struct health, job);

	h->asking = false;
	if (h->err == KP_OK)
		h->seen_ms = loop_now_ms(h->loop);
	part_enter(h, &h->kafka, h->err ? h->why : NULL);
}

static void
look_at_kafka(struct health *h)
{
	int64_t now = loop_now_ms(h->loop);
	struct sender_stats s;

	sender_stats(h->sender, &s);
	if (s.delivered_ms > h->seen_ms) {
		h->seen_ms = s.delivered_ms;
		part_enter(h, &h->kafka, NULL);
	}
	if (h->asking || h->stopped || (h->kafka.up && now - h->seen_ms < FRESH_MS))
		return;
	h->job.lane = LOOP_HEALTH;
	h->job.work = ask_work;
	h->job.done = ask_done;
	h->asking = loop_work(h->loop, &h->job);
}

static void
look(void *arg)
{
	struct health *h = arg;
	struct sender_stats s;

	look_at_kafka(h);
	see_left_out(h);
	if (h->zk)
		part_enter(h, &h->zookeeper, zk_trouble(h->zk));
	sender_stats(h->sender, &s);
	if (h->store.used)
		part_enter(h, &h->store, s.trouble);
}

/* ---- */

struct health *
health_new(struct loop *l, struct kafka_admin *admin, struct zk *zk, struct sender *sender)
{
	struct health *h = calloc(1, sizeof(*h));
	int64_t now = clock_wall_ms();

	if (h == NULL)
		return NULL;
	h->loop = l;
	h->begun_ms = loop_now_ms(l);
	h->admin = admin;
	h->zk = zk;
	h->sender = sender;
	h->kafka = (struct part){ .name = "kafka", .used = true, .starting = true,
	    .causes = true, .wall_since_ms = now };
	h->zookeeper = (struct part){ .name = "zookeeper", .used = zk != NULL,
	    .starting = true, .wall_since_ms = now };
	h->store = (struct part){ .name = "store", .used = sender_store(sender) != NULL,
	    .up = true, .wall_since_ms = now };
	snprintf(h->kafka.error, sizeof(h->kafka.error), "no answer since the start");
	loop_timer_set(l, &h->timer, 0, LOOK_MS, look, h);
	return h;
}

void
health_stop(struct health *h)
{
	if (h == NULL)
		return;
	h->stopped = true;
	loop_timer_end(&h->timer);
}

void
health_free(struct health *h)
{
	free(h);
}

static void
show(const struct part *p, struct msg_part *out)
{
	*out = (struct msg_part){
		.state = !p->used ? PART_UNUSED : p->up ? PART_UP : PART_DOWN,
		.since_ms = p->wall_since_ms, .error_ms = p->wall_error_ms,
		.error = kp_slice_str(p->error),
	};
}

void
health_get(struct health *h, struct msg_part *kafka, struct msg_part *zookeeper,
    struct msg_part *store)
{
	if (!h->stopped)
		look(h);
	show(&h->kafka, kafka);
	show(&h->zookeeper, zookeeper);
	show(&h->store, store);
}
