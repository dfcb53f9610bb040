/*
 * How much memory all requests and replies of this process may take together: what the web
 * server sent and what the helper sent, and what is made of either. A request for which
 * there is no room is answered 503, or is not taken from the helper; small ones always
 * have room (see common/buf.h).
 *
 * Any thread.
 */
#ifndef KP_FCGI_ROOM_H
#define KP_FCGI_ROOM_H

#include "common/buf.h"

/* What to tell the user. */
#define ROOM_NONE "Too many large messages are on their way here: try again"

/* Before the first request: room for several of the largest messages. */
void room_set(size_t message_max);
/* For kp_buf_init_quota(). */
struct kp_quota *room(void);

#endif
