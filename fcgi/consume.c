/*
 * GET /topics/{topic}/messages?group=G[&noAck][&ackPartition=P&ackOffset=O]
 *
 * The message is an offer: it counts as consumed only after the web server has
 * taken the response (see serve.c), and with the parameters that acknowledge not
 * even then. A client that hangs up while it waits takes its long poll with it.
 */
#include "fcgi/consume.h"

#include <stdatomic.h>

#include "fcgi/ack.h"
#include "fcgi/json.h"
#include "fcgi/route.h"

static unsigned limit;
static atomic_uint polling;

void
consume_set_limit(unsigned polls)
{
	limit = polls;
}

static void
poll_message(const struct req *req, const struct msg_consume *m, struct res *res)
{
	struct msg_message r;
	bool hungup;

	if (client_consume(req->client, m, req->peer, &r, &hungup) != KP_OK) {
		res->abandoned = hungup;
		if (!hungup)
			res_fail_as(res, client_error(req->client));
		return;
	}
	res->offered = true;
	res->offer = r.offer;
	json_message(&res->body, &r);
}

void
handle_consume(const struct req *req, struct res *res)
{
	struct msg_consume m = { .ack = false };

	if (!req_topic(req, res, &m.topic) || !req_group(req, res, &m.group) ||
	    !ack_parameters(req, res, &m))
		return;
	if (atomic_fetch_add(&polling, 1) >= limit && limit)
		res_fail(res, KP_EBUSY, "Too many requests");
	else
		poll_message(req, &m, res);
	atomic_fetch_sub(&polling, 1);
}
