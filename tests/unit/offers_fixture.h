/* Offers whose messages are nothing but a token. */
#ifndef KP_OFFERS_FIXTURE_H
#define KP_OFFERS_FIXTURE_H

#include "helper/consume/offers.h"
#include "tests/unit/unit.h"

static int dropped;
static char token;

static inline void
drop(void *message)
{
	(void)message;
	dropped++;
}

static inline struct offer *
add(struct offers *o, int64_t offset)
{
	return offers_add(o, offset, &token, 1);
}

static inline enum offers_ack
ack(struct offers *o, int64_t offset)
{
	void *message;

	return offers_ack(o, offset, &message);
}

#endif
