/* GET_STATUS: how the helper is. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/msg_admin.h"
#include "helper/admin/health.h"
#include "helper/consume/group.h"
#include "helper/kafka/kafka_library.h"
#include "helper/ops.h"

/* A store that does not answer must not keep the status from being told. */
#define STORE_WAIT_MS 1000
/* The two clocks drift, and are not read at the same moment. */
#define CLOCK_SET_MS 1000

struct status {
	struct store_ask oldest;	/* first */
	struct helper *h;
	struct op *op;			/* NULL: was answered */
	struct loop_timer late;
	int64_t oldest_ms;
};

/* When we started, by what the clock says now: a host may start with a wrong one. It stays the
 * same while nobody sets the clock. */
static int64_t
wall_started_ms(struct helper *h)
{
	int64_t at_ms = clock_wall_ms() - (loop_now_ms(h->loop) - h->started_ms);

	if (at_ms < h->wall_started_ms - CLOCK_SET_MS || at_ms > h->wall_started_ms + CLOCK_SET_MS)
		h->wall_started_ms = at_ms;
	return h->wall_started_ms;
}

static void
answer(struct status *st)
{
	struct helper *h = st->h;
	struct sender_stats s;
	struct msg_status m;
	struct op *op = st->op;

	sender_stats(h->sender, &s);
	m = (struct msg_status){
		.version = LIT(KP_VERSION),
		.librdkafka = kp_slice_str(kafka_library_version()),
		.started_ms = wall_started_ms(h),
		.durability = kp_slice_str(conf_durabilities[h->conf.durability]),
		.embedded = conf_embedded(&h->conf),
		.accepted = s.store.counts.accepted, .delivered = s.store.counts.delivered,
		.pending = s.store.counts.pending, .dead = s.store.counts.dead,
		.dropped = s.store.counts.dropped, .oldest_ms = st->oldest_ms,
		.delivered_per_s = (int64_t)s.delivered_per_s, .store_bytes = (int64_t)s.bytes,
		.store_max_bytes = (int64_t)s.max_bytes, .store_free_bytes = s.store.free_bytes,
	};
	health_get(h->health, &m.kafka, &m.zookeeper, &m.store);
	m.groups_troubled = (int64_t)groups_troubles(h->groups, m.groups, GROUP_TROUBLES_MAX);
	m.n_groups = m.groups_troubled < GROUP_TROUBLES_MAX ? (size_t)m.groups_troubled :
	    GROUP_TROUBLES_MAX;
	st->op = NULL;
	loop_timer_end(&st->late);
	msg_status_encode(op_reply_begin(op, MSG_STATUS), &m);
	op_reply_send(op);
}

static void
oldest_late(void *arg)
{
	answer(arg);
}

static void
oldest_found(struct store_ask *ask)
{
	struct status *st = (struct status *)ask;

	if (ask->rows)
		st->oldest_ms = ask->rows->row.accepted_ms;
	store_loaded_free(ask->rows);
	if (st->op)
		answer(st);
	free(st);
}

void
op_get_status(struct helper *h, struct op *op)
{
	struct store *store = sender_store(h->sender);
	struct status *st = calloc(1, sizeof(*st));

	if (op->body_bytes || st == NULL) {
		op_fail(op, st ? KP_EBADMSG : KP_ENOMEM, 1, "%s", st ? "malformed GET_STATUS" :
		    kp_err_text(KP_ENOMEM));
		free(st);
		return;
	}
	st->h = h;
	st->op = op;
	if (store == NULL) {
		answer(st);
		free(st);
		return;
	}
	st->oldest = (struct store_ask){ .question = STORE_OLDEST, .max_rows = 1, .max_bytes = 1,
	    .done = oldest_found };
	loop_timer_set(h->loop, &st->late, STORE_WAIT_MS, 0, oldest_late, st);
	store_ask(store, &st->oldest);
}
