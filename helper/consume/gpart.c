/*
 * The life of one partition that this host has claimed:
 *
 *	claimed -> STARTING -> ACTIVE -> STOPPING -> released
 *	             ^  |        |          ^
 *	             |  '--------|----------'	revoked before it has started
 *	             '-----------'	offsets were set, or it is read from somewhere else
 *
 * While ACTIVE it offers messages; STOPPING waits for those that are out, commits
 * and only then gives the claim back, so that nothing is skipped or read by two. One that is
 * lost ends in any state.
 */
#include "helper/consume/gpart.h"

#include <stdlib.h>

#include "common/steps.h"
#include "helper/consume/group_state.h"

#define STOP_CONFIRM_MS 3000
#define STOP_COMMIT_MS 5000

static const struct steps steps[] = {
	[GPART_STARTING] = { "starting", STEP(GPART_ACTIVE) },
	[GPART_ACTIVE] = { "active", STEP(GPART_STARTING) },
	[GPART_STOPPING] = { "stopping", STEP(GPART_STARTING) | STEP(GPART_ACTIVE) },
};

/* The only place that changes the state. */
static void
gpart_enter(struct gpart *p, enum gpart_state next)
{
	steps_log(steps, p->state, next, "partition group=%s topic=%s partition=%d",
	    p->t->g->name, p->t->name, p->partition);
	p->state = next;
}

static void
drop_message(void *message)
{
	consumer_message_free(message);
}

int64_t
gpart_now_ms(const struct gpart *p)
{
	return loop_now_ms(p->t->g->gs->env.loop);
}

/* ---- offers ---- */

enum offers_ack
gpart_ack(struct gpart *p, int64_t offset)
{
	struct offer *f = offers_find(&p->offers, offset);
	enum offers_ack done;
	void *message;

	/* The acknowledgement may be here before the responder's word that the message was
	 * delivered, which finds nothing then. */
	if (f && f->state == OFFER_OUT)
		offering_drop(offering_of(p, f));
	done = offers_ack(&p->offers, offset, &message);
	consumer_message_free(message);
	gpart_ready(p);
	if (p->state == GPART_STOPPING)
		groups_tick_soon(p->t->g->gs);
	return done;
}

/* The next one that is not acknowledged already. */
static struct offer *
read_next(struct gpart *p)
{
	struct consumer_message *message;
	struct msg_message m;
	struct offer *f;

	do {
		switch (consumer_next(p->reader, &message)) {
		case CONSUMER_EMPTY:
			return NULL;
		case CONSUMER_OUT_OF_RANGE:
			p->astray = true;
			topic_ask_range(p->t);
			return NULL;
		case CONSUMER_MESSAGE:
			stall_gave(&p->stall);
			break;
		}
		m = consumer_message_view(message);
		if (!offers_skip(&p->offers, m.offset))
			break;
		consumer_message_free(message);
	} while (true);
	f = offers_add(&p->offers, m.offset, message, m.key.n + m.value.n);
	if (f == NULL) {
		consumer_message_free(message);
		gpart_restart(p);	/* it was read, and must be read again */
	}
	return f;
}

struct offer *
gpart_next(struct gpart *p)
{
	struct offer *f;

	if (p->state != GPART_ACTIVE)
		return NULL;
	f = offers_again(&p->offers);
	if (f)
		consumer_message_pend(f->message, false);
	if (f || p->astray || offers_full(&p->offers))
		return f;
	return read_next(p);
}

void
gpart_withdraw(struct gpart *p)
{
	while (!TAILQ_EMPTY(&p->out))
		offering_drop(TAILQ_FIRST(&p->out));
	offers_clear(&p->offers, drop_message);
	consumer_remove(p->reader);
	p->reader = NULL;
	p->astray = false;
}

void
gpart_hand_over(struct gpart *p, struct consumer *next)
{
	struct consumer_part *reader = consumer_add(next, p->t->name, p->partition,
	    consumer_position(p->reader), p);

	if (reader == NULL && p->state == GPART_ACTIVE) {
		gpart_restart(p);
	} else if (reader == NULL) {
		gpart_withdraw(p);
	} else {
		consumer_remove(p->reader);
		p->reader = reader;
		gpart_ready(p);
	}
}

/* ---- what Kafka says of it ---- */

void
gpart_note_leader(struct gpart *p, bool led)
{
	p->no_leader = !led;
}

void
gpart_doubt(struct gpart *p, int64_t since_ms)
{
	p->doubt_ms = since_ms;
}

void
gpart_found(struct gpart *p)
{
	p->doubt_ms = 0;
	p->astray = false;
	consumer_rewind(p->reader);
}

/* ---- claim, start, stop ---- */

