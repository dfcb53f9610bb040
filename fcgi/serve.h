/*
 * One request from the web server's side to the helper and back. What a thread
 * needs for it is kept between requests: no state of a request is.
 */
#ifndef KP_FCGI_SERVE_H
#define KP_FCGI_SERVE_H

#include "common/conf.h"

struct serve;			/* opaque; one thread at a time */

/* `conf` is kept, not copied. NULL without memory. */
struct serve *serve_new(const struct conf *conf, bool cgi);
void serve_free(struct serve *s);	/* NULL is allowed */

/* Serves one FastCGI request on a connection, which it takes. Returns it when it
 * stays open for another request (asked for by may_keep), else -1. */
int serve_fastcgi(struct serve *s, int fd, bool may_keep);
/* Serves the request of a CGI process. */
void serve_cgi(struct serve *s);

#endif
