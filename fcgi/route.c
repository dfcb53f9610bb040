/* Paths are matched segment by segment, each decoded on its own, so that %2F
 * is a character of a name and never a separator. */
#include "fcgi/route.h"

#include <stdio.h>

static const struct route routes[] = {
	{ REQ_GET,  "/topics/{}/messages",  BODY_NONE,    false, handle_consume },
	{ REQ_POST, "/topics/{}/messages",  BODY_MESSAGE, false, handle_produce },
	{ REQ_POST, "/topics/{}/acks",      BODY_NONE,    false, handle_ack },
	{ REQ_GET,  "/topics/{}/offsets",   BODY_NONE,    true,  handle_get_offsets },
	{ REQ_POST, "/topics/{}/offsets",   BODY_OFFSETS, false, handle_set_offsets },
	{ REQ_GET,  "/topics/{}/consumers", BODY_NONE,    true,  handle_consumers },
	{ REQ_GET,  "/_ping",               BODY_NONE,    true,  handle_ping },
	{ REQ_GET,  "/_status",             BODY_NONE,    true,  handle_status },
	{ REQ_GET,  "/_messages/{}",        BODY_NONE,    true,  handle_receipt },
};
#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

#define SEGMENTS_MAX 4
#define OFFSETS_BODY_MAX (1024u * 1024)
/* In a form each byte may take three, and the key is in there too. */
#define FORM_BODY_MAX(n) (3 * (n) + 4 * KEY_MAX)

/* False when an escape is broken; *n is SEGMENTS_MAX + 1 when there are more. */
static bool
split(struct req *req, struct kp_slice seg[SEGMENTS_MAX], size_t *n)
{
	struct kp_slice path = req->path, s;
	uint8_t *bytes = req->arg_bytes;

	for (*n = 0; url_segment(&path, &s); (*n)++) {
		if (*n == SEGMENTS_MAX) {
			*n = SEGMENTS_MAX + 1;
			return true;
		}
		if (!req->path_is_plain) {
			if (!url_decode(s, false, bytes, &s.n))
				return false;
			s.p = bytes;
			bytes += s.n;
		}
		seg[*n] = s;
	}
	return true;
}

static bool
match(const char *pattern, const struct kp_slice *seg, size_t n, struct kp_slice *arg)
{
	struct kp_slice rest = kp_slice_str(pattern), want;
	size_t i = 0;

	while (url_segment(&rest, &want)) {
		if (i == n)
			return false;
		if (kp_slice_eq(want, LIT("{}")) && seg[i].n)
			*arg++ = seg[i];
		else if (!kp_slice_eq(want, seg[i]))
			return false;
		i++;
	}
	return i == n;
}

/* "GET, HEAD, POST" for the methods in the set. */
static void
fail_method(struct res *res, unsigned methods)
{
	static const struct {
		unsigned method;
		const char *name;
	} names[] = { { REQ_GET, "GET" }, { REQ_HEAD, "HEAD" }, { REQ_POST, "POST" } };
	char allow[32] = "";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (methods & names[i].method)
			n += (size_t)snprintf(allow + n, sizeof(allow) - n, "%s%s",
			    n ? ", " : "", names[i].name);
	res_fail_method(res, allow);
}

const struct route *
route_find(struct req *req, struct res *res)
{
	struct kp_slice seg[SEGMENTS_MAX];
	unsigned methods = 0;
	size_t n;

	if (!split(req, seg, &n)) {
		res_fail(res, KP_EBADREQ, "The path has a '%%' that is not followed by two "
		    "hexadecimal digits: write it as %%25");
		return NULL;
	}
	for (size_t i = 0; i < N_ROUTES && n <= SEGMENTS_MAX; i++) {
		unsigned served = routes[i].method | (routes[i].head ? REQ_HEAD : 0u);

		if (!match(routes[i].pattern, seg, n, req->arg))
			continue;
		if (served & req->method)
			return &routes[i];
		methods |= served;
	}
	if (methods)
		fail_method(res, methods);
	else
		res_fail(res, KP_ENOTFOUND, "No such path: see the API's description");
	return NULL;
}

uint64_t
route_body_max(const struct route *route, const struct req *req)
{
	switch (route->body) {
	case BODY_MESSAGE:
		if (req->is_form)
			return FORM_BODY_MAX(req->conf->max_message_bytes);
		return req->conf->max_message_bytes;
	case BODY_OFFSETS:
		return OFFSETS_BODY_MAX;
	case BODY_NONE:
		break;
	}
	return 0;
}
