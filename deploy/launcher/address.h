/*
 * Where HTTP is served: --tcpAddr as the seed takes it, as nginx takes it, and
 * the question whether it is free.
 */
#ifndef KP_LAUNCHER_ADDRESS_H
#define KP_LAUNCHER_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

#include "common/err.h"

#define ADDRESS_HOST_MAX 256
/* "[address]:port ipv6only=off", and room to spare. */
#define ADDRESS_LISTEN_MAX 128

struct address {
	char host[ADDRESS_HOST_MAX];	/* empty: every address of the machine */
	char port[8];
};

/*
 * Splits "host:port", "[::1]:port", ":port" or "*:port". KP_EBADREQ when it is
 * none of these, or when the port is not a number from 1 to 65535.
 */
enum kp_err address_parse(const char *text, struct address *a);

/*
 * Finds the one socket address to serve on: IPv4 when a name has both, as the
 * seed does. On error `why` says what is wrong: KP_ENOTFOUND.
 */
enum kp_err address_resolve(const struct address *a, struct sockaddr_storage *out, char *why,
    size_t why_cap);

/* Parameters of nginx's `listen` for it. */
void address_listen_text(const struct sockaddr_storage *s, char *out, size_t cap);

/* KP_OK when it can be bound now; on any error errno tells why. */
enum kp_err address_is_free(const struct sockaddr_storage *s);
/* The same for a Unix socket. One that nobody serves any more is removed. */
enum kp_err address_unix_is_free(const char *path);

#endif
