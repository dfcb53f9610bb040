/*
 * The state of the socket, shared by ipc.c (who may connect), conn.c (bytes in,
 * bytes out) and op.c (requests). Nobody else includes it.
 */
#ifndef KP_IPC_STATE_H
#define KP_IPC_STATE_H

#include "common/log.h"
#include "common/wire.h"
#include "helper/ipc.h"

#define CONNS_MAX 8192			/* 16 responders of 400 threads fit */
#define OPS_PER_CONN_MAX 64
#define HOOKS_PER_CONN_MAX 2048
#define UNSENT_MAX (16u * 1024 * 1024)	/* of replies that a peer does not read */
#define UNSENT_PAUSE (256u * 1024)	/* its requests wait until it has read some */
#define KEEP_BYTES (64u * 1024)		/* a larger buffer is not kept */
#define IDLE_BYTES (8u * 1024)		/* nor one that is, with a peer that says nothing */
#define USERS_MAX 16

/* What a peer has begun and does not end holds memory that others need: a request that
 * does not come to its end for 10 s, replies of which none was read for 20 s. Counted in
 * rounds, so that a time in which we stood still is none of theirs. */
#define ROUND_MS 2000
#define ROUNDS_IN 5
#define ROUNDS_OUT 10

/* Of all peers together: see struct ipc. */
#define LARGE_BYTES (256u * 1024 * 1024)
#define LARGE_MESSAGES 4		/* or so many of the largest, if that is more */
#define SMALL_BYTES (128u * 1024 * 1024)
#define REPLIES_BYTES (128u * 1024 * 1024)
#define OP_BYTES 512			/* what a request takes beside its body, about */

struct ipc {
	struct loop *loop;
	int listener;			/* -1: closed */
	struct loop_watch *watch;	/* NULL: new peers wait, there are no descriptors */
	struct loop_timer pause;	/* for so long */
	int spare;			/* a descriptor to turn peers away with; -1 */
	struct log_rate accept_rate;
	struct loop_timer round;
	char *path;
	size_t body_max;
	uid_t users[USERS_MAX];
	size_t n_users;
	LIST_HEAD(, conn) conns;
	size_t n_conns;
	size_t n_ops;
	/* Large requests, on their way in or waiting to be answered; small ones, for which
	 * there is room when there is none for large ones; replies that are not read. */
	struct kp_quota large, small, replies;
	struct kp_buf out;		/* the reply being built */
	size_t out_begin;
	struct log_rate rate;
	void (*dispatch)(void *arg, struct op *op);
	void *arg;
};

struct conn {
	uv_pipe_t pipe;
	struct ipc *ipc;
	LIST_ENTRY(conn) link;
	struct kp_buf in;
	size_t want;			/* size of the frame being read, as far as known */
	LIST_HEAD(, op) ops;
	size_t n_ops;
	LIST_HEAD(, conn_hook) hooks;
	size_t n_hooks;
	size_t unsent;			/* with what each reply costs in memory */
	unsigned rounds_in;		/* since a request was whole, or none had begun */
	unsigned rounds_out;		/* since a reply was read, or there was none */
	bool closing;
	bool is_operator;
	struct loop_task end;
};

/* conn.c */
/* Takes over the accepted pipe, whose .data is the conn. */
void conn_start(struct ipc *ipc, struct conn *c);
void conn_write(struct conn *c, const uint8_t *p, size_t n);
/* Once a round. */
void conn_round(struct conn *c);
void conn_end(struct conn *c);

/* op.c */
/* A request came in: hands it to dispatch. KP_ENOMEM, KP_EUNAVAIL: no room. */
enum kp_err op_new(struct conn *c, const struct wire_frame *f);
/* The connection of the op has gone. */
void op_abandon(struct op *op);
/* An ERROR frame that answers request `id`. */
void op_send_error(struct conn *c, uint32_t id, enum kp_err err, uint32_t retry_after_s,
    const char *text);

#endif
