/* Growing buffers with a limit, and the few things done with slices. */
#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kp_slice
kp_slice_str(const char *s)
{
	return (struct kp_slice){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

bool
kp_slice_eq(struct kp_slice a, struct kp_slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

char *
kp_slice_dup(struct kp_slice s)
{
	char *copy = malloc(s.n + 1);

	if (copy == NULL)
		return NULL;
	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

void
kp_buf_init(struct kp_buf *b, size_t limit)
{
	*b = (struct kp_buf){ .limit = limit };
}

void
kp_buf_free(struct kp_buf *b)
{
	free(b->p);
	kp_buf_init(b, b->limit);
}

void
kp_buf_reset(struct kp_buf *b)
{
	b->len = 0;
	b->failed = false;
}

bool
kp_buf_reserve(struct kp_buf *b, size_t n)
{
	size_t cap;
	uint8_t *p;

	if (b->failed)
		return false;
	if (n <= b->cap - b->len)
		return true;
	if (n > b->limit || b->len > b->limit - n)
		goto fail;
	cap = b->cap ? b->cap * 2 : 256;
	if (cap < b->len + n)
		cap = b->len + n;
	if (cap > b->limit)
		cap = b->limit;
	p = realloc(b->p, cap + 1);	/* printf's NUL lies past the limit */
	if (p == NULL)
		goto fail;
	b->p = p;
	b->cap = cap;
	return true;

fail:
	b->failed = true;
	return false;
}

void
kp_buf_put(struct kp_buf *b, const void *p, size_t n)
{
	if (n == 0 || !kp_buf_reserve(b, n))
		return;
	memcpy(b->p + b->len, p, n);
	b->len += n;
}

void
kp_buf_puts(struct kp_buf *b, const char *s)
{
	kp_buf_put(b, s, strlen(s));
}

void
kp_buf_putc(struct kp_buf *b, char c)
{
	kp_buf_put(b, &c, 1);
}

void
kp_buf_printf(struct kp_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	if (n <= 0 || !kp_buf_reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void
kp_buf_consume(struct kp_buf *b, size_t n)
{
	if (n == b->len) {
		b->len = 0;
		return;
	}
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}

struct kp_slice
kp_buf_slice(const struct kp_buf *b)
{
	return (struct kp_slice){ b->p ? b->p : (const uint8_t *)"", b->len };
}
