/*
 * The order of things in a request:
 *
 *	head -> route -> body -> handler -> response written -> taken -> offer confirmed
 *
 * The last two steps make a consumed message one that the web server has.
 */
#include "fcgi/serve.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/memory.h"
#include "fcgi/http.h"
#include "fcgi/room.h"
#include "fcgi/route.h"

/* Larger buffers are given back after the request. */
#define REST_BYTES (32u * 1024)

struct serve {
	const struct conf *conf;
	bool cgi;
	struct http *http;
	struct client *client;
	struct kp_buf head;
	struct kp_buf body;		/* of the request */
};

struct serve *
serve_new(const struct conf *conf, bool cgi)
{
	struct serve *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->conf = conf;
	s->cgi = cgi;
	kp_buf_init(&s->head, 4096);
	kp_buf_init_quota(&s->body, 0, room());
	s->http = http_new(cgi);
	s->client = client_new(conf->socket);
	if (s->http == NULL || s->client == NULL) {
		serve_free(s);
		return NULL;
	}
	return s;
}

void
serve_free(struct serve *s)
{
	if (s == NULL)
		return;
	client_free(s->client);
	http_free(s->http);
	kp_buf_free(&s->head);
	kp_buf_free(&s->body);
	free(s);
}

static bool
too_large(struct res *res, uint64_t max)
{
	res_fail(res, KP_ETOOBIG, "Request body is too large: the limit is %" PRIu64 " bytes", max);
	return false;
}

/* Reads the body, and checks it against what was announced. */
static bool
take_body(struct serve *s, struct req *req, const struct route *route, struct res *res)
{
	uint64_t max = route_body_max(route, req);
	enum kp_err err = KP_OK;
	int64_t expected;

	if (!req_content_length(req, res, &expected))
		return false;
	if (expected > 0 && (uint64_t)expected > max)
		return too_large(res, max);
	s->body.limit = max + 1;
	/* A CGI process that was promised no body may never see its end. */
	if (req->has_body || !s->cgi)
		err = http_read_body(s->http, expected, &s->body);
	if (err) {
		if (err == KP_EBUSY)
			res_fail(res, KP_EUNAVAIL, ROOM_NONE);
		else
			res_fail(res, err, "%s", kp_err_text(err));
		return false;
	}
	if (expected >= 0 && s->body.len != (uint64_t)expected) {
		res_fail(res, KP_EBADREQ, "Message size does not match Content-Length: "
		    "expected=%" PRId64 ", actual=%zu", expected, s->body.len);
		return false;
	}
	if (s->body.len > max)
		return too_large(res, max);
	if (!req_body_is_plain(req, res))
		return false;
	req->body = s->body.p;
	req->body_bytes = s->body.len;
	return true;
}

static void
answer(struct serve *s, struct req *req, struct res *res)
{
	const struct route *route;
	enum kp_err err;

	err = req_parse(req, http_env, s->http);
	if (err) {
		req_fail(res, err);
		return;
	}
	req->peer = http_peer(s->http);
	req->client = s->client;
	req->conf = s->conf;
	route = route_find(req, res);
	if (route == NULL || (route->body != BODY_NONE && !take_body(s, req, route, res)))
		return;
	route->handle(req, res);
}

/* True when the web server has the whole response. */
static bool
respond(struct serve *s, const struct req *req, struct res *res)
{
	struct kp_slice body;

	res_finish(res);
	kp_buf_reset(&s->head);
	res_head(res, &s->head);
	body = kp_buf_slice(&res->body);
	if (req->method == REQ_HEAD)
		body.n = 0;
	return http_write(s->http, kp_buf_slice(&s->head), body);
}

/* What is in the response is in it: a slow web server need hold nothing else. */
static void
rest(struct serve *s)
{
	client_rest(s->client);
	if (s->body.cap > REST_BYTES)
		kp_buf_free(&s->body);
	else
		kp_buf_reset(&s->body);
}

static void
serve_request(struct serve *s)
{
	bool delivered = false;
	struct res res;
	struct req req;

	res_init(&res);
	answer(s, &req, &res);
	rest(s);
	if (!res.abandoned)
		delivered = respond(s, &req, &res);
	/* What is only written dies with the connection. */
	if (res.offered && delivered)
		delivered = http_taken(s->http);
	if (res.offered) {
		const struct msg_confirm m = { res.offer, delivered && res.status == 200 };

		fault_point("R1");
		client_confirm(s->client, &m);
	}
	log_debug("request path=%.*s status=%d written=%d", (int)req.path.n,
	    (const char *)req.path.p, res.abandoned ? 0 : res.status, delivered);
	req_free(&req);
	res_free(&res);
}

int
serve_fastcgi(struct serve *s, int fd, bool may_keep)
{
	if (!http_begin(s->http, fd))
		return -1;
	serve_request(s);
	fd = http_end(s->http, may_keep);
	memory_tidy();
	return fd;
}

void
serve_cgi(struct serve *s)
{
	serve_request(s);
	http_end(s->http, false);
}
