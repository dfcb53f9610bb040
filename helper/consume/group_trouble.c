/*
 * Empty or broken: why a topic gives nothing, in words for the user, since when, and
 * after how many seconds another try is worth it.
 */
#include "helper/consume/group_trouble.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_out.h"
#include "helper/consume/group.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_lost.h"
#include "helper/consume/group_topic.h"

/* A group that is just being joined is no trouble yet. */
#define SHOW_MS 3000

struct cause {
	const char *text;
	uint32_t retry_s;
	bool dated;			/* the text says since when */
	char room[WHY_MAX];
	char more[TROUBLE_MAX - 160];	/* behind since when */
};

#define RETRY_SOON_S 1			/* this host is at it */
#define RETRY_OTHERS_S 5		/* somebody else must do something first */
#define RETRY_PEOPLE_S 10		/* most likely a human */

static uint32_t
retry_of(enum kp_err err)
{
	return err == KP_ECONFLICT || err == KP_EDENIED ? RETRY_PEOPLE_S :
	    err == KP_EUNAVAIL ? RETRY_OTHERS_S : RETRY_SOON_S;
}

static bool
find_in_coordination(struct gtopic *t, struct cause *c)
{
	const struct coordination_ops *ops = t->env->ops;

	c->text = ops->trouble(group_coord(t->g), t->name);
	c->dated = ops->dates_trouble;
	c->retry_s = ops->retry_s ? ops->retry_s(group_coord(t->g), t->name) : RETRY_SOON_S;
	return c->text != NULL;
}

/* As a value of a query. */
static void
put_query(struct kp_buf *b, const char *s)
{
	for (; *s; s++)
		if (isalnum((unsigned char)*s) || strchr("-._~", *s))
			kp_buf_put(b, s, 1);
		else
			kp_buf_printf(b, "%%%02X", (unsigned char)*s);
}

/* What is next cannot be handed out: it is for the operator to go on behind it. */
static bool
find_unfit(const struct gpart *p, struct cause *c)
{
	const char *why = p->state == GPART_ACTIVE ? consumer_unfit(p->reader) : NULL;
	long long at;
	struct kp_buf b;

	if (p->stall.stalled && p->t->stall.stuck)
		why = "Kafka does not give what is there";
	if (why == NULL)
		return false;
	at = consumer_position(p->reader);
	c->retry_s = RETRY_PEOPLE_S;
	snprintf(c->room, sizeof(c->room), "partition %d stands still at offset %lld",
	    p->partition, at);
	c->text = c->room;
	kp_buf_init(&b, sizeof(c->more) - 1);
	kp_buf_printf(&b, ": %s; to go on behind it, POST [{\"partition\": %d, \"offset\": %lld}] "
	    "to /topics/%s/offsets?group=", why, p->partition, at + 1, p->t->name);
	put_query(&b, p->t->group);
	/* Names may be too long for all of it. */
	if (b.failed)
		snprintf(c->more, sizeof(c->more), ": %s; to go on behind it, set the offset to "
		    "%lld", why, at + 1);
	else
		snprintf(c->more, sizeof(c->more), "%.*s", (int)b.len, (const char *)b.p);
	kp_buf_free(&b);
	return true;
}

static bool
find_in_parts(struct gtopic *t, struct cause *c)
{
	c->dated = false;
	for (const struct gpart *p = t->parts; p; p = p->next) {
		if (find_unfit(p, c))
			break;
		if (p->no_leader || p->stall.stalled || p->doubt_ms) {
			snprintf(c->room, sizeof(c->room), "partition %d %s", p->partition,
			    p->no_leader ? "has no leader" : p->stall.stalled ?
			    "has messages and gives none" : "ends before the offset of the group");
			c->text = c->room;
			c->retry_s = RETRY_OTHERS_S;
			break;
		}
		if (t->waiting.n && p->reader && consumer_waits_for_room(p->reader)) {
			c->text = "messages have used up --consumeMaxBytes";
			c->retry_s = RETRY_SOON_S;
		}
		if (p->state == GPART_STARTING) {
			c->text = "the offsets of the group are being read";
			c->retry_s = RETRY_SOON_S;
		}
	}
	return c->text != NULL;
}

/* A quota of the brokers: it may have messages, and there will be some in time. */
static bool
find_throttled(struct gtopic *t, struct cause *c)
{
	int64_t ms = group_throttled_ms(t->g);

	if (ms == 0)
		return false;
	c->text = "throttled by a quota of the brokers";
	c->retry_s = ms < RETRY_OTHERS_S * 1000 ? RETRY_SOON_S : RETRY_OTHERS_S;
	return true;
}

/* It may only have hung up on a broker that let it wait for too long. */
static void
find_unreachable(struct gtopic *t, struct cause *c)
{
	if (find_throttled(t, c))
		return;
	kafka_unreachable(t->env->kafka, c->room, sizeof(c->room));
	c->text = c->room;
	c->retry_s = RETRY_OTHERS_S;
}

/* False: the topic works. */
static bool
find_cause(struct gtopic *t, struct cause *c)
{
	*c = (struct cause){ 0 };
	if (t->why[0])
		*c = (struct cause){ .text = t->why, .retry_s = retry_of(t->err) };
	else if (t->state != TOPIC_ACTIVE)
		*c = (struct cause){ .text = "the group is being joined",
		    .retry_s = RETRY_SOON_S };
	else if (group_is_cut_off(t->g))
		find_unreachable(t, c);
	else if ((c->text = topic_commit_trouble(t)) != NULL)
		c->retry_s = RETRY_OTHERS_S;
	else
		return find_in_coordination(t, c) || find_in_parts(t, c) ||
		    find_throttled(t, c);
	return true;
}

const char *
topic_trouble(struct gtopic *t, uint32_t *retry_s)
{
	char since[JSON_TIME_MAX];
	struct cause c;

	if (!find_cause(t, &c)) {
		t->trouble.wall_since_ms = 0;
		return NULL;
	}
	if (t->trouble.wall_since_ms == 0) {
		t->trouble.wall_since_ms = clock_wall_ms();
		t->trouble.since_ms = topic_now_ms(t);
	}
	json_time_text(t->trouble.wall_since_ms, since);
	snprintf(t->trouble.text, sizeof(t->trouble.text), "%s%s%s%s", c.text,
	    c.dated ? "" : " since ", c.dated ? "" : since, c.more);
	*retry_s = c.retry_s;
	return t->trouble.text;
}

bool
topic_shows_trouble(struct gtopic *t, struct msg_group_trouble *m)
{
	uint32_t retry_s;
	const char *text = t->state == TOPIC_LEAVING ? NULL : topic_trouble(t, &retry_s);

	if (text == NULL || topic_now_ms(t) - t->trouble.since_ms < SHOW_MS)
		return false;
	*m = (struct msg_group_trouble){
		.group = kp_slice_str(t->group),
		.topic = kp_slice_str(t->name),
		.since_ms = t->trouble.wall_since_ms,
		.error = kp_slice_str(text),
	};
	return true;
}
