/*
 * An offer that is out: it ties a message to the connection that it went out on, and comes back
 * when that goes before it confirms. Loop thread only.
 */
#ifndef KP_OFFERING_H
#define KP_OFFERING_H

#include "helper/consume/offers.h"
#include "helper/ipc.h"

struct gpart;

struct offering {
	struct conn_hook hook;		/* first */
	TAILQ_ENTRY(offering) link;	/* of its partition, oldest first */
	struct gpart *part;
	struct offer *offer;
	int64_t made_ms;
	bool pend;			/* delivered is not enough: it is to be acknowledged */
};

/* NULL without memory: `f` is still the caller's to return. */
struct offering *offering_new(struct gpart *p, struct offer *f, struct conn *c);
/* What became of it; it is freed. Its partition goes on from there, and may be freed, too. */
void offering_end(struct offering *o, bool delivered);
/* Frees it and says nothing of its offer: a confirm finds nothing. */
void offering_drop(struct offering *o);
/* That of an offer which is OUT. */
struct offering *offering_of(const struct gpart *p, const struct offer *f);

#endif
