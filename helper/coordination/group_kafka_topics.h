/*
 * The topics of a group that the brokers manage: which are wanted, and which the
 * brokers have been told of. The two differ while a rebalance is waited for.
 */
#ifndef KP_GROUP_KAFKA_TOPICS_H
#define KP_GROUP_KAFKA_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct ktopic;
struct ktopics {
	struct ktopic *first;		/* all zero: none */
};

enum kp_err ktopics_want(struct ktopics *ts, const char *name);
void ktopics_unwant(struct ktopics *ts, const char *name);
/* Kafka was told of it, and not yet that nobody wants it any more. */
bool ktopics_given_up(const struct ktopics *ts, const char *name);
/* The brokers have to be told. */
bool ktopics_changed(const struct ktopics *ts);
/* Those wanted, in a vector for the caller to free; the names are borrowed. NULL without
 * memory. */
const char **ktopics_wanted(const struct ktopics *ts, size_t *n);
/* The brokers have been told of all that are wanted. */
void ktopics_set_told(struct ktopics *ts);
/* Of this one, or (NULL) of any. */
bool ktopics_told(const struct ktopics *ts, const char *name);
void ktopics_free(struct ktopics *ts);

#endif
