/* Cutting and decoding of percent-encoded text. */
#include "fcgi/url.h"

#include <stdlib.h>
#include <string.h>

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
url_decode(struct kp_slice in, bool plus_is_space, uint8_t *out, size_t *n)
{
	size_t k = 0;

	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];

		if (c == '%') {
			if (in.n - i < 3 || hex(in.p[i + 1]) < 0 || hex(in.p[i + 2]) < 0)
				return false;
			c = (uint8_t)(hex(in.p[i + 1]) << 4 | hex(in.p[i + 2]));
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		out[k++] = c;
	}
	*n = k;
	return true;
}

/* The bytes before `sep`, taken off *rest together with it. */
static struct kp_slice
cut(struct kp_slice *rest, char sep)
{
	const uint8_t *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	struct kp_slice head = { rest->p, at ? (size_t)(at - rest->p) : rest->n };
	size_t used = at ? head.n + 1 : head.n;

	if (used)
		rest->p += used;
	rest->n -= used;
	return head;
}

/* Decodes to *bytes and moves it on. */
static bool
decode_to(struct kp_slice in, uint8_t **bytes, struct kp_slice *out)
{
	size_t n;

	if (!url_decode(in, true, *bytes, &n))
		return false;
	*out = (struct kp_slice){ *bytes, n };
	*bytes += n;
	return true;
}

static enum kp_err
add(struct url_pairs *out, struct url_pair pair)
{
	if (out->n == URL_PAIRS_MAX)
		return KP_EBADREQ;
	/* Room for a power of two: full when there are as many. */
	if ((out->n & (out->n - 1)) == 0) {
		size_t cap = out->n ? 2 * out->n : 1;
		struct url_pair *v = realloc(out->v, cap * sizeof(*v));

		if (v == NULL)
			return KP_ENOMEM;
		out->v = v;
	}
	out->v[out->n++] = pair;
	return KP_OK;
}

/* What is decoded is never longer than what was passed, so that `bytes` may be the text. */
static enum kp_err
parse(struct url_pairs *out, struct kp_slice text, uint8_t *bytes)
{
	while (text.n) {
		struct kp_slice value = cut(&text, '&'), name;
		struct url_pair pair;
		enum kp_err err;

		if (value.n == 0)
			continue;	/* nothing between two '&' */
		name = cut(&value, '=');
		if (!decode_to(name, &bytes, &pair.name) || !decode_to(value, &bytes, &pair.value))
			continue;
		err = add(out, pair);
		if (err)
			return err;
	}
	return KP_OK;
}

enum kp_err
url_pairs_parse(struct url_pairs *out, struct kp_slice text)
{
	*out = (struct url_pairs){ .bytes = malloc(text.n + 1) };
	return out->bytes ? parse(out, text, out->bytes) : KP_ENOMEM;
}

enum kp_err
url_pairs_parse_in_place(struct url_pairs *out, uint8_t *text, size_t n)
{
	*out = (struct url_pairs){ 0 };
	return parse(out, (struct kp_slice){ text, n }, text);
}

void
url_pairs_free(struct url_pairs *p)
{
	free(p->v);
	free(p->bytes);
	*p = (struct url_pairs){ 0 };
}

struct kp_slice
url_pairs_first(const struct url_pairs *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (kp_slice_eq(p->v[i].name, kp_slice_str(name)))
			return p->v[i].value;
	return (struct kp_slice){ 0 };
}

size_t
url_pairs_count(const struct url_pairs *p, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < p->n; i++)
		count += kp_slice_eq(p->v[i].name, kp_slice_str(name));
	return count;
}

static bool
starts_with(struct kp_slice s, struct kp_slice with)
{
	return s.n >= with.n && (with.n == 0 || memcmp(s.p, with.p, with.n) == 0);
}

struct kp_slice
url_path(struct kp_slice target)
{
	static const char *const schemes[] = { "http://", "https://" };
	struct kp_slice path = cut(&target, '?');

	/* The absolute form, which proxies are allowed to send. */
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		struct kp_slice scheme = kp_slice_str(schemes[i]);

		if (!starts_with(path, scheme))
			continue;
		path.p += scheme.n;
		path.n -= scheme.n;
		while (path.n && path.p[0] != '/') {
			path.p++;
			path.n--;
		}
	}
	return path;
}

struct kp_slice
url_query(struct kp_slice target)
{
	if (target.n == 0 || memchr(target.p, '?', target.n) == NULL)
		return (struct kp_slice){ 0 };
	cut(&target, '?');
	return target;
}

struct kp_slice
url_less_prefix(struct kp_slice path, struct kp_slice prefix)
{
	while (prefix.n && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	if (prefix.n == 0 || !starts_with(path, prefix) ||
	    path.n == prefix.n || path.p[prefix.n] != '/')
		return path;
	return (struct kp_slice){ path.p + prefix.n, path.n - prefix.n };
}

bool
url_segment(struct kp_slice *path, struct kp_slice *segment)
{
	const uint8_t *at;

	if (path->n == 0 || path->p[0] != '/')
		return false;
	path->p++;
	path->n--;
	at = path->n ? memchr(path->p, '/', path->n) : NULL;
	*segment = (struct kp_slice){ path->p, at ? (size_t)(at - path->p) : path->n };
	path->p += segment->n;
	path->n -= segment->n;
	return true;
}
