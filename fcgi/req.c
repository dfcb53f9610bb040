/* CGI variables to struct req, and checks that several endpoints make. */
#include "fcgi/req.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FORM_TYPE "application/x-www-form-urlencoded"
#define MULTIPART_TYPE "multipart/form-data"

static const struct {
	const char *name;
	enum req_method method;
} methods[] = {
	{ "GET", REQ_GET },
	{ "HEAD", REQ_HEAD },
	{ "POST", REQ_POST },
};

static enum req_method
parse_method(const char *name)
{
	for (size_t i = 0; name && i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return REQ_OTHER;
}

/* "Application/X-WWW-Form-Urlencoded ; charset=..." is the form's as well. */
static bool
is_word(const char *value, const char *word)
{
	size_t n;

	value += strspn(value, " \t");
	n = strcspn(value, "; \t");
	return n == strlen(word) && strncasecmp(value, word, n) == 0;
}

/* Of a header that may be absent; nginx gives an empty one then. */
static const char *
value_of(req_env *env, const void *arg, const char *name)
{
	const char *value = env(arg, name);

	return value ? value : "";
}

static bool
is_plain(const char *encoding)
{
	return encoding[strspn(encoding, " \t")] == '\0' || is_word(encoding, "identity");
}

/* Where there is no REQUEST_URI, its parts are; they are decoded already. */
static enum kp_err
join_path(struct req *r, const char *script, const char *info)
{
	char *path;
	int n = asprintf(&path, "%s%s", script ? script : "", info ? info : "");

	if (n < 0)
		return KP_ENOMEM;
	r->arg_bytes = (uint8_t *)path;
	r->path = (struct kp_slice){ r->arg_bytes, (size_t)n };
	r->path_is_plain = true;
	return KP_OK;
}

enum kp_err
req_parse(struct req *r, req_env *env, const void *arg)
{
	struct kp_slice target = kp_slice_str(env(arg, "REQUEST_URI"));
	struct kp_slice query = kp_slice_str(env(arg, "QUERY_STRING"));
	enum kp_err err = KP_OK;

	*r = (struct req){ .method = parse_method(env(arg, "REQUEST_METHOD")), .peer = -1 };
	if (target.n) {
		r->path = url_path(target);
		r->arg_bytes = malloc(r->path.n + 1);
		if (r->arg_bytes == NULL)
			return KP_ENOMEM;
	} else {
		err = join_path(r, env(arg, "SCRIPT_NAME"), env(arg, "PATH_INFO"));
		if (err)
			return err;
	}
	r->path = url_less_prefix(r->path, kp_slice_str(env(arg, "KAFKA_PIXY_PREFIX")));
	r->is_form = is_word(value_of(env, arg, "CONTENT_TYPE"), FORM_TYPE);
	r->is_multipart = is_word(value_of(env, arg, "CONTENT_TYPE"), MULTIPART_TYPE);
	r->is_encoded = !is_plain(value_of(env, arg, "HTTP_CONTENT_ENCODING"));
	r->content_length = env(arg, "CONTENT_LENGTH");
	if (r->content_length && r->content_length[0] == '\0')
		r->content_length = NULL;	/* nginx gives it for every GET */
	r->has_body = r->content_length || env(arg, "HTTP_TRANSFER_ENCODING");
	return url_pairs_parse(&r->query, query.p ? query : url_query(target));
}

void
req_free(struct req *r)
{
	url_pairs_free(&r->query);
	free(r->arg_bytes);
}

void
req_fail(struct res *res, enum kp_err err)
{
	if (err == KP_EBADREQ)
		res_fail(res, err, "Too many parameters: the limit is %d", URL_PAIRS_MAX);
	else
		res_fail(res, err, "%s", kp_err_text(err));
}

bool
req_topic(const struct req *r, struct res *res, struct kp_slice *topic)
{
	*topic = r->arg[0];
	if (msg_topic_ok(*topic))
		return true;
	res_fail(res, KP_EBADREQ, "Invalid topic name: it takes 1 to %d letters, digits, '.', '_' "
	    "and '-', and is not '.' or '..'", TOPIC_MAX);
	return false;
}

bool
req_group(const struct req *r, struct res *res, struct kp_slice *group)
{
	size_t n = url_pairs_count(&r->query, "group");

	if (n != 1) {
		res_fail(res, KP_EBADREQ,
		    "One consumer group is expected, but %zu provided", n);
		return false;
	}
	*group = url_pairs_first(&r->query, "group");
	if (msg_group_ok(*group))
		return true;
	res_fail(res, KP_EBADREQ, "Invalid group name: it takes 1 to %d printable ASCII characters "
	    "without a blank or '/', and is not '.', '..' or 'zookeeper'", GROUP_MAX);
	return false;
}

bool
req_body_is_plain(const struct req *r, struct res *res)
{
	if (r->is_encoded)
		res_fail(res, KP_EMEDIA, "A body with a Content-Encoding is not taken: send it "
		    "uncompressed, without that header");
	else if (r->is_multipart)
		res_fail(res, KP_EMEDIA, "A form of multipart/form-data is not taken: send a file "
		    "as it is, with -H 'Content-Type: application/octet-stream' --data-binary "
		    "@FILE, or fields with -d");
	return !r->is_encoded && !r->is_multipart;
}

bool
req_integer(struct kp_slice s, uint64_t max, uint64_t *n)
{
	*n = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = s.p[i] - (unsigned)'0';

		if (digit > 9 || digit > max || *n > (max - digit) / 10)
			return false;
		*n = *n * 10 + digit;
	}
	return s.n > 0;
}

struct kp_slice
req_body(const struct req *r)
{
	return (struct kp_slice){ r->body ? r->body : (const uint8_t *)"", r->body_bytes };
}

bool
req_content_length(const struct req *r, struct res *res, int64_t *n)
{
	uint64_t v;

	*n = -1;
	if (r->content_length == NULL)
		return true;
	if (strspn(r->content_length, "0123456789") != strlen(r->content_length)) {
		res_fail(res, KP_EBADREQ, "Invalid Content-Length header: %s", r->content_length);
		return false;
	}
	/* More digits than fit are a length like any other: too large. */
	if (!req_integer(kp_slice_str(r->content_length), INT64_MAX, &v))
		v = INT64_MAX;
	*n = (int64_t)v;
	return true;
}
