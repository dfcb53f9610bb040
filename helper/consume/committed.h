/*
 * What of a partition is committed, and so what the next commit says of it. Pure bookkeeping
 * beside its offers: no Kafka, no clock.
 *
 * Beside the offset stands what is done above it (see sparse.h), or a text that a user has put
 * there, which stays for as long as the offset does not move.
 */
#ifndef KP_COMMITTED_H
#define KP_COMMITTED_H

#include <stdbool.h>
#include <stdint.h>

#include "helper/consume/offers.h"

struct committed {
	int64_t offset;			/* what Kafka has, as far as we know */
	int64_t sent;			/* in the commit on its way; -1: not in it */
	uint64_t changes, sent_changes;	/* of the offers: `offset` and `sent` are as of these */
	int64_t since_ms;
	char *metadata;			/* a user's, or NULL */
};

void committed_init(struct committed *c);
void committed_free(struct committed *c);

/* Kafka has `offset`, with `metadata` (or NULL) beside it; `o` was begun there, and takes what
 * that says is done. False: it says no such thing, and is a user's. */
bool committed_start(struct committed *c, struct offers *o, int64_t offset, const char *metadata,
    int64_t now_ms);
/* There is what Kafka has not been told of. */
bool committed_is_old(const struct committed *c, const struct offers *o);

/* What goes into a commit now: the offset, and what stands beside it, which points into *c or
 * *room; `plain`: nothing of ours. */
int64_t committed_send(struct committed *c, const struct offers *o);
struct kp_slice committed_metadata(const struct committed *c, const struct offers *o, bool plain,
    struct sparse_text *room);
/* In the commit on its way. */
bool committed_is_sent(const struct committed *c);
/* Kafka has taken it, if it was in that, or has not. */
void committed_done(struct committed *c, const struct offers *o, bool taken, int64_t now_ms);
/* What becomes of the commit on its way says nothing of it any more. */
void committed_unsend(struct committed *c);

#endif
