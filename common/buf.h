/*
 * Bytes: a kp_slice borrows them, a kp_buf owns them.
 *
 * A kp_buf has a limit and a `failed` mark: a put that would pass the limit,
 * or finds no memory, sets the mark and changes nothing; every later put is
 * then a no-op. So a writer puts everything and tests once at the end.
 *
 * No locking: one thread at a time.
 */
#ifndef KP_BUF_H
#define KP_BUF_H

#include <stdarg.h>
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
/* A malloc'ed, NUL-terminated copy that the caller frees; NULL without memory. */
char *kp_slice_dup(struct kp_slice s);

struct kp_buf {
	uint8_t *p;
	size_t len;
	size_t cap;
	size_t limit;
	bool failed;
};

void kp_buf_init(struct kp_buf *b, size_t limit);
/* Frees the bytes and leaves an empty buffer with the same limit. */
void kp_buf_free(struct kp_buf *b);
/* Empties it and clears the mark; the memory stays for the next use. */
void kp_buf_reset(struct kp_buf *b);
/* Room for n more bytes at p + len, to be filled by the caller, who then adds
 * to len. False, with the mark set, past the limit or without memory. */
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
