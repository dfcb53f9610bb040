/*
 * A response before it is written: a status, a body, and what has to happen once
 * the web server has it.
 */
#ifndef KP_FCGI_RES_H
#define KP_FCGI_RES_H

#include "common/msg.h"

struct res {
	int status;
	const char *type;
	struct kp_buf body;
	uint32_t retry_after_s;		/* 0: no such header */
	char allow[32];			/* empty: no such header */
	int64_t message_id;		/* of an async produce; 0: no such header */

	/* The body carries an offered message: the helper is waiting to hear
	 * whether it was delivered. */
	bool offered;
	uint64_t offer;
	/* The web server has gone; there is nobody to write to. */
	bool abandoned;
};

/* 200, application/json, no body yet. */
void res_init(struct res *r);
void res_free(struct res *r);

/* Replaces whatever is there by an error. The text says what happened and what
 * to do; no path of a file. */
void res_fail(struct res *r, enum kp_err err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, as the helper said it. */
void res_fail_as(struct res *r, const struct msg_error *e);
/* 405; `allow` lists the methods that there are. */
void res_fail_method(struct res *r, const char *allow);

/* Checks that the body was written whole; an error replaces it if not. */
void res_finish(struct res *r);
/* Header lines in CGI form, up to and with the empty line. */
void res_head(const struct res *r, struct kp_buf *out);

#endif
