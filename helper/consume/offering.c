/* Offers that are out: each is on two lists, its partition's and its connection's. */
#include "helper/consume/offering.h"

#include <stdlib.h>

#include "common/log.h"
#include "helper/consume/group.h"
#include "helper/consume/group_topic.h"
#include "helper/consume/group_wait.h"

static uint64_t last_id;		/* no two offers have the same */

void
offering_drop(struct offering *o)
{
	conn_hook_remove(&o->hook);
	TAILQ_REMOVE(&o->part->out, o, link);
	free(o);
}

void
offering_end(struct offering *o, bool delivered)
{
	struct gpart *p = o->part;
	struct offer *f = o->offer;
	bool pend = o->pend;

	offering_drop(o);
	gpart_ready(p);
	if (delivered && pend) {
		consumer_message_pend(f->message, true);
		offers_pend(&p->offers, f, topic_now_ms(p->t) +
		    (int64_t)p->t->env->conf->ack_timeout_s * 1000);
	} else if (delivered) {
		consumer_message_free(offers_confirm(&p->offers, f));
	} else {
		offers_return(&p->offers, f);
		topic_serve(p->t);
	}
	if (p->state == GPART_STOPPING)
		gpart_step(p);
}

/* The connection went before it confirmed. */
static void
offering_gone(struct conn_hook *hook)
{
	struct offering *o = (struct offering *)hook;

	log_debug("offer returned group=%s topic=%s partition=%d offset=%lld",
	    o->part->t->group, o->part->t->name, o->part->partition,
	    (long long)o->offer->offset);
	offering_end(o, false);
}

struct offering *
offering_new(struct gpart *p, struct offer *f, struct conn *c)
{
	struct offering *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->part = p;
	o->offer = f;
	o->made_ms = topic_now_ms(p->t);
	o->hook.id = ++last_id;
	o->hook.gone = offering_gone;
	conn_hook_add(c, &o->hook);
	TAILQ_INSERT_TAIL(&p->out, o, link);
	return o;
}

struct offering *
offering_of(const struct gpart *p, const struct offer *f)
{
	struct offering *o = TAILQ_FIRST(&p->out);

	while (o->offer != f)
		o = TAILQ_NEXT(o, link);
	return o;
}
