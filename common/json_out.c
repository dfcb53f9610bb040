/* JSON is written byte by byte: its form is prescribed. */
#include "common/json_out.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/utf8.h"

/* The escape for a character of one byte, NULL when it needs none. */
static const char *
escape(uint8_t c, char buf[8])
{
	static const char *const known[128] = {
		['"'] = "\\\"", ['\\'] = "\\\\", ['\n'] = "\\n", ['\r'] = "\\r",
		['\t'] = "\\t", ['<'] = "\\u003c", ['>'] = "\\u003e", ['&'] = "\\u0026",
	};

	if (known[c])
		return known[c];
	if (c >= 0x20)
		return NULL;
	snprintf(buf, 8, "\\u%04x", c);
	return buf;
}

void
json_put_string(struct kp_buf *out, struct kp_slice s)
{
	char buf[8];

	kp_buf_putc(out, '"');
	for (size_t i = 0, len; i < s.n; i += len ? len : 1) {
		const uint8_t *p = s.p + i;
		const char *esc;

		len = utf8_length(p, s.n - i);
		if (len == 0)
			esc = "\\ufffd";
		else if (len == 1)
			esc = escape(*p, buf);
		else if (len == 3 && memcmp(p, "\xe2\x80", 2) == 0 && (p[2] | 1) == 0xa9)
			esc = p[2] & 1 ? "\\u2029" : "\\u2028";
		else
			esc = NULL;
		if (esc)
			kp_buf_puts(out, esc);
		else
			kp_buf_put(out, p, len);
	}
	kp_buf_putc(out, '"');
}

void
json_put_base64(struct kp_buf *out, struct kp_slice s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;
	char *p;

	if (s.p == NULL) {
		kp_buf_puts(out, "null");
		return;
	}
	kp_buf_putc(out, '"');
	if (!kp_buf_reserve(out, (s.n + 2) / 3 * 4 + 1))
		return;
	p = (char *)out->p + out->len;
	for (i = 0; i + 2 < s.n; i += 3) {
		uint32_t v = (uint32_t)s.p[i] << 16 | (uint32_t)s.p[i + 1] << 8 | s.p[i + 2];

		*p++ = digits[v >> 18];
		*p++ = digits[v >> 12 & 63];
		*p++ = digits[v >> 6 & 63];
		*p++ = digits[v & 63];
	}
	if (i < s.n) {
		uint32_t v = (uint32_t)s.p[i] << 16 |
		    (i + 1 < s.n ? (uint32_t)s.p[i + 1] << 8 : 0);

		*p++ = digits[v >> 18];
		*p++ = digits[v >> 12 & 63];
		*p++ = i + 1 < s.n ? digits[v >> 6 & 63] : '=';
		*p++ = '=';
	}
	*p++ = '"';
	out->len = (size_t)(p - (char *)out->p);
}

void
json_put_time(struct kp_buf *out, int64_t unix_ms)
{
	char text[JSON_TIME_MAX];

	if (unix_ms <= 0) {
		kp_buf_puts(out, "null");
		return;
	}
	json_time_text(unix_ms, text);
	kp_buf_printf(out, "\"%s\"", text);
}

void
json_time_text(int64_t unix_ms, char text[JSON_TIME_MAX])
{
	time_t s = (time_t)(unix_ms / 1000);
	struct tm tm;

	if (gmtime_r(&s, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
	    strftime(text, JSON_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, JSON_TIME_MAX, "9999-12-31T23:59:59Z");
}
