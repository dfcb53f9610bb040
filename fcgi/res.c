/* Responses: errors as JSON, and the header. */
#include "fcgi/res.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "fcgi/json.h"
#include "fcgi/room.h"
#include "fcgi/http_status.h"

/* A message of WIRE_BODY_MAX in base64, and what stands around it. */
#define RES_BODY_MAX (WIRE_BODY_MAX / 3 * 4 + 4096)

void
res_init(struct res *r)
{
	*r = (struct res){ .status = 200, .type = "application/json" };
	kp_buf_init_quota(&r->body, RES_BODY_MAX, room());
}

void
res_free(struct res *r)
{
	kp_buf_free(&r->body);
}

static void
put_error(struct res *r, int status, uint32_t advice_s, struct kp_slice text)
{
	r->status = status;
	r->type = "application/json";
	r->retry_after_s = http_status_retry_after(status, advice_s);
	r->message_id = 0;
	kp_buf_reset(&r->body);
	json_error(&r->body, text);
}

void
res_fail(struct res *r, enum kp_err err, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_error(r, http_status_of(err), 0, kp_slice_str(text));
}

void
res_fail_as(struct res *r, const struct msg_error *e)
{
	struct kp_slice text = e->text.n ? e->text : kp_slice_str(kp_err_text(e->err));

	put_error(r, http_status_of(e->err), e->retry_after_s, text);
}

void
res_fail_method(struct res *r, const char *allow)
{
	char text[128];

	snprintf(r->allow, sizeof(r->allow), "%s", allow);
	snprintf(text, sizeof(text), "Method not allowed here: use %s", allow);
	put_error(r, 405, 0, kp_slice_str(text));
}

void
res_finish(struct res *r)
{
	bool no_room = r->body.no_room;

	if (!r->body.failed)
		return;
	kp_buf_free(&r->body);
	if (no_room)
		res_fail(r, KP_EUNAVAIL, ROOM_NONE);
	else
		res_fail(r, KP_ENOMEM, "%s", kp_err_text(KP_ENOMEM));
}

void
res_head(const struct res *r, struct kp_buf *out)
{
	kp_buf_printf(out, "Status: %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
	    r->status, http_status_reason(r->status), r->type, r->body.len);
	if (r->retry_after_s)
		kp_buf_printf(out, "Retry-After: %u\r\n", (unsigned)r->retry_after_s);
	if (r->allow[0])
		kp_buf_printf(out, "Allow: %s\r\n", r->allow);
	if (r->message_id > 0)
		kp_buf_printf(out, "X-Kafka-Pixy-Id: %" PRId64 "\r\n", r->message_id);
	kp_buf_puts(out, "\r\n");
}
