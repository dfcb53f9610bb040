/*
 * The configuration of the launcher's own nginx: one server, one upstream, and
 * JSON for every error that nginx answers by itself.
 */
#ifndef KP_LAUNCHER_NGINX_CONF_H
#define KP_LAUNCHER_NGINX_CONF_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct nginx_conf {
	const char *run_dir;		/* absolute; pid file, responder.sock */
	const char *spool_dir;		/* absolute; temporary files */
	const char *listen;		/* parameters of `listen` */
	const char *unix_addr;		/* absolute path, empty: none */
	const char *user;		/* of the workers; empty: the launcher's own */
	uint64_t max_message_bytes;
	uint64_t responders;
	uint64_t threads;		/* of one responder */
	uint64_t workers;
	uint64_t files_max;		/* descriptors that a worker may have */
};

/* Idle connections that each worker may keep to the responders; 0: none. */
uint64_t nginx_conf_keepalive(const struct nginx_conf *n);

/* Room for a message as a form, where each of its bytes may take three. */
uint64_t nginx_conf_body_max(const struct nginx_conf *n);

/* A body of more than 64 KiB goes to the spool directory; all of them together have so
 * much room there. Past it: 503. */
#define NGINX_SPOOL_BYTES (UINT64_C(1) << 30)
uint64_t nginx_conf_spooled_max(const struct nginx_conf *n);	/* bodies at a time */

/* Puts the text. KP_EBADREQ when a path has a control character; KP_ENOMEM. */
enum kp_err nginx_conf_put(const struct nginx_conf *n, struct kp_buf *out);

#endif
