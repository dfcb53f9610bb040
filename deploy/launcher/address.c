/* --tcpAddr. nginx is given a number, never a name: it would resolve the name
 * on its own, and might find another address than the one that was checked. */
#include "deploy/launcher/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sock.h"

/* 0 when it is none. */
static unsigned
parse_port(const char *text)
{
	unsigned long port;

	if (strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
		return 0;
	port = strtoul(text, NULL, 10);
	return port <= 65535 ? (unsigned)port : 0;
}

enum kp_err
address_parse(const char *text, struct address *a)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	unsigned port = colon ? parse_port(colon + 1) : 0;
	size_t n;

	if (port == 0)
		return KP_EBADREQ;
	n = (size_t)(colon - text);
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
		if (memchr(host, ':', n) == NULL)
			return KP_EBADREQ;
	} else if (memchr(host, ':', n) || memchr(host, '[', n) || memchr(host, ']', n)) {
		return KP_EBADREQ;
	}
	if (n == 1 && *host == '*')
		n = 0;
	if (n >= sizeof(a->host))
		return KP_EBADREQ;
	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)host[i]))
			return KP_EBADREQ;
	memcpy(a->host, host, n);
	a->host[n] = '\0';
	snprintf(a->port, sizeof(a->port), "%u", port);
	return KP_OK;
}

static bool
has_ipv6(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

enum kp_err
address_resolve(const struct address *a, struct sockaddr_storage *out, char *why, size_t cap)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	const char *host = a->host[0] ? a->host : has_ipv6() ? "::" : "0.0.0.0";
	struct addrinfo *found, *best;
	int rc = getaddrinfo(host, a->port, &hints, &found);

	if (rc) {
		snprintf(why, cap, "%s", rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
		return KP_ENOTFOUND;
	}
	best = found;
	for (struct addrinfo *i = found; i; i = i->ai_next)
		if (i->ai_family == AF_INET && best->ai_family != AF_INET)
			best = i;
	*out = (struct sockaddr_storage){ 0 };
	memcpy(out, best->ai_addr, best->ai_addrlen);
	freeaddrinfo(found);
	return KP_OK;
}

static bool
is_any6(const struct sockaddr_storage *s)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;

	return s->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

void
address_listen_text(const struct sockaddr_storage *s, char *out, size_t cap)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)s;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
	char ip[INET6_ADDRSTRLEN] = "";

	if (s->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(out, cap, "%s:%d", ip, ntohs(in->sin_port));
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
	/* [::] means both families, as it does for the seed. */
	snprintf(out, cap, "[%s]:%d%s", ip, ntohs(in6->sin6_port),
	    is_any6(s) ? " ipv6only=off" : "");
}

enum kp_err
address_is_free(const struct sockaddr_storage *s)
{
	socklen_t n = s->ss_family == AF_INET ? sizeof(struct sockaddr_in) :
	    sizeof(struct sockaddr_in6);
	int fd = socket(s->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, off = 0, rc = -1;

	if (fd < 0)
		return KP_EIO;
	/* The same options as nginx: a port in TIME_WAIT is free, a served one is not. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (!is_any6(s) || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0))
		rc = bind(fd, (const struct sockaddr *)s, n);
	if (rc < 0) {
		rc = errno;
		close(fd);
		errno = rc;
		return rc == EADDRINUSE ? KP_ECONFLICT : KP_EIO;
	}
	close(fd);
	return KP_OK;
}

enum kp_err
address_unix_is_free(const char *path)
{
	enum kp_err err;
	int fd;

	err = sock_listen(path, (gid_t)-1, &fd);
	if (err == KP_ETOOBIG)
		errno = ENAMETOOLONG;
	if (err == KP_ECONFLICT)
		errno = EADDRINUSE;
	if (err)
		return err;
	unlink(path);		/* while it is ours: it is served */
	close(fd);
	return KP_OK;
}
