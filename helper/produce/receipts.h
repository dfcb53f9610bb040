/*
 * What became of the messages accepted last: a fixed table, in memory alone. A
 * message is known from its acceptance until RECEIPTS_MAX later ones, and once
 * delivered for RECEIPTS_MS at most. What it has forgotten may still be in the
 * store. Ids here are those of rows, not as clients are told them.
 *
 * Loop thread only.
 */
#ifndef KP_RECEIPTS_H
#define KP_RECEIPTS_H

#include <stdbool.h>

#include "common/msg_admin.h"

#define RECEIPTS_MAX 65536
#define RECEIPTS_MS (10 * 60 * 1000)

struct receipts;

struct receipts *receipts_new(void);	/* NULL without memory */
void receipts_free(struct receipts *r);

void receipts_pending(struct receipts *r, int64_t id);
void receipts_delivered(struct receipts *r, int64_t id, int32_t partition, int64_t offset,
    int64_t now_ms);
/* It was refused after all, or is a dead letter now. */
void receipts_forget(struct receipts *r, int64_t id);
/* False: not known here. */
bool receipts_find(const struct receipts *r, int64_t id, int64_t now_ms, struct msg_receipt *out);

#endif
