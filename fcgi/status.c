/* GET /_status: how the helper is, and what it is connected to. */
#include "common/clock.h"
#include "common/status_json.h"
#include "fcgi/route.h"
#include "fcgi/http_status.h"

/* A part that is down is worth another look after this. */
#define RETRY_S 5

void
handle_status(const struct req *req, struct res *res)
{
	struct msg_status m;

	if (client_get_status(req->client, &m) != KP_OK) {
		res_fail_as(res, client_error(req->client));
		return;
	}
	if (!status_all_serve(&m, NULL)) {
		res->status = 503;
		res->retry_after_s = http_status_retry_after(res->status, RETRY_S);
	}
	status_json(&res->body, &m, clock_wall_ms());
}
