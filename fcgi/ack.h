/*
 * Explicit acknowledgement: the checks of its parameters, which the answer that
 * it is not there yet comes after.
 */
#ifndef KP_FCGI_ACK_H
#define KP_FCGI_ACK_H

#include "fcgi/req.h"

/* False, with the response failed, when a GET for messages asks for it. */
bool ack_none(const struct req *req, struct res *res);

#endif
