/*
 * POST /topics/{topic}/acks?group=G&partition=P&offset=O, and the parameters of
 * GET messages that acknowledge.
 *
 * A message must never be taken as done against the word of its consumer, so
 * who asks for explicit acknowledgement is refused, and not served without it.
 */
#include "fcgi/ack.h"

#include "fcgi/route.h"

static void
refuse(struct res *res, const char *advice)
{
	res_fail(res, KP_ENOTSUP,
	    "explicit acknowledgement is not supported by this version; %s", advice);
}

/* A non-negative integer of the query. */
static bool
check_integer(const struct req *req, struct res *res, const char *name, uint64_t max)
{
	uint64_t n;

	if (req_integer(url_pairs_first(&req->query, name), max, &n))
		return true;
	res_fail(res, KP_EBADREQ, "%s is expected to be a non-negative integer", name);
	return false;
}

static bool
check_place(const struct req *req, struct res *res, const char *partition, const char *offset)
{
	return check_integer(req, res, partition, INT32_MAX) &&
	    check_integer(req, res, offset, INT64_MAX);
}

bool
ack_none(const struct req *req, struct res *res)
{
	bool partition = url_pairs_count(&req->query, "ackPartition") > 0;
	bool offset = url_pairs_count(&req->query, "ackOffset") > 0;

	if (partition != offset) {
		res_fail(res, KP_EBADREQ, "ackPartition and ackOffset either both should be "
		    "provided or neither");
		return false;
	}
	if (partition && !check_place(req, res, "ackPartition", "ackOffset"))
		return false;
	if (!partition && url_pairs_count(&req->query, "noAck") == 0)
		return true;
	refuse(res, "leave out noAck, ackPartition and ackOffset: a message counts as consumed "
	    "once its response has been written");
	return false;
}

void
handle_ack(const struct req *req, struct res *res)
{
	struct kp_slice topic, group;

	if (!req_topic(req, res, &topic) || !req_group(req, res, &group) ||
	    !check_place(req, res, "partition", "offset"))
		return;
	refuse(res, "there is nothing to acknowledge: a message counts as consumed once its "
	    "response has been written");
}
