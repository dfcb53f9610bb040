/* GET /topics/{topic}/consumers[?group=G] */
#include "fcgi/json.h"
#include "fcgi/route.h"

void
handle_consumers(const struct req *req, struct res *res)
{
	struct msg_topic_group m = { .group = LIT("") };
	struct msg_consumers r;

	if (!req_topic(req, res, &m.topic))
		return;
	/* Without a group, or with an empty one, all of them. */
	if (url_pairs_count(&req->query, "group") > 1 ||
	    url_pairs_first(&req->query, "group").n > 0)
		if (!req_group(req, res, &m.group))
			return;
	if (client_get_consumers(req->client, &m, &r) != KP_OK)
		res_fail_as(res, client_error(req->client));
	else
		json_consumers(&res->body, &r);
	msg_consumers_free(&r);
}