void
gpart_claimed(void *arg, const char *topic, int32_t partition)
{
	struct group *g = arg;
	struct gtopic *t = topic_find(g, topic);
	struct gpart *p, **at;

	/* One that is leaving gets its revoke() next. */
	if (t == NULL || t->state == TOPIC_LEAVING || gpart_find(t, partition))
		return;
	p = topic_has_place(t, partition) ? calloc(1, sizeof(*p)) : NULL;
	if (p == NULL) {
		log_error("partition group=%s topic=%s partition=%d: out of memory", g->name,
		    topic, partition);
		return;
	}
	budget_link_init(&p->ready);
	TAILQ_INIT(&p->out);
	p->t = t;
	p->partition = partition;
	committed_init(&p->committed);
	stall_reset(&p->stall);
	for (at = &t->parts; *at && (*at)->partition < partition; at = &(*at)->next)
		;
	p->next = *at;
	*at = p;
	t->index[partition] = p;
	/* The brokers may tell of one that is new before Kafka was asked for them. */
	if (t->state == TOPIC_ACTIVE && partition >= t->n_partitions &&
	    t->n_partitions < t->first_new)
		t->first_new = t->n_partitions;
	log_debug("partition claimed group=%s topic=%s partition=%d", g->name, topic, partition);
	topic_start_parts(t);
}

void
gpart_start_at(struct gpart *p, const struct partition_offsets *from)
{
	struct gtopic *t = p->t;
	int64_t offset = from->committed;

	p->reader = consumer_add(t->g->consumer, t->name, p->partition, offset, p);
	if (p->reader == NULL)
		return;			/* stays STARTING, is tried again */
	offers_init(&p->offers, offset, from->end);
	if (!committed_start(&p->committed, &p->offers, offset, from->metadata, gpart_now_ms(p)))
		log_debug("metadata is no list of acknowledged messages group=%s topic=%s "
		    "partition=%d", t->g->name, t->name, p->partition);
	gpart_enter(p, GPART_ACTIVE);
	t->known = p->partition;
	p->doubt_ms = 0;
	stall_reset(&p->stall);
	gpart_ready(p);
	log_info("partition started group=%s topic=%s partition=%d offset=%lld", t->g->name,
	    t->name, p->partition, (long long)offset);
}

void
gpart_restart(struct gpart *p)
{
	gpart_withdraw(p);
	committed_unsend(&p->committed);
	gpart_enter(p, GPART_STARTING);
	topic_start_parts(p->t);
}

/* Takes it out of the topic; `release` tells whether others may have it. */
static void
gpart_end(struct gpart *p, bool release)
{
	struct gtopic *t = p->t;
	struct group *g = t->g;
	int32_t partition = p->partition;
	struct gpart **at = &t->parts;

	if (p->reader)
		gpart_withdraw(p);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	t->index[partition] = NULL;
	budget_link_leave(&p->ready);
	if (t->state == TOPIC_ACTIVE && !topic_any_starting(t))
		t->why[0] = '\0';	/* of parts that could not start */
	log_info("partition %s group=%s topic=%s partition=%d offset=%lld",
	    release ? "released" : "lost", g->name, t->name, partition,
	    (long long)p->committed.offset);
	committed_free(&p->committed);
	free(p);
	if (release)
		g->gs->env.ops->released(g->coord, t->name, partition);
	topic_step(t);
}

void
gpart_step(struct gpart *p)
{
	struct group *g = p->t->g;
	int64_t waited = gpart_now_ms(p) - p->stop_ms;

	if (p->offers.out > 0 && waited < STOP_CONFIRM_MS)
		return;
	/* An initial offset that is being stored, or one that is set, must not land after
	 * the next owner's. */
	if (p->reader == NULL && (p->t->start || p->t->holds))
		return;
	/* Nor a commit that is on its way, of what is committed already. */
	if ((committed_is_sent(&p->committed) || g->probe.job) &&
	    waited < STOP_CONFIRM_MS + STOP_COMMIT_MS)
		return;
	if (p->reader && committed_is_old(&p->committed, &p->offers) && !g->lost.leaves &&
	    waited < STOP_CONFIRM_MS + STOP_COMMIT_MS) {
		group_commit(g);
		return;
	}
	gpart_end(p, true);
}

void
gpart_give_up(struct gpart *p)
{
	p->stop_ms = gpart_now_ms(p) - STOP_CONFIRM_MS - STOP_COMMIT_MS;
}

void
gpart_revoke(void *arg, const char *topic, int32_t partition)
{
	struct group *g = arg;
	struct gtopic *t = topic_find(g, topic);
	struct gpart *p = t ? gpart_find(t, partition) : NULL;

	if (p == NULL) {
		g->gs->env.ops->released(g->coord, topic, partition);
		return;
	}
	if (p->state == GPART_STOPPING)
		return;
	gpart_enter(p, GPART_STOPPING);
	p->stop_ms = gpart_now_ms(p);
	gpart_step(p);
}

void
gpart_lost(void *arg, const char *topic, int32_t partition)
{
	struct group *g = arg;
	struct gtopic *t = topic_find(g, topic);
	struct gpart *p = t ? gpart_find(t, partition) : NULL;

	if (p == NULL)
		return;
	topic_start_is_stale(t);
	gpart_end(p, false);
}
