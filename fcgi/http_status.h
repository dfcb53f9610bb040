/* What an error is called in HTTP. The only place where the two meet. */
#ifndef KP_FCGI_HTTP_STATUS_H
#define KP_FCGI_HTTP_STATUS_H

#include <stdint.h>

#include "common/err.h"

/* 500 for a number that is not in the list. */
int http_status_of(enum kp_err err);
/* "Not Found"; "Unknown" for a status that is never sent. */
const char *http_status_reason(int status);
/* The seconds of Retry-After for this status, 0 for none; `advice_s` is the
 * helper's own, 0 when it gave none. */
uint32_t http_status_retry_after(int status, uint32_t advice_s);

#endif
