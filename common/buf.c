/* Growing buffers with a limit, and the few things done with slices. */
#include "common/buf.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 256

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

uint32_t
kp_slice_hash(struct kp_slice s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * 16777619u;
	return h;
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

bool
kp_quota_take(struct kp_quota *q, size_t n)
{
	size_t used = atomic_load(&q->used);

	do
		if (n > q->max || used > q->max - n)
			return false;
	while (!atomic_compare_exchange_weak(&q->used, &used, used + n));
	return true;
}

void
kp_quota_give(struct kp_quota *q, size_t n)
{
	atomic_fetch_sub(&q->used, n);
}

size_t
kp_quota_weight(size_t bytes)
{
	return bytes > KP_QUOTA_FREE ? bytes : 0;
}

void
kp_buf_init(struct kp_buf *b, size_t limit)
{
	kp_buf_init_quota(b, limit, NULL);
}

void
kp_buf_init_quota(struct kp_buf *b, size_t limit, struct kp_quota *q)
{
	*b = (struct kp_buf){ .limit = limit, .quota = q };
}

void
kp_buf_free(struct kp_buf *b)
{
	free(b->p);
	if (b->quota)
		kp_quota_give(b->quota, kp_quota_weight(b->cap));
	kp_buf_init_quota(b, b->limit, b->quota);
}

void
kp_buf_reset(struct kp_buf *b)
{
	b->len = 0;
	b->failed = b->no_room = false;
}

/* The next size of a buffer that is to have room for `need` bytes: a large one grows by
 * less, as what is too much of it counts. */
static size_t
next_cap(const struct kp_buf *b, size_t need)
{
	size_t cap = b->cap < KP_QUOTA_FREE ? b->cap * 2 : b->cap + b->cap / 2;

	if (cap < FIRST_BYTES)
		cap = FIRST_BYTES;
	if (cap < need)
		cap = need;
	return cap < b->limit ? cap : b->limit;
}

static bool
resize(struct kp_buf *b, size_t cap)
{
	size_t more = kp_quota_weight(cap) - kp_quota_weight(b->cap);
	uint8_t *p;

	if (b->quota && !kp_quota_take(b->quota, more)) {
		b->no_room = true;
		return false;
	}
	p = realloc(b->p, cap + 1);	/* printf's NUL lies past the limit */
	if (p == NULL) {
		if (b->quota)
			kp_quota_give(b->quota, more);
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

bool
kp_buf_reserve(struct kp_buf *b, size_t n)
{
	if (b->failed)
		return false;
	if (n <= b->cap - b->len)
		return true;
	if (n > b->limit || b->len > b->limit - n || !resize(b, next_cap(b, b->len + n)))
		b->failed = true;
	return !b->failed;
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
