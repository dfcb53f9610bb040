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
#include <string.h>

#include "common/steps.h"
#include "helper/consume/group_commit.h"
#include "helper/consume/group_life.h"
#include "helper/consume/group_look.h"
#include "helper/consume/group_lost.h"
#include "helper/consume/group_range.h"
#include "helper/consume/group_start.h"
#include "helper/consume/group_topic.h"

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
	    p->t->group, p->t->name, p->partition);
	p->state = next;
}

static void
drop_message(void *message)
{
	consumer_message_free(message);
}

/* ---- offers ---- */

void
gpart_ready(struct gpart *p)
{
	if (p->state == GPART_ACTIVE && budget_link_alone(&p->ready))
		budget_link_last(&p->t->ready, &p->ready);
}

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
		group_tick_soon(p->t->g);
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

/* Withdraws all offers, for good or for now; confirms of them find nothing. */
static void
withdraw(struct gpart *p)
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

	if (reader == NULL) {
		gpart_disown(p);
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

struct gpart *
gpart_find(struct gtopic *t, int32_t partition)
{
	return partition >= 0 && partition < t->n_index ? t->index[partition] : NULL;
}

static struct gpart *
find_claimed(struct group *g, const char *topic, int32_t partition)
{
	struct gtopic *t = topic_find(g, topic);

	return t ? gpart_find(t, partition) : NULL;
}

/* Makes room for it in the index. */
static bool
has_place(struct gtopic *t, int32_t partition)
{
	struct gpart **index;
	int32_t n = partition < t->n_partitions ? t->n_partitions : partition + 1;

	if (partition < t->n_index)
		return true;
	index = realloc(t->index, (size_t)n * sizeof(struct gpart *));
	if (index == NULL)
		return false;
	memset(index + t->n_index, 0, (size_t)(n - t->n_index) * sizeof(struct gpart *));
	t->index = index;
	t->n_index = n;
	return true;
}

void
gpart_claimed(void *arg, const char *topic, int32_t partition)
{
	struct gtopic *t = topic_find(arg, topic);
	struct gpart *p, **at;

	/* One that is leaving gets its revoke() next. */
	if (t == NULL || t->state == TOPIC_LEAVING || gpart_find(t, partition))
		return;
	p = has_place(t, partition) ? calloc(1, sizeof(*p)) : NULL;
	if (p == NULL) {
		log_error("partition group=%s topic=%s partition=%d: out of memory", t->group,
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
	log_debug("partition claimed group=%s topic=%s partition=%d", t->group, topic,
	    partition);
	topic_start_parts(t);
}

void
gpart_start_at(struct gpart *p, const struct partition_offsets *from)
{
	struct gtopic *t = p->t;
	int64_t offset = from->committed;

	p->reader = consumer_add(group_consumer(t->g), t->name, p->partition, offset, p);
	if (p->reader == NULL)
		return;			/* stays STARTING, is tried again */
	offers_init(&p->offers, offset, from->end);
	if (!committed_start(&p->committed, &p->offers, offset, from->metadata, topic_now_ms(t)))
		log_debug("metadata is no list of acknowledged messages group=%s topic=%s "
		    "partition=%d", t->group, t->name, p->partition);
	gpart_enter(p, GPART_ACTIVE);
	t->known = p->partition;
	p->doubt_ms = 0;
	stall_reset(&p->stall);
	gpart_ready(p);
	log_info("partition started group=%s topic=%s partition=%d offset=%lld", t->group,
	    t->name, p->partition, (long long)offset);
}

void
gpart_restart(struct gpart *p)
{
	withdraw(p);
	committed_unsend(&p->committed);
	gpart_enter(p, GPART_STARTING);
	topic_start_parts(p->t);
}

void
gpart_disown(struct gpart *p)
{
	if (p->state == GPART_ACTIVE)
		gpart_restart(p);
	else if (p->reader)
		withdraw(p);
}

/* Takes it out of the topic; `release` tells whether others may have it. */
static void
gpart_end(struct gpart *p, bool release)
{
	struct gtopic *t = p->t;
	int32_t partition = p->partition;
	struct gpart **at = &t->parts;

	if (p->reader)
		withdraw(p);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	t->index[partition] = NULL;
	budget_link_leave(&p->ready);
	if (t->state == TOPIC_ACTIVE && !topic_any_starting(t))
		t->why[0] = '\0';	/* of parts that could not start */
	log_info("partition %s group=%s topic=%s partition=%d offset=%lld",
	    release ? "released" : "lost", t->group, t->name, partition,
	    (long long)p->committed.offset);
	committed_free(&p->committed);
	free(p);
	if (release)
		group_release(t->g, t->name, partition);
	topic_step(t);
}

void
gpart_step(struct gpart *p)
{
	struct group *g = p->t->g;
	int64_t waited = topic_now_ms(p->t) - p->stop_ms;

	if (p->offers.out > 0 && waited < STOP_CONFIRM_MS)
		return;
	/* An initial offset that is being stored, or one that is set, must not land after
	 * the next owner's. */
	if (p->reader == NULL && (p->t->start || p->t->holds))
		return;
	/* Nor a commit that is on its way, of what is committed already. */
	if ((committed_is_sent(&p->committed) || group_is_probed(g)) &&
	    waited < STOP_CONFIRM_MS + STOP_COMMIT_MS)
		return;
	if (p->reader && committed_is_old(&p->committed, &p->offers) && !group_leaves_lost(g) &&
	    waited < STOP_CONFIRM_MS + STOP_COMMIT_MS) {
		group_commit(g);
		return;
	}
	gpart_end(p, true);
}

void
gpart_give_up(struct gpart *p)
{
	p->stop_ms = topic_now_ms(p->t) - STOP_CONFIRM_MS - STOP_COMMIT_MS;
}

void
gpart_revoke(void *arg, const char *topic, int32_t partition)
{
	struct gpart *p = find_claimed(arg, topic, partition);

	if (p == NULL) {
		group_release(arg, topic, partition);
		return;
	}
	if (p->state == GPART_STOPPING)
		return;
	gpart_enter(p, GPART_STOPPING);
	p->stop_ms = topic_now_ms(p->t);
	gpart_step(p);
}

void
gpart_lost(void *arg, const char *topic, int32_t partition)
{
	struct gpart *p = find_claimed(arg, topic, partition);

	if (p == NULL)
		return;
	topic_start_is_stale(p->t);
	gpart_end(p, false);
}
