/*
 * From the variables of a request to its endpoint and names. The input is
 *
 *	METHOD \n REQUEST_URI \n QUERY_STRING \n SCRIPT_NAME \n PATH_INFO \n PREFIX \n
 *	CONTENT_LENGTH \n CONTENT_TYPE
 *
 * where what is missing or empty is a variable that is not given. A topic or group that
 * passes obeys the rules, as they are written down here once more; what does not pass is
 * answered by an error that is JSON.
 */
#include <jansson.h>

#include "fcgi/route.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {
	"REQUEST_METHOD", "REQUEST_URI", "QUERY_STRING", "SCRIPT_NAME", "PATH_INFO",
	"KAFKA_PIXY_PREFIX", "CONTENT_LENGTH", "CONTENT_TYPE",
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

/* No endpoint is called: these are only there to be in the table. */
static const char *
get(const void *arg, const char *name)
{
	char *const *values = arg;

	for (size_t i = 0; i < N_NAMES; i++)
		if (strcmp(names[i], name) == 0)
			return values[i];
	return NULL;
}

static bool
all_of(struct kp_slice s, const char *chars)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(chars, s.p[i]) == NULL)
			return false;
	return s.n >= 1 && s.n <= 249;
}

static bool
is(struct kp_slice s, const char *text)
{
	return kp_slice_eq(s, kp_slice_str(text));
}

static void
check_names(const struct req *req, struct res *res)
{
	struct kp_slice topic, group;
	bool good;

	if (req->arg[0].p) {
		good = all_of(req->arg[0], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789._-") && !is(req->arg[0], ".") && !is(req->arg[0], "..");
		PROMISE(req_topic(req, res, &topic) == good);
	}
	group = url_pairs_first(&req->query, "group");
	good = url_pairs_count(&req->query, "group") == 1 && all_of(group,
	    "!\"#$%&'()*+,-.0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
	    "abcdefghijklmnopqrstuvwxyz{|}~") &&
	    !is(group, ".") && !is(group, "..") && !is(group, "zookeeper");
	PROMISE(req_group(req, res, &group) == good);
}

static void
check_error(const struct res *res)
{
	json_t *root = json_loadb((const char *)res->body.p, res->body.len, JSON_ALLOW_NUL, NULL);
	struct kp_buf head;

	PROMISE(res->status >= 400 && res->status < 600);
	PROMISE(json_is_string(json_object_get(root, "error")));
	json_decref(root);
	kp_buf_init(&head, 4096);
	res_head(res, &head);
	PROMISE(!head.failed && memchr(head.p, '\0', head.len) == NULL);
	kp_buf_free(&head);
}

static void
check_length(const struct req *req, struct res *res)
{
	int64_t n;

	if (req_content_length(req, res, &n))
		PROMISE(n >= -1 && (n >= 0) == (req->content_length != NULL));
	else
		check_error(res);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct conf conf = { .max_message_bytes = 1000000 };
	struct kp_slice rest = { data, size };
	char *values[N_NAMES] = { NULL };
	const struct route *route;
	struct res res;
	struct req req;
	enum kp_err err;

	for (size_t i = 0; i < N_NAMES; i++) {
		struct kp_slice line = fuzz_cut(&rest, '\n');

		if (line.n)
			values[i] = fuzz_string(line.p, line.n);
	}
	res_init(&res);
	err = req_parse(&req, get, values);
	PROMISE(err == KP_OK || (err == KP_EBADREQ && req.query.n == URL_PAIRS_MAX));
	req.conf = &conf;
	route = route_find(&req, &res);
	if (route == NULL) {
		PROMISE(res.status == 400 || res.status == 404 || res.status == 405);
		check_error(&res);
	} else {
		PROMISE(res.status == 200);
		PROMISE(route_body_max(route, &req) <= 3u * 1000000 + 4 * KEY_MAX);
		check_names(&req, &res);
		if (res.status != 200)
			check_error(&res);
	}
	check_length(&req, &res);
	res_free(&res);
	req_free(&req);
	for (size_t i = 0; i < N_NAMES; i++)
		free(values[i]);
	return 0;
}
