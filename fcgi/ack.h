/*
 * Explicit acknowledgement: the parameters by which a message is named.
 */
#ifndef KP_FCGI_ACK_H
#define KP_FCGI_ACK_H

#include "fcgi/req.h"

/* noAck, ackPartition and ackOffset of a GET for messages, into *m. False, with the
 * response failed: they break a rule. */
bool ack_parameters(const struct req *req, struct res *res, struct msg_consume *m);

#endif
