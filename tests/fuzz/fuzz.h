/*
 * What a fuzz target is: one function that takes any bytes, and ends the process
 * when a promise does not hold for them. driver.c runs it, or libFuzzer.
 */
#ifndef KP_FUZZ_H
#define KP_FUZZ_H

#include <sanitizer/common_interface_defs.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), in every build. The trace goes where the sanitizers report. */
#define PROMISE(what) do {							\
	if (!(what)) {								\
		fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__,	\
		    #what);							\
		__sanitizer_print_stack_trace();				\
		abort();							\
	}									\
} while (0)

/* A copy of exactly n bytes, so that a sanitizer sees a read past its end. */
static inline uint8_t *
fuzz_copy(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	PROMISE(copy != NULL);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

/* The same, as a C string: it ends at the first NUL. */
static inline char *
fuzz_string(const void *p, size_t n)
{
	size_t len = n ? strnlen(p, n) : 0;
	char *s = malloc(len + 1);

	PROMISE(s != NULL);
	if (len)
		memcpy(s, p, len);
	s[len] = '\0';
	return s;
}

/* The bytes up to `sep`, taken off *rest together with it. */
static inline struct kp_slice
fuzz_cut(struct kp_slice *rest, uint8_t sep)
{
	const uint8_t *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	size_t n = at ? (size_t)(at - rest->p) : rest->n;
	struct kp_slice head = { rest->p, n };

	n += at != NULL;
	if (n)
		rest->p += n;
	rest->n -= n;
	return head;
}

#endif
