/*
 * Percent-encoded text: decoding is the same in place, never grows, and undoes encoding;
 * pairs and segments are all of the text and nothing else.
 */
#include "fcgi/url.h"
#include "tests/fuzz/fuzz.h"

static void
encode(struct kp_buf *out, struct kp_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		kp_buf_printf(out, "%%%02x", s.p[i]);
}

static void
check_decode(struct kp_slice in, bool plus_is_space)
{
	uint8_t *out = malloc(in.n ? in.n : 1), *place = fuzz_copy(in.p, in.n), *again;
	size_t n = 0, n_place = 0, n_again = 0;
	bool ok = url_decode(in, plus_is_space, out, &n);
	struct kp_buf b;

	PROMISE(ok == url_decode((struct kp_slice){ place, in.n }, plus_is_space, place, &n_place));
	if (ok) {
		PROMISE(n <= in.n && n == n_place && (n == 0 || memcmp(out, place, n) == 0));
		kp_buf_init(&b, SIZE_MAX);
		encode(&b, (struct kp_slice){ out, n });
		again = malloc(b.len + 1);
		PROMISE(url_decode(kp_buf_slice(&b), plus_is_space, again, &n_again));
		PROMISE(n_again == n && (n == 0 || memcmp(out, again, n) == 0));
		kp_buf_free(&b);
		free(again);
	}
	free(out);
	free(place);
}

/* Pairs that are written out again are the same pairs. */
static void
check_pairs(struct kp_slice in)
{
	uint8_t *place = fuzz_copy(in.p, in.n);
	struct url_pairs p, q;
	struct kp_buf b;

	enum kp_err err = url_pairs_parse(&p, in);

	PROMISE(err == KP_OK || (err == KP_EBADREQ && p.n == URL_PAIRS_MAX));
	PROMISE(url_pairs_parse_in_place(&q, place, in.n) == err && q.n == p.n);
	for (size_t i = 0; i < p.n; i++) {
		PROMISE(kp_slice_eq(p.v[i].name, q.v[i].name));
		PROMISE(kp_slice_eq(p.v[i].value, q.v[i].value));
	}
	url_pairs_free(&q);
	free(place);
	kp_buf_init(&b, SIZE_MAX);
	for (size_t i = 0; i < p.n; i++) {
		PROMISE(p.v[i].name.p && p.v[i].value.p);
		encode(&b, p.v[i].name);
		kp_buf_putc(&b, '=');
		encode(&b, p.v[i].value);
		kp_buf_putc(&b, '&');
	}
	PROMISE(url_pairs_parse(&q, kp_buf_slice(&b)) == KP_OK);
	PROMISE(q.n == p.n);
	for (size_t i = 0; i < p.n; i++) {
		PROMISE(kp_slice_eq(p.v[i].name, q.v[i].name));
		PROMISE(kp_slice_eq(p.v[i].value, q.v[i].value));
	}
	PROMISE((url_pairs_count(&p, "group") > 0) == (url_pairs_first(&p, "group").p != NULL));
	kp_buf_free(&b);
	url_pairs_free(&p);
	url_pairs_free(&q);
}

static void
check_path(struct kp_slice target, struct kp_slice prefix)
{
	struct kp_slice path = url_path(target), query = url_query(target), rest, segment;
	struct kp_buf b;

	PROMISE(path.n <= target.n && (path.n == 0 || memchr(path.p, '?', path.n) == NULL));
	PROMISE((query.p != NULL) == (target.n && memchr(target.p, '?', target.n) != NULL));
	rest = url_less_prefix(path, prefix);
	PROMISE(rest.n == path.n || (rest.n < path.n && rest.p[0] == '/'));
	PROMISE(rest.n == 0 || rest.p + rest.n == path.p + path.n);
	kp_buf_init(&b, SIZE_MAX);
	for (path = rest; url_segment(&rest, &segment); ) {
		PROMISE(segment.n == 0 || memchr(segment.p, '/', segment.n) == NULL);
		kp_buf_putc(&b, '/');
		kp_buf_put(&b, segment.p, segment.n);
	}
	PROMISE(rest.n == 0 || rest.p[0] != '/');
	PROMISE(b.len + rest.n == path.n && (b.len == 0 || memcmp(b.p, path.p, b.len) == 0));
	kp_buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = fuzz_copy(data, size);
	struct kp_slice in = { exact, size }, rest = in, prefix;

	check_decode(in, true);
	check_decode(in, false);
	check_pairs(in);
	prefix = fuzz_cut(&rest, ' ');
	check_path(rest, prefix);
	check_path(in, LIT(""));
	free(exact);
	return 0;
}
