/* New handles, asked for what each must know first: the brokers. */
#include "helper/kafka/kafka_reach.h"

#include <stdlib.h>

#include "common/log.h"

#define ASK_EACH_MS (KAFKA_LOST_MS / 5)
/* What is on its way for less time is nothing to ask about. */
#define ASK_AFTER_MS (KAFKA_LOST_MS / 5)
#define ASK_TIMEOUT_MS 4000
/* Nobody has wanted to know it for so long: what was known then says nothing any more. */
#define FORGET_MS (KAFKA_LOST_MS / 2)
/* A peer is asked again: one that answers for all we know, one that did not, one that is left
 * out. */
#define PEERS_MS 1000
#define BROKER_AGAIN_MS (10 * 60 * 1000)
#define SILENT_AGAIN_MS 15000
#define OUT_AGAIN_MS 60000
/* Of a name that no topic can have brokers do not make one, and tell of no other. Without one
 * they tell of all: those before 0.10 would have more trouble with the name. */
#define NO_TOPIC "?"

struct kafka_reach {
	struct loop *loop;
	struct kafka *kafka;
	int64_t wanted_ms;		/* the last time somebody did */
	int64_t asked_ms;		/* when the last question began */
	int64_t since_ms;		/* all from then on were answered; 0: the last was not */
	bool asking, stopped;
	struct loop_job job;
	bool answered;			/* the worker's until its job is done */
	/* The peers, one of which is asked at a time. */
	struct loop_timer timer;
	int64_t *due_ms;		/* by their number */
	size_t at;			/* whose turn it is, or is asked */
	bool looking, news;
	struct loop_job look;
	rd_kafka_resp_err_t err;	/* the worker's until its job is done */
	void (*changed)(void *arg);
	void *arg;
};

/* Whom: NULL for all peers. */
static rd_kafka_resp_err_t
ask_anew(struct kafka *k, const char *whom)
{
	const struct kafka_property props[] = {
		{ "allow.auto.create.topics", "false" },
		{ whom ? "!bootstrap.servers" : NULL, whom },
		{ NULL, NULL },
	};
	rd_kafka_t *rk = kafka_new(k, RD_KAFKA_CONSUMER, props, 0);
	rd_kafka_topic_t *rkt = rk && !kafka_is_old(k) ? rd_kafka_topic_new(rk, NO_TOPIC, NULL) :
	    NULL;
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
	const struct rd_kafka_metadata *md;

	if (rk)
		err = rd_kafka_metadata(rk, 0, rkt, &md, ASK_TIMEOUT_MS);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(md);
	if (rkt)
		rd_kafka_topic_destroy(rkt);
	if (rk)
		rd_kafka_destroy(rk);
	return err;
}

/* ---- all of them ---- */

static void
ask_work(struct loop_job *job)
{
	struct kafka_reach *r = loop_owner(job, struct kafka_reach, job);

	r->answered = ask_anew(r->kafka, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
ask_done(struct loop_job *job)
{
	struct kafka_reach *r = loop_owner(job, struct kafka_reach, job);

	r->asking = false;
	if (!r->answered)
		r->since_ms = 0;
	else if (r->since_ms == 0)
		r->since_ms = loop_now_ms(r->loop);
}

static void
ask(struct kafka_reach *r, int64_t now)
{
	if (r->asking || r->stopped || now - r->asked_ms < ASK_EACH_MS)
		return;
	r->job.work = ask_work;
	r->job.done = ask_done;
	r->asking = loop_work(r->loop, &r->job);
	r->asked_ms = now;
}

bool
kafka_reach_lost(struct kafka_reach *r, int64_t since_ms)
{
	int64_t now = loop_now_ms(r->loop);

	if (since_ms == 0 || now - since_ms < ASK_AFTER_MS)
		return false;
	if (now - r->wanted_ms > FORGET_MS)
		r->since_ms = 0;
	r->wanted_ms = now;
	ask(r, now);
	return now - since_ms >= KAFKA_LOST_MS && r->since_ms &&
	    now - r->since_ms >= KAFKA_LOST_MS / 2;
}

/* ---- each of them ---- */

static void look(void *arg);

static void
look_work(struct loop_job *job)
{
	struct kafka_reach *r = loop_owner(job, struct kafka_reach, look);

	r->err = ask_anew(r->kafka, kafka_peers_name(kafka_peers(r->kafka), r->at));
}

/* What a controller is asked librdkafka does not even send: it has said what it takes. */
static void
look_done(struct loop_job *job)
{
	struct kafka_reach *r = loop_owner(job, struct kafka_reach, look);
	struct kafka_peers *peers = kafka_peers(r->kafka);
	bool out = r->err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
	bool known = out || r->err == RD_KAFKA_RESP_ERR_NO_ERROR;
	const char *name = kafka_peers_name(peers, r->at);

	r->looking = false;
	r->due_ms[r->at] = loop_now_ms(r->loop) + (out ? OUT_AGAIN_MS :
	    known ? BROKER_AGAIN_MS : SILENT_AGAIN_MS);
	if (r->stopped)
		return;
	if (known && kafka_peers_leave_out(peers, r->at, out)) {
		if (out)
			log_warn("kafka peer=%s is no broker: it is left out; a controller does "
			    "not belong into --kafkaPeers", name);
		else
			log_info("kafka peer=%s is a broker now", name);
		r->news = true;
	}
	look(r);
}

/* All that were due have been asked. */
static void
tell(struct kafka_reach *r)
{
	if (r->news && r->changed)
		r->changed(r->arg);
	r->news = false;
}

static void
look(void *arg)
{
	struct kafka_reach *r = arg;
	size_t n = kafka_peers_count(kafka_peers(r->kafka)), i = 0;

	while (i < n && r->due_ms[(r->at + i) % n] > loop_now_ms(r->loop))
		i++;
	if (r->looking)
		return;
	if (i == n) {
		tell(r);
		return;
	}
	r->at = (r->at + i) % n;
	r->look.work = look_work;
	r->look.done = look_done;
	r->looking = loop_work(r->loop, &r->look);
}

/* ---- life ---- */

struct kafka_reach *
kafka_reach_new(struct loop *l, struct kafka *k, bool embedded)
{
	struct kafka_reach *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	*r = (struct kafka_reach){ .loop = l, .kafka = k, .asked_ms = -ASK_EACH_MS };
	r->due_ms = calloc(kafka_peers_count(kafka_peers(k)) + 1, sizeof(*r->due_ms));
	if (r->due_ms == NULL) {
		free(r);
		return NULL;
	}
	if (!embedded)
		loop_timer_set(l, &r->timer, 0, PEERS_MS, look, r);
	return r;
}

void
kafka_reach_on_change(struct kafka_reach *r, void (*changed)(void *arg), void *arg)
{
	r->changed = changed;
	r->arg = arg;
}

void
kafka_reach_stop(struct kafka_reach *r)
{
	if (r == NULL)
		return;
	r->stopped = true;
	loop_timer_end(&r->timer);
}

void
kafka_reach_free(struct kafka_reach *r)
{
	if (r == NULL)
		return;
	free(r->due_ms);
	free(r);
}
