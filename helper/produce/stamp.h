/*
 * The time that a message is sent with.
 *
 * Loop thread only.
 */
#ifndef KP_STAMP_H
#define KP_STAMP_H

#include <stdbool.h>
#include <stdint.h>

struct entry;

/* The time to send it with. */
int64_t stamp_of(const struct entry *e);
/* A broker refuses it for its time, or that of another one of its wave. True: its time will
 * be another one when it is sent again. */
bool stamp_refused(struct entry *e);

#endif
