/*
 * The whole HTTP surface: one table of methods, paths and handlers.
 */
#ifndef KP_FCGI_ROUTE_H
#define KP_FCGI_ROUTE_H

#include "fcgi/req.h"

enum route_body { BODY_NONE, BODY_MESSAGE, BODY_OFFSETS };

struct route {
	enum req_method method;
	const char *pattern;		/* each {} binds the next arg */
	enum route_body body;
	bool head;			/* a GET that changes nothing: HEAD works too */
	void (*handle)(const struct req *req, struct res *res);
};

/* The row for the request, whose args are bound then; or NULL, with the response
 * failed: 404, 405, or 400 for a broken path. */
const struct route *route_find(struct req *req, struct res *res);

/* The most bytes of a request's body on this route; 0 when it has no use for one. */
uint64_t route_body_max(const struct route *route, const struct req *req);

/* One endpoint a file. Each answers in full: *res is finished on return. */
void handle_produce(const struct req *req, struct res *res);
void handle_consume(const struct req *req, struct res *res);
void handle_ack(const struct req *req, struct res *res);
void handle_get_offsets(const struct req *req, struct res *res);
void handle_set_offsets(const struct req *req, struct res *res);
void handle_consumers(const struct req *req, struct res *res);
void handle_ping(const struct req *req, struct res *res);
void handle_status(const struct req *req, struct res *res);
void handle_receipt(const struct req *req, struct res *res);

#endif
