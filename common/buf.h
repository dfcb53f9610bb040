/*
 * Bytes: a kp_slice borrows them, a kp_buf owns them.
 *
 * A kp_buf has a limit and a `failed` mark: a put that would pass the limit,
 * or finds no memory, sets the mark and changes nothing; every later put is
 * then a no-op. So a writer puts everything and tests once at the end.
 *
 * Several may have a quota together: past it a put fails like past the limit, with
 * `no_room` set beside the mark. What is small is not counted, so that there is always
 * room for that.
 *
 * No locking: one thread at a time; a quota is for any thread.
 */
#ifndef KP_BUF_H
#define KP_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes. p == NULL means "absent"; n == 0 with p != NULL is "empty". */
struct kp_slice {
	const uint8_t *p;
	size_t n;
};

/* A string literal as a slice. */
#define LIT(s) ((struct kp_slice){ (const uint8_t *)("" s), sizeof(s) - 1 })

/* Of a C string, which may be NULL (absent). */
struct kp_slice kp_slice_str(const char *s);
bool kp_slice_eq(struct kp_slice a, struct kp_slice b);
/* For tables: FNV-1a. */
uint32_t kp_slice_hash(struct kp_slice s);
/* A malloc'ed, NUL-terminated copy that the caller frees; NULL without memory. */
char *kp_slice_dup(struct kp_slice s);

/* Memory up to which nothing is counted. */
#define KP_QUOTA_FREE (32u * 1024)

struct kp_quota {
	_Atomic size_t used;
	size_t max;
};

/* n bytes of what somebody has; false, with nothing taken, when there is no room. */
bool kp_quota_take(struct kp_quota *q, size_t n);
void kp_quota_give(struct kp_quota *q, size_t n);
/* What an allocation of that size counts. */
size_t kp_quota_weight(size_t bytes);

struct kp_buf {
	uint8_t *p;
	size_t len;
	size_t cap;
	size_t limit;
	struct kp_quota *quota;		/* NULL: none */
	bool failed;
	bool no_room;			/* it failed for want of quota, and may not the next time */
};

void kp_buf_init(struct kp_buf *b, size_t limit);
void kp_buf_init_quota(struct kp_buf *b, size_t limit, struct kp_quota *q);
/* Frees the bytes and leaves an empty buffer with the same limit and quota. */
void kp_buf_free(struct kp_buf *b);
/* Empties it and clears the marks; the memory stays for the next use. */
void kp_buf_reset(struct kp_buf *b);
/* Room for n more bytes at p + len, to be filled by the caller, who then adds
 * to len. False, with the mark set, past limit or quota, or without memory. */
bool kp_buf_reserve(struct kp_buf *b, size_t n);
void kp_buf_put(struct kp_buf *b, const void *p, size_t n);
void kp_buf_puts(struct kp_buf *b, const char *s);
void kp_buf_putc(struct kp_buf *b, char c);
void kp_buf_printf(struct kp_buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes (n <= len). */
void kp_buf_consume(struct kp_buf *b, size_t n);
struct kp_slice kp_buf_slice(const struct kp_buf *b);

#endif
