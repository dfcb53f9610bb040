/* POST /topics/{topic}/messages[?key=K][&sync] */
#include "fcgi/route.h"

#include <inttypes.h>

#include "fcgi/json.h"

/* What a form has wins over the query, as in Kafka-Pixy. */
static struct kp_slice
parameter(const struct req *req, const struct url_pairs *form, const char *name)
{
	struct kp_slice v = url_pairs_first(form, name);

	return v.p ? v : url_pairs_first(&req->query, name);
}

/* curl -d without a type sends a form: the value is then one of its fields. */
static bool
get_value(const struct req *req, const struct url_pairs *form, struct res *res,
    struct kp_slice *value)
{
	*value = req->is_form ? url_pairs_first(form, "msg") : req_body(req);
	if (value->p == NULL) {
		res_fail(res, KP_EBADREQ, "A form is expected to have the field `msg`: to send the "
		    "body as it is, add -H 'Content-Type: text/plain'");
		return false;
	}
	if (value->n > req->conf->max_message_bytes) {
		res_fail(res, KP_ETOOBIG, "Message is too large: the limit is %" PRIu64 " bytes",
		    req->conf->max_message_bytes);
		return false;
	}
	return true;
}

static void
produce(const struct req *req, const struct msg_produce *m, struct res *res)
{
	struct msg_produced r;

	if (m->key.n > KEY_MAX) {
		res_fail(res, KP_ETOOBIG, "Key is too large: the limit is %u bytes", KEY_MAX);
		return;
	}
	if (client_produce(req->client, m, (uint32_t)req->conf->sync_timeout_ms, &r) != KP_OK) {
		res_fail_as(res, client_error(req->client));
	} else if (m->sync) {
		json_produced(&res->body, &r);
	} else {
		json_empty(&res->body);
		res->message_id = r.id;
	}
}

void
handle_produce(const struct req *req, struct res *res)
{
	struct url_pairs form = { 0 };
	struct msg_produce m = { 0 };
	enum kp_err err = KP_OK;

	if (req->is_form)
		err = url_pairs_parse_in_place(&form, req->body, req->body_bytes);
	if (err) {
		req_fail(res, err);
		goto out;
	}
	if (!req_topic(req, res, &m.topic) || !get_value(req, &form, res, &m.value))
		goto out;
	m.key = parameter(req, &form, "key");
	m.sync = parameter(req, &form, "sync").p != NULL;
	produce(req, &m, res);
out:
	url_pairs_free(&form);
}
