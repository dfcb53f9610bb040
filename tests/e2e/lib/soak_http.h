/*
 * HTTP requests of one thread over many kept connections to one port of this host.
 *
 * A connection has one request at a time. Its `done` is called once for each, from http_turn(),
 * with the status, or with 0 when no whole reply came; then it may ask again. The text of the
 * reply is valid in there only.
 */
#ifndef KP_E2E_SOAK_HTTP_H
#define KP_E2E_SOAK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_REPLY_MAX 65536
#define HTTP_REQUEST_MAX 2048
#define HTTP_WITHIN_S 30		/* no reply by then is none */

struct conn {
	int fd;				/* -1: not connected */
	bool busy;			/* has a request under way */
	int64_t began_us;		/* of that */
	char out[HTTP_REQUEST_MAX];
	size_t out_len;
	char *in;			/* reply, with a NUL behind it */
	size_t in_len;
	void (*done)(struct conn *, int status);
};

/* Of the monotonic clock. */
int64_t http_now_us(void);
/* To 127.0.0.1. Ends the process when it cannot. */
void http_init(int port);
/* All connections begin here. Ends the process without memory. */
void http_conn_init(struct conn *c, void (*done)(struct conn *, int status));

void http_get(struct conn *c, const char *path, ...) __attribute__((format(printf, 2, 3)));
/* `body` is text, not a form. */
void http_post(struct conn *c, const char *body, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

/* Waits for at most timeout_ms, and does what there is to do. */
void http_turn(int timeout_ms);
/* Gives up c's request when it is too old. */
void http_check(struct conn *c, int64_t now_us);

/* The number after `name` in the reply, -1 without one. */
long long http_number(const struct conn *c, const char *name);
/* What is behind `name` in the body of the reply, or NULL. */
const char *http_text(const struct conn *c, const char *name);

#endif
