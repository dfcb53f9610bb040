/* The library wants a port with each host, and no slash at the end of a path. */
#include "helper/zookeeper/zk_servers.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

#define PORT "2181"
#define HOSTS_MAX 65536

static bool
is_port(const char *s, size_t n)
{
	unsigned port = 0;

	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned)(s[i] - '0');
	}
	return port > 0 && port <= 65535;
}

/* The length of the name in host[:port]; 0: there is none, or its end cannot be told. */
static size_t
name_length(const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n), *end;

	if (s[0] != '[') {
		if (colon && memchr(colon + 1, ':', n - (size_t)(colon - s) - 1))
			return 0;
		return colon ? (size_t)(colon - s) : n;
	}
	end = memchr(s, ']', n);
	return end && colon && colon < end ? (size_t)(end - s) + 1 : 0;
}

static bool
put_host(struct kp_buf *b, const char *s, size_t n)
{
	size_t name = name_length(s, n);

	if (name == 0 || (name < n && (s[name] != ':' || !is_port(s + name + 1, n - name - 1))))
		return false;
	kp_buf_printf(b, "%s%.*s%s", b->len ? "," : "", (int)n, s, name == n ? ":" PORT : "");
	return true;
}

/* As zoo_create(3) takes it: no empty step, none that is "." or "..". */
static bool
is_path(const char *s, size_t n)
{
	for (size_t i = 0; i < n; ) {
		const char *step = s + i + 1, *end = memchr(step, '/', n - i - 1);
		size_t len = end ? (size_t)(end - step) : n - i - 1;

		if (len == 0 || (len <= 2 && strspn(step, ".") >= len))
			return false;
		i += 1 + len;
	}
	return true;
}

enum kp_err
zk_servers_parse(const char *text, char **hosts, char **chroot)
{
	size_t all = strcspn(text, "/"), path = strlen(text + all);
	struct kp_buf b;
	bool ok = true;

	*hosts = *chroot = NULL;
	while (path > 0 && text[all + path - 1] == '/')
		path--;
	kp_buf_init(&b, HOSTS_MAX);
	for (size_t i = 0, n; ok && i < all; i += n + 1) {
		n = strcspn(text + i, ",/");
		ok = n == 0 || put_host(&b, text + i, n);
	}
	ok = ok && b.len > 0 && !b.failed && is_path(text + all, path);
	if (ok) {
		*hosts = strndup((const char *)b.p, b.len);
		*chroot = strndup(text + all, path);
	}
	kp_buf_free(&b);
	if (!ok || (*hosts && *chroot))
		return ok ? KP_OK : KP_EBADREQ;
	free(*hosts);
	free(*chroot);
	*hosts = *chroot = NULL;
	return KP_ENOMEM;
}

char *
zk_servers_bare(const char *hosts)
{
	char *bare = strdup(hosts), *to = bare;

	for (const char *p = hosts; bare && *p; p++)
		if (*p != '[' && *p != ']')
			*to++ = *p;
	if (bare)
		*to = '\0';
	return bare;
}
