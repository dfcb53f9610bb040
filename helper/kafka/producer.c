/*
 * A librdkafka producer whose delivery reports are read on the loop.
 *
 * One request to a broker at a time: what waits meanwhile becomes one batch, so
 * that a single message travels at once and a thousand travel together. That does not
 * keep their order: librdkafka has the next request ready, and when the one on its way
 * fails and is to be repeated, the ready one goes first. Who needs order hands over one
 * request's worth for each partition while it is paused, so that no part of it can leave
 * before, flushes, and waits for its reports.
 */
#include "helper/kafka/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "helper/kafka/producer_flush.h"
#include "helper/kafka/producer_handle.h"

/* With flushes: longer than the owner mostly needs to hand over what is to go together. It
 * is waited for only by what is sent again, and when a broker's thread sleeps through a
 * flush. */
#define LINGER_MS 50
/* With flushes a partition has one request, and does not wait for those of others. */
#define IN_FLIGHT "16"
/* More than that stand still, and another new handle would, too. */
#define RETIRED_MAX 4
#define LOOK_MS (PRODUCER_HANDLE_IDLE_MS / 30)

/* Of a request that is not its messages, and more. */
#define REQUEST_OVERHEAD 1024

/* librdkafka's partitioners, and the keys that they look at. */
static const struct partitioner {
	const char *name;
	kafka_partitioner *choose;
	enum { NO_KEY, NON_EMPTY, NON_NULL, ANY_KEY } keys;
} partitioners[] = {
	{ "random", rd_kafka_msg_partitioner_random, NO_KEY },
	{ "consistent", rd_kafka_msg_partitioner_consistent, ANY_KEY },
	{ "consistent_random", rd_kafka_msg_partitioner_consistent_random, NON_EMPTY },
	{ "murmur2", rd_kafka_msg_partitioner_murmur2, ANY_KEY },
	{ "murmur2_random", rd_kafka_msg_partitioner_murmur2_random, NON_NULL },
	{ "fnv1a", rd_kafka_msg_partitioner_fnv1a, ANY_KEY },
	{ "fnv1a_random", rd_kafka_msg_partitioner_fnv1a_random, NON_NULL },
};
#define N_PARTITIONERS (sizeof(partitioners) / sizeof(partitioners[0]))

/* Messages in batches, or each in a batch of its own: librdkafka has that for a handle. */
struct side {
	struct producer *p;
	bool alone;
	struct producer_handle *handle;		/* NULL: not made yet */
	struct producer_handle *retired[RETIRED_MAX];	/* what they have is still to be reported */
};

enum { BATCHES, ALONE, N_SIDES };

struct producer {
	struct loop *loop;
	struct kafka *kafka;
	struct producer_conf conf;
	const struct partitioner *partitioner;
	struct producer_flush *flush;	/* NULL: not wanted */
	struct producer_handle *flushing;	/* by its thread */
	rd_kafka_topic_partition_list_t *held;
	struct side sides[N_SIDES];
	unsigned generation;
	struct loop_timer look;
};

static struct delivery
delivery_of(const struct side *side, rd_kafka_resp_err_t err)
{
	bool purged = err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
	    err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;

	return (struct delivery){
		.err = purged ? KP_EUNAVAIL : kafka_err(err),
		.permanent = kafka_err_permanent(err),
		.of_topic = kafka_err_of_topic(err),
		.shared = !side->alone && kafka_err_of_batch(err),
		.of_time = err == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
		.text = rd_kafka_err2str(err),
	};
}

static void
report(void *arg, const rd_kafka_message_t *m)
{
	const struct side *side = arg;
	struct delivery d = delivery_of(side, m->err);

	d.partition = m->partition;
	d.offset = m->offset;
	if (m->err)
		d.maybe_kept = rd_kafka_message_status(m) !=
		    RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
	d.given_up = m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE && !d.maybe_kept;
	side->p->conf.delivered(side->p->conf.arg, m->_private, &d);
}

static void
retired(void *arg, struct producer_handle *h)
{
	struct side *side = arg;

	for (size_t i = 0; i < RETIRED_MAX; i++)
		if (side->retired[i] == h)
			side->retired[i] = NULL;
}

static int32_t
choose(const rd_kafka_topic_t *rkt, const void *key, size_t key_bytes, int32_t partitions,
    void *opaque, void *msg_opaque)
{
	const struct producer *p = opaque;
	int32_t proposed;

	proposed = p->partitioner->choose(rkt, key, key_bytes, partitions, NULL, NULL);
	return p->conf.place ? p->conf.place(msg_opaque, partitions, proposed) : proposed;
}

