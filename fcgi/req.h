/*
 * A request as the endpoints see it, and the rules that all of them share.
 */
#ifndef KP_FCGI_REQ_H
#define KP_FCGI_REQ_H

#include "common/conf.h"
#include "fcgi/client.h"
#include "fcgi/res.h"
#include "fcgi/url.h"

enum req_method { REQ_GET = 1, REQ_HEAD = 2, REQ_POST = 4, REQ_OTHER = 8 };

#define REQ_ARGS_MAX 2

struct req {
	enum req_method method;
	struct kp_slice path;		/* as the client sent it, less the prefix */
	bool path_is_plain;		/* the web server has decoded it already */
	struct url_pairs query;
	struct kp_slice arg[REQ_ARGS_MAX];	/* decoded; what {} of the route stood for */
	uint8_t *arg_bytes;

	bool is_form;
	bool is_multipart;		/* of a form; other multiparts are values like any */
	bool is_encoded;		/* compressed, or whatever else */
	const char *content_length;	/* as given; NULL for none */
	bool has_body;			/* also when its length is not known */
	uint8_t *body;			/* for the endpoint to do with as it likes */
	size_t body_bytes;

	int peer;			/* what hangs up with the client; -1: unseen */
	struct client *client;
	const struct conf *conf;
};

/* A variable of the request by CGI's names, NULL when not given. */
typedef const char *req_env(const void *arg, const char *name);

/*
 * Fills *r from the variables, but for args, body, peer, client and conf. It
 * points into the variables and is ended with req_free(), whatever is returned.
 * KP_EBADREQ: too many parameters. KP_ENOMEM.
 */
enum kp_err req_parse(struct req *r, req_env *env, const void *arg);
void req_free(struct req *r);

/* Fails the response as req_parse() and url_pairs_parse() say. */
void req_fail(struct res *res, enum kp_err err);

/* Both fail the response and return false when the rule is broken. */
bool req_topic(const struct req *r, struct res *res, struct kp_slice *topic);
/* Exactly one, with a good name. */
bool req_group(const struct req *r, struct res *res, struct kp_slice *group);

/* The body as a slice, never absent. */
struct kp_slice req_body(const struct req *r);
/* Neither compressed nor in parts: fails the response with 415 and what to do, else. */
bool req_body_is_plain(const struct req *r, struct res *res);
/* The length of the body, -1 when it is not given. */
bool req_content_length(const struct req *r, struct res *res, int64_t *n);
/* Digits only, at most `max`. */
bool req_integer(struct kp_slice s, uint64_t max, uint64_t *n);

#endif
