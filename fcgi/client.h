/*
 * The helper, as a thread of the responder sees it: one connection that stays
 * open, one request at a time, one reply, one deadline.
 *
 * A request that the helper cannot have read whole is sent again on a new
 * connection. One that it may have read is sent again only when doing it twice
 * is harmless; for the others the answer is an error that says that nobody
 * knows.
 *
 * A function that does not return KP_OK leaves what to tell the user in
 * client_error(). Slices of a reply are valid until the next call.
 * One thread at a time.
 */
#ifndef KP_FCGI_CLIENT_H
#define KP_FCGI_CLIENT_H

#include "common/msg_admin.h"

struct client;			/* opaque */

/* `path` is kept, not copied. Connects on the first call. NULL without memory. */
struct client *client_new(const char *path);
void client_free(struct client *c);	/* NULL is allowed */

/* Of the last call that failed; its err is what the call returned. */
const struct msg_error *client_error(const struct client *c);

enum kp_err client_ping(struct client *c);
/* A sync one may take timeout_ms. */
enum kp_err client_produce(struct client *c, const struct msg_produce *m, uint32_t timeout_ms,
    struct msg_produced *r);
/*
 * Waits for up to 3 s, and watches `peer` (-1: nothing) meanwhile. When that
 * side hangs up, the helper hears of it, so that it takes back what it may have
 * offered; KP_EGONE then, and *hungup.
 */
enum kp_err client_consume(struct client *c, const struct msg_consume *m, int peer,
    struct msg_message *r, bool *hungup);
/* Up to 3 s, while the group is being joined. */
enum kp_err client_ack(struct client *c, const struct msg_ack *m);
/* Tells what became of the offer in the last message; there is no answer. */
void client_confirm(struct client *c, const struct msg_confirm *m);
/* *r is ended with its own free function, whatever is returned. */
enum kp_err client_get_offsets(struct client *c, const struct msg_topic_group *m,
    struct msg_offsets *r);
enum kp_err client_set_offsets(struct client *c, const struct msg_offsets *m);
enum kp_err client_get_consumers(struct client *c, const struct msg_topic_group *m,
    struct msg_consumers *r);
enum kp_err client_get_status(struct client *c, struct msg_status *r);
/* KP_ENOTFOUND: nobody knows it (any more). */
enum kp_err client_find_message(struct client *c, const struct msg_find *m,
    struct msg_receipt *r);

/* When the reply has been used: gives back the memory of a large message. */
void client_rest(struct client *c);

#endif
