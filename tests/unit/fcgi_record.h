/* Records of FastCGI, as a web server sends them. */
#ifndef KP_FCGI_RECORD_H
#define KP_FCGI_RECORD_H

#include "common/buf.h"

enum { BEGIN = 1, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

/* Of request 1; s is 65,535 bytes at most. */
static inline void
put_record(struct kp_buf *out, uint8_t type, struct kp_slice s)
{
	const uint8_t head[8] = { 1, type, 0, 1, (uint8_t)(s.n >> 8), (uint8_t)s.n, 0, 0 };

	kp_buf_put(out, head, sizeof(head));
	kp_buf_put(out, s.p, s.n);
}

#endif
