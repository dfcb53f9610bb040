/*
 * The time that the messages of a topic are sent with: that of their acceptance, unless
 * brokers refuse it.
 *
 * Those of messages are on the wall clock. Loop thread only.
 */
#ifndef KP_STAMP_H
#define KP_STAMP_H

#include <stdbool.h>
#include <stdint.h>

struct stamp {
	bool fixed;			/* whatever brokers say */
	int64_t old_ms;			/* they refuse messages that are so old; 0: or of now */
	int64_t seen_ms;		/* when they last did; 0: never */
	int64_t told_ms;		/* when the log was last told; 0: never */
};

/* The time to send it with that was accepted then. */
int64_t stamp_of(const struct stamp *s, int64_t accepted_ms, int64_t wall_ms, int64_t now_ms);
/* A broker refuses it for the time that it was sent with, or that of another one of its wave.
 * True: that will be another one when it is sent again. */
bool stamp_refused(struct stamp *s, const char *topic, int64_t accepted_ms, int64_t sent_ms,
    int64_t wall_ms, int64_t now_ms);

#endif
