/*
 * Every way in which an operation can end, in one list.
 *
 * The same numbers travel in ERROR frames, so a value is never reused or
 * renumbered without raising WIRE_VERSION.
 */
#ifndef KP_ERR_H
#define KP_ERR_H

#include <stddef.h>

#define KP_ERR_LIST(X)							\
	X(KP_OK,          "ok")						\
	X(KP_ENOMEM,      "out of memory")				\
	X(KP_EIO,         "input/output error")				\
	X(KP_EBADMSG,     "malformed message on the helper's socket")	\
	X(KP_EVERSION,    "responder and helper are of different versions")	\
	X(KP_EBADREQ,     "bad request")				\
	X(KP_EDENIED,     "not authorised")				\
	X(KP_ENOTFOUND,   "not found")					\
	X(KP_ENOMSG,      "long polling timeout")			\
	X(KP_ECONFLICT,   "conflict")					\
	X(KP_ETOOBIG,     "too large")					\
	X(KP_EBUSY,       "Too many requests")				\
	X(KP_EKAFKA,      "Kafka refused the request")			\
	X(KP_ENOTSUP,     "not supported")				\
	X(KP_EUNAVAIL,    "service unavailable")			\
	X(KP_EFULL,       "the store is full")				\
	X(KP_ETIMEDOUT,   "timed out")					\
	X(KP_EGONE,       "the other side has gone")			\
	X(KP_EMEDIA,      "unsupported media type")

enum kp_err {
#define X(name, text) name,
	KP_ERR_LIST(X)
#undef X
	KP_ERR_COUNT
};

/* Static text; "unknown error" for a number that is not in the list. */
const char *kp_err_text(enum kp_err err);
/* "KP_EIO"; for logs. */
const char *kp_err_name(enum kp_err err);
/* Writes why, for who asked, and returns the error. */
enum kp_err kp_err_say(enum kp_err err, char *why, size_t cap, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
