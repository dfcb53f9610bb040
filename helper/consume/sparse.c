/* Ranges as text: see sparse.h. What we would not have written is not ours to believe. */
#include "helper/consume/sparse.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define BITS 5
#define MORE 0x20
#define NUMBER_CHARS 13			/* 63 bits, 5 in each */

/* The number that *in begins with, at least 1. */
static bool
get(struct kp_slice *in, int64_t *n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < NUMBER_CHARS && in->n; i++) {
		const char *at = in->p[0] ? strchr(digits, in->p[0]) : NULL;
		uint64_t digit = at ? (uint64_t)(at - digits) : 0;

		if (at == NULL || (i == NUMBER_CHARS - 1 && digit > 7))
			return false;
		in->p++;
		in->n--;
		sum |= (digit & (MORE - 1)) << (BITS * i);
		if (digit < MORE) {
			*n = (int64_t)sum;
			return sum > 0;
		}
	}
	return false;
}

static size_t
put(char out[NUMBER_CHARS], int64_t n)
{
	uint64_t left = (uint64_t)n;
	size_t i = 0;

	do {
		uint64_t digit = left & (MORE - 1);

		left >>= BITS;
		out[i++] = digits[left ? digit | MORE : digit];
	} while (left);
	return i;
}

enum kp_err
sparse_decode(struct kp_slice text, int64_t base, struct sparse_range *v, size_t *n)
{
	size_t found = 0;

	*n = 0;
	while (text.n) {
		int64_t gap, length;

		if (found == SPARSE_MAX || !get(&text, &gap) || !get(&text, &length))
			return KP_EBADMSG;
		if (gap > INT64_MAX - base || length > INT64_MAX - base - gap)
			return KP_EBADMSG;
		v[found].from = base + gap;
		v[found].to = base = base + gap + length;
		found++;
	}
	*n = found;
	return KP_OK;
}

bool
sparse_add(struct sparse_text *t, int64_t base, struct sparse_range r)
{
	char pair[2 * NUMBER_CHARS];
	size_t n = put(pair, r.from - base);

	n += put(pair + n, r.to - r.from);
	if (t->n + n > METADATA_MAX)
		return false;
	memcpy(t->p + t->n, pair, n);
	t->n += n;
	t->p[t->n] = '\0';
	return true;
}
