/* GET /_ping: the responder answers when the helper answers. */
#include "fcgi/route.h"

void
handle_ping(const struct req *req, struct res *res)
{
	if (client_ping(req->client) != KP_OK) {
		res_fail_as(res, client_error(req->client));
		return;
	}
	res->type = "text/plain";
	kp_buf_puts(&res->body, "pong");
}
