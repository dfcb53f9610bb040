/*
 * How much of the store each topic has: rows and the bytes of their keys and values,
 * pending or dead, with what is being written. Topics without rows are forgotten.
 *
 * Loop thread only.
 */
#ifndef KP_STORE_SHARES_H
#define KP_STORE_SHARES_H

#include <stdbool.h>

#include "helper/store/store.h"

struct shares;

struct shares *shares_new(void);	/* NULL without memory */
void shares_free(struct shares *s);	/* NULL is allowed */

/* Rows that are in the file. What there is no memory for is not counted. */
void shares_add(struct shares *s, struct kp_slice topic, int64_t rows, int64_t bytes);
/* Commands, as far as they name a topic: handed over; taken back; and done, with cmd->err. */
void shares_submitted(struct shares *s, const struct store_cmd *cmd);
void shares_cancelled(struct shares *s, const struct store_cmd *cmd);
void shares_settled(struct shares *s, const struct store_cmd *cmd);
/* False: it has no rows. */
bool shares_find(const struct shares *s, struct kp_slice topic, int64_t *bytes);
size_t shares_topics(const struct shares *s);

#endif
