/*
 * The helper's Unix socket: connections of responders, frames in, frames out.
 *
 * A peer is served when its user (SO_PEERCRED) is root, ours, or one of
 * --socketUsers; anybody else is cut off before a byte is read. Limits: see
 * ipc_state.h. A peer that breaks the protocol loses its connection and nothing else.
 *
 * Loop thread only.
 */
#ifndef KP_IPC_H
#define KP_IPC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "helper/op.h"

struct ipc;
struct conn;

/* Listens; each request goes to `dispatch`. On error, but KP_ENOMEM, a line has been logged. */
enum kp_err ipc_open(struct loop *l, const struct conf *conf,
    void (*dispatch)(void *arg, struct op *op), void *arg, struct ipc **out);
/* No new connections; those that are there go on. */
void ipc_stop_accepting(struct ipc *ipc);
/* Requests that have not been answered. */
size_t ipc_in_flight(const struct ipc *ipc);
/* After the loop's last turn: cuts every connection. The handles live until
 * loop_free(), so ipc_free() comes after that. */
void ipc_close(struct ipc *ipc);
void ipc_free(struct ipc *ipc);

/*
 * Something that must not outlive its connection, such as an offer: gone() is
 * called once when the connection closes, unless the hook was removed before.
 */
struct conn_hook {
	LIST_ENTRY(conn_hook) link;
	struct conn *conn;		/* NULL: not hooked */
	uint64_t id;
	void (*gone)(struct conn_hook *hook);
};
/* The peer is root or the helper's own user: it may see and change what was accepted. */
bool conn_is_operator(const struct conn *c);
void conn_hook_add(struct conn *c, struct conn_hook *hook);
void conn_hook_remove(struct conn_hook *hook);
/* The hook with that id on this connection, or NULL. */
struct conn_hook *conn_hook_find(struct conn *c, uint64_t id);

#endif
