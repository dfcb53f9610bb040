/*
 * What is written as JSON is read back by jansson: text as it was, with U+FFFD for each
 * byte that is not UTF-8; keys and values, in base64, byte for byte. The input is cut at
 * its first NUL byte into two strings.
 */
#include <jansson.h>

#include "common/status_json.h"
#include "fcgi/json.h"
#include "tests/fuzz/fuzz.h"

/* Bytes of the character at p, 0 when it is none. */
static size_t
character(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 :
	    p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c;

	if (len <= 1 || len > n)
		return len == 1;
	c = p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 63u);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

static void
check_text(const json_t *v, struct kp_slice s)
{
	struct kp_buf want;

	kp_buf_init(&want, SIZE_MAX);
	for (size_t i = 0, len; i < s.n; i += len ? len : 1) {
		len = character(s.p + i, s.n - i);
		if (len)
			kp_buf_put(&want, s.p + i, len);
		else
			kp_buf_puts(&want, "\xef\xbf\xbd");
	}
	PROMISE(json_is_string(v) && json_string_length(v) == want.len);
	PROMISE(want.len == 0 || memcmp(json_string_value(v), want.p, want.len) == 0);
	kp_buf_free(&want);
}

static int
digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	PROMISE(c != '\0' && strchr(digits, c));
	return (int)(strchr(digits, c) - digits);
}

static void
check_base64(const json_t *v, struct kp_slice s)
{
	const char *text = json_string_value(v);
	size_t n = json_string_length(v), k = 0;

	PROMISE(text && n == (s.n + 2) / 3 * 4);
	for (size_t i = 0; i < n; i += 4) {
		size_t pad = (size_t)(text[i + 2] == '=') + (text[i + 3] == '=');
		uint32_t bits = (uint32_t)digit(text[i]) << 18 |
		    (uint32_t)digit(text[i + 1]) << 12 |
		    (uint32_t)(pad > 1 ? 0 : digit(text[i + 2])) << 6 |
		    (uint32_t)(pad ? 0 : digit(text[i + 3]));

		PROMISE(pad == 0 || i + 4 == n);
		for (size_t b = 0; b < 3 - pad; b++)
			PROMISE(k < s.n && s.p[k++] == (uint8_t)(bits >> (16 - 8 * b)));
	}
	PROMISE(k == s.n);
}

static json_t *
parse(struct kp_buf *b)
{
	json_t *root;

	PROMISE(!b->failed);
	/* It goes into HTML pages and logs of others. */
	for (size_t i = 0; i < b->len; i++)
		PROMISE((b->p[i] >= 0x20 || b->p[i] == '\n') && b->p[i] != '<');
	root = json_loadb((const char *)b->p, b->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
	    NULL);
	PROMISE(root != NULL);
	kp_buf_reset(b);
	return root;
}

static void
check_message(struct kp_buf *b, struct kp_slice key, struct kp_slice value)
{
	const struct msg_message m = { 1, 2, 3, key, value };
	json_t *root;

	json_message(b, &m);
	root = parse(b);
	if (key.p)
		check_base64(json_object_get(root, "key"), key);
	else
		PROMISE(json_is_null(json_object_get(root, "key")));
	check_base64(json_object_get(root, "value"), value);
	json_decref(root);
}

static void
check_consumers(struct kp_buf *b, struct kp_slice group, struct kp_slice member)
{
	int32_t partitions[] = { 7, 3 };
	struct msg_consumer v = { group, member, partitions, 2 };
	struct msg_consumers m = { &v, 1 };
	json_t *root, *members;

	json_consumers(b, &m);
	root = parse(b);
	PROMISE(json_object_size(root) == 1);
	members = json_object_iter_value(json_object_iter(root));
	PROMISE(json_array_size(json_object_iter_value(json_object_iter(members))) == 2);
	json_decref(root);
}

static void
check_receipt(struct kp_buf *b, struct kp_slice reason)
{
	const struct msg_receipt m = { 5, RECEIPT_DEAD, -1, -1, reason };
	json_t *root;

	json_receipt(b, &m);
	root = parse(b);
	check_text(json_object_get(root, "reason"), reason);
	json_decref(root);
}

static void
check_status(struct kp_buf *b, struct kp_slice error)
{
	const struct msg_part part = { PART_DOWN, 1, 2, error };
	const struct msg_status m = { .version = error, .durability = LIT("fsync"),
	    .kafka = part, .zookeeper = part, .store = part };
	json_t *root;

	status_json(b, &m, INT64_MAX);
	root = parse(b);
	check_text(json_object_get(root, "version"), error);
	check_text(json_object_get(json_object_get(root, "kafka"), "lastError"), error);
	json_decref(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = fuzz_copy(data, size);
	struct kp_slice rest = { exact, size }, first = fuzz_cut(&rest, 0);
	struct kp_buf b;
	json_t *root;

	kp_buf_init(&b, SIZE_MAX);
	json_error(&b, (struct kp_slice){ exact, size });
	root = parse(&b);
	check_text(json_object_get(root, "error"), (struct kp_slice){ exact, size });
	json_decref(root);
	check_receipt(&b, rest);
	check_status(&b, rest);
	check_message(&b, first, rest);
	check_message(&b, (struct kp_slice){ 0 }, (struct kp_slice){ exact, size });
	/* As keys of an object jansson takes no NUL. */
	if (memchr(rest.n ? rest.p : exact, 0, rest.n) == NULL)
		check_consumers(&b, first, rest);
	kp_buf_free(&b);
	free(exact);
	return 0;
}
