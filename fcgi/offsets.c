/* GET and POST /topics/{topic}/offsets?group=G */
#include "fcgi/json.h"
#include "fcgi/json_in.h"
#include "fcgi/route.h"

void
handle_get_offsets(const struct req *req, struct res *res)
{
	struct msg_topic_group m;
	struct msg_offsets r;

	if (!req_topic(req, res, &m.topic) || !req_group(req, res, &m.group))
		return;
	if (client_get_offsets(req->client, &m, &r) != KP_OK)
		res_fail_as(res, client_error(req->client));
	else
		json_offsets(&res->body, &r);
	msg_offsets_free(&r);
}

void
handle_set_offsets(const struct req *req, struct res *res)
{
	struct msg_offsets m = { 0 };
	struct json_doc doc;
	enum kp_err err;
	char why[512];

	if (!req_topic(req, res, &m.topic) || !req_group(req, res, &m.group))
		return;
	err = json_parse_offsets(req_body(req), &doc, &m, why, sizeof(why));
	if (err == KP_EBADREQ)
		res_fail(res, err, "Failed to parse the request: %s", why);
	else if (err)
		res_fail(res, err, "%s", kp_err_text(err));
	else if (client_set_offsets(req->client, &m) != KP_OK)
		res_fail_as(res, client_error(req->client));
	else
		json_empty(&res->body);
	json_doc_free(&doc);
}
