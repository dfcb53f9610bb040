/* GET /_messages/{id}: what became of an async produce. */
#include "fcgi/json.h"
#include "fcgi/route.h"

void
handle_receipt(const struct req *req, struct res *res)
{
	struct msg_receipt r;
	uint64_t id;

	if (!req_integer(req->arg[0], INT64_MAX, &id) || id == 0) {
		res_fail(res, KP_EBADREQ, "Invalid message id: it is the decimal number in the "
		    "header X-Kafka-Pixy-Id of the answer to an async produce");
		return;
	}
	if (client_find_message(req->client, &(struct msg_find){ (int64_t)id }, &r) != KP_OK)
		res_fail_as(res, client_error(req->client));
	else
		json_receipt(&res->body, &r);
}
