/* Two tables: error to status, status to its reason phrase. */
#include "fcgi/http_status.h"

#include <stddef.h>

static const int statuses[KP_ERR_COUNT] = {
	[KP_OK]        = 200,
	[KP_ENOMEM]    = 500,
	[KP_EIO]       = 500,
	[KP_EBADMSG]   = 500,
	[KP_EVERSION]  = 503,
	[KP_EBADREQ]   = 400,
	[KP_EDENIED]   = 403,
	[KP_ENOTFOUND] = 404,
	[KP_ENOMSG]    = 408,
	[KP_ECONFLICT] = 409,
	[KP_ETOOBIG]   = 413,
	[KP_EBUSY]     = 429,
	[KP_EKAFKA]    = 500,
	[KP_ENOTSUP]   = 501,
	[KP_EUNAVAIL]  = 503,
	[KP_EFULL]     = 503,
	[KP_ETIMEDOUT] = 504,
	[KP_EGONE]     = 503,
	[KP_EMEDIA]    = 415,
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 413, "Request Entity Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 429, "Too Many Requests" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
};

int
http_status_of(enum kp_err err)
{
	if ((size_t)err >= KP_ERR_COUNT || statuses[err] == 0)
		return 500;
	return statuses[err];
}

const char *
http_status_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

uint32_t
http_status_retry_after(int status, uint32_t advice_s)
{
	if (status != 429 && status != 503)
		return 0;
	return advice_s ? advice_s : 1;
}
