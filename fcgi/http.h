/*
 * The web server's side: one FastCGI connection at a time, or the one request of
 * a CGI process. libfcgi is known here and nowhere else.
 *
 * FastCGI requests are read from connections that the caller has accepted, so
 * that an idle connection can wait without a thread. One thread at a time.
 */
#ifndef KP_FCGI_HTTP_H
#define KP_FCGI_HTTP_H

#include "common/buf.h"
#include "common/err.h"

struct http;			/* opaque */

/* Once, before anything else. True when fd 0 is a FastCGI listening socket. */
bool http_is_fastcgi(void);

/* `cgi`: standard input, output and environment. NULL without memory. */
struct http *http_new(bool cgi);
void http_free(struct http *h);	/* NULL is allowed */

/* Reads the head of the next request on `fd`, which it takes. False when there
 * is none; fd is closed then. */
bool http_begin(struct http *h, int fd);
/* A variable of the request, NULL when not given; valid until http_end(). */
const char *http_env(const void *h, const char *name);
/* What hangs up when the web server gives the request up; -1 if nothing shows. */
int http_peer(const struct http *h);

/*
 * Puts the body into *out, which is empty, to its end, but no more than its limit. In
 * CGI the end may not be seen, so at most `expected` are read (-1: to the end).
 * KP_EBUSY: no room for it in the quota of *out, and KP_ENOMEM: it was read all the same,
 * and dropped, so that the web server reads the answer.
 */
enum kp_err http_read_body(struct http *h, int64_t expected, struct kp_buf *out);

/* True when all of it is on its way. Nothing can be written after it. */
bool http_write(struct http *h, struct kp_slice head, struct kp_slice body);
/* Waits until the web server has read all of it. False when it went before, or let
 * it lie for 30 s. */
bool http_taken(const struct http *h);
/* Ends the request. Returns the connection when both sides want to keep it,
 * else -1. */
int http_end(struct http *h, bool may_keep);

#endif
