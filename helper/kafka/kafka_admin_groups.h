/*
 * The members of groups that the brokers manage. As kafka_admin.h: blocking calls for
 * worker threads, with the same errors and texts.
 */
#ifndef KP_KAFKA_ADMIN_GROUPS_H
#define KP_KAFKA_ADMIN_GROUPS_H

#include "helper/kafka/kafka_admin.h"

/* One that owns partitions of the topic. Its name is its client.id (with the colons of our
 * names), or what the broker calls it where two of the group have the same. */
struct kafka_admin_member {
	char *group;
	char *member;
	int32_t *partitions;		/* ascending */
	size_t n;
};
void kafka_admin_members_free(struct kafka_admin_member *v, size_t n);

/* Of one group, or (group NULL) of all; by group and member. On error *v is NULL.
 * KP_ENOTFOUND: no broker knows such a group, or such a topic. KP_ENOTSUP: the group has
 * members of Kafka's new protocol, which this librdkafka cannot see; of all groups these are
 * left out. */
enum kp_err kafka_admin_members(struct kafka_admin *a, const char *topic, const char *group,
    int timeout_ms, struct kafka_admin_member **v, size_t *n, char *why);

#endif
