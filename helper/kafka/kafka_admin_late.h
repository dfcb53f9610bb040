/*
 * Requests to the coordinators of groups that nobody waits for any more.
 *
 * When such a request times out inside librdkafka (2.0.2, and later ones) while the
 * coordinator cannot be reached, and the coordinator comes back afterwards, the
 * library uses freed memory and aborts the process. So its requests are given an
 * hour, the most that it takes; whoever has less leaves them here, where they are
 * counted until they are over, so that they cannot pile up.
 *
 * Any thread.
 */
#ifndef KP_KAFKA_ADMIN_LATE_H
#define KP_KAFKA_ADMIN_LATE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#define LATE_REQUEST_MS (60 * 60 * 1000)

struct late;

struct late *late_new(void);
/* Before the handles are destroyed. NULL is allowed. */
void late_free(struct late *l);

/* Takes a queue on which the answer to a request for `group` is yet to come, from a handle. */
void late_keep(struct late *l, const rd_kafka_t *rk, const char *group, rd_kafka_queue_t *q);
/* True while one of the handle's is left: it must not be destroyed before the end. */
bool late_any(struct late *l, const rd_kafka_t *rk);
/* True while few enough are left: of one group, and in all. */
bool late_room(struct late *l, const char *group);

#endif
