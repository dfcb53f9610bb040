/* Where the partitions start that were given to us: see group_start.c. Loop thread only. */
#ifndef KP_GROUP_START_H
#define KP_GROUP_START_H

#include <stdbool.h>

struct gtopic;

/* Asks where the STARTING parts start, unless that is being done. */
void topic_start_parts(struct gtopic *t);
bool topic_any_starting(const struct gtopic *t);
/* Partitions were lost: what is being asked for them is of no use any more. */
void topic_start_is_stale(struct gtopic *t);

#endif
