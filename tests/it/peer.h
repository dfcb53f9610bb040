/*
 * A helper of the test's own, and connections to it that speak its frames.
 *
 * Every wait has a deadline; whatever fails fails the running test, with the
 * helper's error text where there is one. Paths are relative to the folder that
 * tests/run.sh gives each program.
 */
#ifndef KP_IT_PEER_H
#define KP_IT_PEER_H

#include <sys/types.h>

#include "common/msg_admin.h"

/* Longer than anything that is expected to happen. */
#define PEER_WAIT_MS 10000
/* Longer than a helper that is told to end may take. */
#define STOP_MS 15000

struct helper {
	pid_t pid;			/* 0: not running */
	int pidfd;
	char dir[32];			/* store, socket and log are in there */
	char socket[64];
	char store[64];
	char log[64];
	int start_ms;			/* from fork to the first answer */
	const char *const *before;	/* words of a program that becomes it; NULL: none */
};

/* A new folder for a helper; nothing runs yet. */
void helper_init(struct helper *h);
/* Starts it and waits until it answers. `options` ends with NULL, may be NULL;
 * they come after --kafkaPeers, --coordination local, --socket and --store. A
 * later start finds the store of the one before. */
void helper_start(struct helper *h, const char *brokers, const char *const *options);
/* One with the places of common/fault.h, and this variable set. */
void helper_start_faulty(struct helper *h, const char *brokers, const char *const *options,
    const char *variable, const char *value);
/* Starts one that is expected to end by itself; gives its exit status. */
int helper_run(struct helper *h, const char *brokers, const char *const *options);
void helper_signal(struct helper *h, int sig);
/* Exit status of one that was told to end, 128 + signal, or -1 past wait_ms. */
int helper_wait(struct helper *h, int64_t wait_ms);
void helper_kill(struct helper *h);
/* TERM; it must end with status 0 within `within_ms`. Nothing if not running. */
void helper_stop(struct helper *h, int64_t within_ms);
/* Resident memory in KiB. */
long helper_rss_kib(const struct helper *h);
/* Time that its loop has had of a processor, in ns: what a loaded machine does not change. */
int64_t helper_loop_ns(const struct helper *h);
/* Lines of its log, of all starts, that contain `text`. */
int helper_logged(const struct helper *h, const char *text);
/* Waits until there is one. */
void helper_wait_logged(const struct helper *h, const char *text);

struct peer {
	int fd;				/* -1: closed by us */
	uint32_t id;			/* of the last request */
	struct kp_buf in, out;
	size_t used;			/* of in: the frame received last */
	char text[TEXT_MAX + 1];	/* of the last error received */
	uint32_t retry_after_s;		/* likewise */
};

void peer_open(struct peer *p, const struct helper *h);
void peer_close(struct peer *p);

/* Each sends one request and gives its id. */
uint32_t peer_ask(struct peer *p, uint8_t type, uint32_t deadline_ms, struct kp_slice body);
/* Without a body, where the helper may have hung up already: false then. */
bool peer_try_ask(struct peer *p, uint8_t type, uint32_t deadline_ms);
uint32_t peer_ask_produce(struct peer *p, const struct msg_produce *m, uint32_t deadline_ms);
uint32_t peer_ask_consume(struct peer *p, const char *topic, const char *group,
    uint32_t deadline_ms);
uint32_t peer_ask_message(struct peer *p, const struct msg_consume *m, uint32_t deadline_ms);
void peer_confirm(struct peer *p, uint64_t offer, bool delivered);
/* Bytes as they are. False: the other side has gone. */
bool peer_send_raw(struct peer *p, const void *bytes, size_t n);

/* The next frame; its body is valid until the next call. False: the helper closed
 * the connection, or nothing came in time. */
bool peer_recv(struct peer *p, struct wire_frame *f, int64_t wait_ms);
/* The next frame must be the reply to `id` and of that type: KP_OK; or an error:
 * its code, with p->text set. */
enum kp_err peer_reply(struct peer *p, uint32_t id, uint8_t type, struct wire_frame *f);
/* True when the helper closed the connection within wait_ms; frames are skipped. */
bool peer_cut(struct peer *p, int64_t wait_ms);

/* Request and reply. Slices of the reply are valid until the next call. */
enum kp_err peer_ping(struct peer *p);
enum kp_err peer_produce(struct peer *p, const char *topic, const char *key, const char *value,
    bool sync, struct msg_produced *r);
enum kp_err peer_consume(struct peer *p, const char *topic, const char *group,
    uint32_t deadline_ms, struct msg_message *r);
enum kp_err peer_ack(struct peer *p, const char *topic, const char *group, int32_t partition,
    int64_t offset);
/* *r is freed with msg_offsets_free(), msg_consumers_free(), also after an error. */
enum kp_err peer_get_offsets(struct peer *p, const char *topic, const char *group,
    struct msg_offsets *r);
enum kp_err peer_set_offsets(struct peer *p, const char *topic, const char *group,
    struct msg_offset *v, size_t n);
enum kp_err peer_get_consumers(struct peer *p, const char *topic, const char *group,
    struct msg_consumers *r);

enum kp_err peer_status(struct peer *p, struct msg_status *r);
enum kp_err peer_find(struct peer *p, int64_t id, struct msg_receipt *r);
/* *r is freed with msg_rows_free(), msg_acted_free(), also after an error. */
enum kp_err peer_list(struct peer *p, const struct msg_list *m, struct msg_rows *r);
/* MSG_RETRY_DEAD or MSG_DROP_DEAD. */
enum kp_err peer_act(struct peer *p, uint8_t type, const struct msg_act *m, struct msg_acted *r);

/* The next reply, to whatever request, must be that of a produce. */
void peer_next_produced(struct peer *p);
/* Async, `window` on their way at a time; every one must be kept: "prefix<from>"
 * up to "prefix<to - 1>", all with the same key. */
void peer_produce_many(struct peer *p, const char *topic, const char *key, const char *prefix,
    unsigned from, unsigned to, unsigned window);

/* Committed offset of one partition; the group must be known by now. */
int64_t peer_committed(struct peer *p, const char *topic, const char *group, int32_t partition);
/* Waits until it is `offset`. */
void peer_wait_committed(struct peer *p, const char *topic, const char *group, int32_t partition,
    int64_t offset);

#endif
