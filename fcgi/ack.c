/*
 * POST /topics/{topic}/acks?group=G&partition=P&offset=O, and the parameters of
 * GET messages that acknowledge.
 */
#include "fcgi/ack.h"

#include "fcgi/json.h"
#include "fcgi/route.h"

/* A non-negative integer of the query. */
static bool
get_integer(const struct req *req, struct res *res, const char *name, uint64_t max, uint64_t *n)
{
	if (req_integer(url_pairs_first(&req->query, name), max, n))
		return true;
	res_fail(res, KP_EBADREQ, "%s is expected to be a non-negative integer", name);
	return false;
}

static bool
get_place(const struct req *req, struct res *res, const char *const names[2], int32_t *partition,
    int64_t *offset)
{
	uint64_t p, o;

	if (!get_integer(req, res, names[0], INT32_MAX, &p) ||
	    !get_integer(req, res, names[1], INT64_MAX, &o))
		return false;
	*partition = (int32_t)p;
	*offset = (int64_t)o;
	return true;
}

bool
ack_parameters(const struct req *req, struct res *res, struct msg_consume *m)
{
	static const char *const names[] = { "ackPartition", "ackOffset" };
	bool partition = url_pairs_count(&req->query, names[0]) > 0;
	bool offset = url_pairs_count(&req->query, names[1]) > 0;

	m->no_ack = url_pairs_count(&req->query, "noAck") > 0;
	m->ack = partition && offset;
	if (partition != offset) {
		res_fail(res, KP_EBADREQ, "ackPartition and ackOffset either both should be "
		    "provided or neither");
		return false;
	}
	return !m->ack || get_place(req, res, names, &m->ack_partition, &m->ack_offset);
}

void
handle_ack(const struct req *req, struct res *res)
{
	static const char *const names[] = { "partition", "offset" };
	struct msg_ack m;

	if (!req_topic(req, res, &m.topic) || !req_group(req, res, &m.group) ||
	    !get_place(req, res, names, &m.partition, &m.offset))
		return;
	if (client_ack(req->client, &m) == KP_OK)
		json_empty(&res->body);
	else
		res_fail_as(res, client_error(req->client));
}
