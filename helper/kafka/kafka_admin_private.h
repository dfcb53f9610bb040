/*
 * What the questions to Kafka have in common, shared by kafka_admin.c,
 * kafka_admin_offsets.c and kafka_admin_groups.c. Nobody else includes it.
 */
#ifndef KP_KAFKA_ADMIN_PRIVATE_H
#define KP_KAFKA_ADMIN_PRIVATE_H

#include "helper/kafka/kafka_admin.h"
#include "helper/kafka/kafka_admin_handles.h"

#define PAUSE_MS 50
#define NO_COORDINATOR "the coordinator of the group cannot be reached"

struct kafka_admin {
	struct kafka *kafka;
	struct late *late;
	struct handles *handles;
};

#define admin_say(why, err, ...) kp_err_say(err, why, WHY_MAX, __VA_ARGS__)
/* Writes what the error means to a user, and gives its code. */
enum kp_err admin_fail(struct kafka_admin *a, char *why, rd_kafka_resp_err_t err);
/* A handle, for questions about the topic; to be given back with the answer to them, by which
 * it knows how long to remember the topic. NULL: there is none. */
struct handle *admin_take(struct kafka_admin *a, enum handle_kind kind, const char *topic);
void admin_give(struct kafka_admin *a, struct handle *h, const char *topic,
    rd_kafka_resp_err_t err);
#define NO_HANDLE RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE
/* Before it is tried again. */
void admin_pause(void);
/* For requests to coordinators: see kafka_admin_late.h. */
rd_kafka_AdminOptions_t *admin_options(struct handle *h, rd_kafka_admin_op_t op);
/* The answer to a request about the group, or NULL and why there is none. Takes q. */
rd_kafka_event_t *admin_await(struct kafka_admin *a, struct handle *h, const char *group,
    rd_kafka_queue_t *q, int timeout_ms, rd_kafka_resp_err_t *err);

#endif
