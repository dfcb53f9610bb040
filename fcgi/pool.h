/*
 * The threads that serve FastCGI. A thread is bound to a request, not to a
 * connection: kept connections wait together, without a thread each, so that
 * an idle one never stands in the way of another.
 *
 * The pool grows when the last waiting thread gets work, up to --threads, and
 * gives back threads that have been idle for a while.
 */
#ifndef KP_FCGI_POOL_H
#define KP_FCGI_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"

struct pool;			/* opaque */

/* Starts serving what arrives at listen_fd. `conf` is kept, not copied. Signals
 * that the threads must not see are blocked before. NULL: see the log. */
struct pool *pool_start(const struct conf *conf, int listen_fd);

/* Takes no more requests and waits until those in flight are answered; false
 * when some are not at until_ms. The pool cannot be freed then: end the process.
 * Else it is freed. */
bool pool_stop(struct pool *p, int64_t until_ms);

#endif