/* As the handle was configured in the end. */
static const char *
property(const struct producer *p, const char *name, char *out, size_t cap)
{
	const struct producer_handle *h = p->sides[BATCHES].handle;
	const rd_kafka_conf_t *rc = rd_kafka_conf(producer_handle_rk(h));

	if (rd_kafka_conf_get(rc, name, out, &cap) != RD_KAFKA_CONF_OK)
		out[0] = '\0';
	return out;
}

static const struct partitioner *
find_partitioner(const struct producer *p)
{
	const struct partitioner *f = partitioners;
	char name[32];

	property(p, "partitioner", name, sizeof(name));
	while (f < &partitioners[N_PARTITIONERS - 1] && strcmp(f->name, name) != 0)
		f++;
	return f;
}

static struct producer_handle *
open_handle(struct side *side)
{
	struct producer *p = side->p;
	bool flushes = p->conf.flushed && !side->alone;
	char timeout[16], linger[16];
	const struct kafka_property props[] = {
		{ "acks", "all" },
		{ "message.timeout.ms", timeout },
		{ flushes ? "!linger.ms" : "linger.ms", linger },
		{ side->alone ? "!batch.num.messages" : "batch.num.messages",
		    side->alone ? "1" : "10000" },
		{ "max.in.flight.requests.per.connection", flushes ? IN_FLIGHT : "1" },
		/* A leader that hangs holds a wave so long; a broker may ponder one for 30 s. */
		{ "socket.timeout.ms", "35000" },
		/* Who waits wants to know soon; a kept message is sent again. */
		{ "topic.metadata.propagation.max.ms", "2000" },
		/* Without a cap they wait for up to a second behind each error. */
		{ "?retry.backoff.max.ms", "250" },
		{ "partitioner", "fnv1a_random" },
		{ "sticky.partitioning.linger.ms", "0" },
		/* Our own bounds are lower; these must never be the ones that bind. */
		{ "queue.buffering.max.messages", "1000000" },
		{ "queue.buffering.max.kbytes", "2097151" },
		{ "message.max.bytes", "67200000" },
		{ NULL, NULL },
	};

	snprintf(timeout, sizeof(timeout), "%u", p->conf.timeout_ms);
	snprintf(linger, sizeof(linger), "%u", flushes ? LINGER_MS : 0);
	return producer_handle_new(&(struct producer_handle_conf){
	    .loop = p->loop, .kafka = p->kafka, .props = props, .choose = choose,
	    .choose_arg = p, .report = report, .retired = retired, .arg = side });
}

/* ---- a handle takes the place of another ---- */

/* False: there is no other, and what is there stays. */
static bool
renew_side(struct side *side, bool give_up)
{
	struct producer_handle *next = NULL;
	size_t i = 0;

	if (side->handle == NULL)
		return true;
	while (i < RETIRED_MAX && side->retired[i])
		i++;
	if (i == RETIRED_MAX)
		return false;
	/* The other side's is made when somebody needs it. */
	if (!side->alone && (next = open_handle(side)) == NULL)
		return false;
	side->retired[i] = side->handle;
	producer_handle_retire(side->handle, give_up);
	side->handle = next;
	return true;
}

bool
producer_renew(struct producer *p, bool give_up)
{
	if (!renew_side(&p->sides[BATCHES], give_up))
		return false;
	renew_side(&p->sides[ALONE], give_up);
	p->generation++;
	return true;
}

unsigned
producer_generation(const struct producer *p)
{
	return p->generation;
}

/* Names that nobody uses any more go with the handles that know them. */
static void
look(void *arg)
{
	struct producer *p = arg;

	for (size_t i = 0; i < N_SIDES; i++)
		if (p->sides[i].handle && producer_handle_is_stale(p->sides[i].handle)) {
			log_debug("producer renewed: topics are not used any more");
			producer_renew(p, false);
			return;
		}
}

const char *
producer_stuck(const struct producer *p, int32_t *partition)
{
	const char *topic = NULL;

	for (size_t i = 0; i < N_SIDES && topic == NULL; i++)
		if (p->sides[i].handle)
			topic = producer_handle_stuck(p->sides[i].handle, partition);
	return topic;
}

int64_t
producer_mute_ms(const struct producer *p)
{
	const struct producer_handle *h = p->sides[BATCHES].handle;
	int64_t late_ms = h ? producer_handle_mute_ms(h) : 0;

	return late_ms ? late_ms - p->conf.timeout_ms : 0;
}

static void
flushed(void *arg)
{
	struct producer *p = arg;

	producer_handle_pin(p->flushing, false);
	p->flushing = NULL;
	p->conf.flushed(p->conf.arg);
}

