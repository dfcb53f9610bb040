/*
 * What anybody may set as the metadata of an offset: refused, or ascending ranges above
 * the offset, which are written as the very same text. The first byte chooses the offset.
 */
#include "helper/consume/sparse.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sparse_range v[SPARSE_MAX];
	static const int64_t bases[] = { 0, 1, 300, INT32_MAX, INT64_MAX / 2, INT64_MAX - 40,
	    INT64_MAX };
	struct sparse_text t = { .n = 0 };
	uint8_t *exact;
	enum kp_err err;
	int64_t base;
	size_t n;

	if (size < 1)
		return 0;
	base = bases[data[0] % (sizeof(bases) / sizeof(bases[0]))];
	exact = fuzz_copy(data + 1, size - 1);
	err = sparse_decode((struct kp_slice){ exact, size - 1 }, base, v, &n);
	PROMISE(err == KP_OK || (err == KP_EBADMSG && n == 0));
	for (size_t i = 0; i < n; i++) {
		PROMISE(v[i].from > base && v[i].to > v[i].from);
		if (!sparse_add(&t, base, v[i]))
			break;
		base = v[i].to;
	}
	/* A number may be written longer than it has to be: zeros at its end. */
	PROMISE(t.n <= size - 1);
	free(exact);
	return 0;
}
