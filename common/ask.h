/*
 * One request to the helper and its one reply: what all have in common that speak
 * to it. One thread at a time.
 */
#ifndef KP_ASK_H
#define KP_ASK_H

#include "common/msg_admin.h"

/* Empties *out and puts a whole frame into it. `m` is the message of that type,
 * NULL when its body is empty. KP_ETIMEDOUT: the deadline has passed, and there is no
 * frame; of CONFIRM, which has no reply, it is not looked at. KP_ETOOBIG. KP_EBUSY: no room in
 * *out's quota. */
enum kp_err ask_put(struct kp_buf *out, uint8_t type, uint32_t id, int64_t deadline_ms,
    const void *m);

/*
 * Empties *in and reads one frame into it, and not a byte more; `other` and
 * *hungup are sock_read()'s, with KP_EGONE after a hang-up. KP_EVERSION: the
 * helper is of another version. KP_EBADMSG: that is no frame. KP_EBUSY: no room for it
 * in the quota of *in. KP_ENOMEM. The errors of sock_read().
 */
enum kp_err ask_read(int fd, struct kp_buf *in, int64_t until_ms, int other,
    struct wire_frame *f, bool *hungup);

/*
 * The frame as the answer to a request. On KP_OK *body is that of the reply, or
 * e->err is set: an error that the helper tells. One of the id 0 is not about
 * the request but about the connection, which the helper is closing.
 * KP_EBADMSG: it answers something else.
 */
enum kp_err ask_take(const struct wire_frame *f, uint8_t type, uint32_t id,
    struct kp_slice *body, struct msg_error *e);

/* A connection of one's own, for those who need no more than that. */
struct ask {
	int fd;				/* -1: not connected */
	uint32_t id;			/* of the last request */
	struct kp_buf out;
	struct kp_buf in;
	struct msg_error error;		/* what the helper told, err KP_OK for none */
};

/* One try. Whatever it returns, ask_close() follows. Errors of
 * sock_connect(); with KP_EUNAVAIL errno tells. */
enum kp_err ask_open(struct ask *a, const char *socket);
void ask_close(struct ask *a);

/* Asks, and waits that long. KP_OK as of ask_take(): see a->error, too. *body is
 * valid until the next call. After any error the connection is of no more use. */
enum kp_err ask(struct ask *a, uint8_t type, const void *m, int timeout_ms,
    struct kp_slice *body) __attribute__((warn_unused_result));

#endif