struct producer *
producer_new(struct loop *l, struct kafka *k, const struct producer_conf *conf)
{
	struct producer *p = calloc(1, sizeof(*p));
	struct side *batches;

	if (p == NULL)
		return NULL;
	*p = (struct producer){ .loop = l, .kafka = k, .conf = *conf,
	    .held = rd_kafka_topic_partition_list_new(0) };
	for (size_t i = 0; i < N_SIDES; i++)
		p->sides[i] = (struct side){ .p = p, .alone = i == ALONE };
	batches = &p->sides[BATCHES];
	batches->handle = open_handle(batches);
	if (batches->handle) {
		p->partitioner = find_partitioner(p);
		if (conf->flushed)
			p->flush = producer_flush_new(l, flushed, p);
		if (p->flush || conf->flushed == NULL) {
			loop_timer_set(l, &p->look, LOOK_MS, LOOK_MS, look, p);
			return p;
		}
	}
	producer_free(p);
	return NULL;
}

enum kp_err
producer_send(struct producer *p, const char *topic, struct kp_slice key, struct kp_slice value,
    int64_t wall_ms, bool alone, void *opaque, struct delivery *failed)
{
	struct side *side = &p->sides[alone ? ALONE : BATCHES];
	rd_kafka_resp_err_t err;
	rd_kafka_topic_t *rkt;

	if (side->handle == NULL)
		side->handle = open_handle(side);
	rkt = side->handle ? producer_handle_topic(side->handle, topic) : NULL;
	if (rkt == NULL) {
		*failed = (struct delivery){ .err = KP_EBUSY, .text = kp_err_text(KP_ENOMEM) };
		return failed->err;
	}
	err = rd_kafka_producev(producer_handle_rk(side->handle), RD_KAFKA_V_RKT(rkt),
	    RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n), RD_KAFKA_V_KEY(key.p, key.n),
	    RD_KAFKA_V_TIMESTAMP(wall_ms), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return KP_OK;
	*failed = delivery_of(side, err);
	return failed->err;
}

int32_t
producer_partition(const struct producer *p, struct kp_slice key, int32_t partitions)
{
	unsigned kind = key.p == NULL ? ANY_KEY : key.n == 0 ? NON_NULL : NON_EMPTY;

	if (kind > p->partitioner->keys)
		return -1;
	return p->partitioner->choose(NULL, key.p, key.n, partitions, NULL, NULL);
}

static size_t
number(const struct producer *p, const char *name)
{
	char value[32];

	return strtoul(property(p, name, value, sizeof(value)), NULL, 10);
}

void
producer_request(const struct producer *p, size_t *messages, size_t *bytes)
{
	size_t batch = number(p, "batch.size"), message = number(p, "message.max.bytes");

	*messages = number(p, "batch.num.messages");
	*bytes = batch < message ? batch : message;
	*bytes -= *bytes > REQUEST_OVERHEAD ? REQUEST_OVERHEAD : *bytes;
}

void
producer_announce(struct producer *p, const char *topic, int32_t partition)
{
	rd_kafka_topic_partition_list_add(p->held, topic, partition);
}

void
producer_hold(struct producer *p)
{
	if (p->held->cnt)
		rd_kafka_pause_partitions(producer_handle_rk(p->sides[BATCHES].handle), p->held);
}

/* Each pause and each resume leaves a mark in the queue that a consumer would read: it is
 * read here, or they would pile up, and each further one be put in by a walk along all. */
static void
read_marks(struct producer_handle *h, const rd_kafka_topic_partition_t *held)
{
	rd_kafka_topic_t *rkt = producer_handle_topic(h, held->topic);
	rd_kafka_message_t *m;

	while (rkt && (m = rd_kafka_consume(rkt, held->partition, 0)) != NULL)
		rd_kafka_message_destroy(m);	/* that it is not there, for a consumer */
}

void
producer_let_go(struct producer *p)
{
	struct producer_handle *h = p->sides[BATCHES].handle;

	if (p->held->cnt == 0)
		return;
	rd_kafka_resume_partitions(producer_handle_rk(h), p->held);
	for (int i = 0; i < p->held->cnt; i++)
		read_marks(h, &p->held->elems[i]);
	rd_kafka_topic_partition_list_destroy(p->held);
	p->held = rd_kafka_topic_partition_list_new(0);
}

void
producer_flush(struct producer *p)
{
	p->flushing = p->sides[BATCHES].handle;
	producer_handle_pin(p->flushing, true);
	producer_flush_start(p->flush, producer_handle_rk(p->flushing));
}

void
producer_free(struct producer *p)
{
	if (p == NULL)
		return;
	loop_timer_end(&p->look);
	producer_flush_free(p->flush);
	for (size_t i = 0; i < N_SIDES; i++) {
		producer_handle_free(p->sides[i].handle);
		for (size_t k = 0; k < RETIRED_MAX; k++)
			producer_handle_free(p->sides[i].retired[k]);
	}
	rd_kafka_topic_partition_list_destroy(p->held);
	free(p);
}
