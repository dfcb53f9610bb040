/* Numbers as people read them, and bytes that do no harm. */
#include "deploy/admin/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/utf8.h"

void
print_text(struct kp_buf *out, struct kp_slice s)
{
	for (size_t i = 0, n; i < s.n; i += n ? n : 1) {
		n = utf8_printable(s.p + i, s.n - i);
		if (n)
			kp_buf_put(out, s.p + i, n);
		else
			kp_buf_printf(out, "\\x%02x", s.p[i]);
	}
}

/* A character is a column, which holds for the names of topics. */
size_t
print_width(struct kp_slice s)
{
	size_t width = 0;

	for (size_t i = 0, n; i < s.n; i += n ? n : 1) {
		n = utf8_printable(s.p + i, s.n - i);
		width += n ? 1 : 4;
	}
	return width;
}

const char *
print_count(int64_t n, char text[PRINT_MAX])
{
	char digits[PRINT_MAX], *p = text;
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, n);

	for (size_t i = 0; i < len; i++) {
		if (i && digits[i - 1] != '-' && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return text;
}

const char *
print_bytes(int64_t n, char text[PRINT_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)n;
	size_t unit = 0;

	/* 1023.95 would be shown as 1024.0 of the smaller unit. */
	while (v >= (unit ? 1023.95 : 1024) && unit + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1024;
		unit++;
	}
	snprintf(text, PRINT_MAX, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
	return text;
}

const char *
print_span(int64_t s, char text[PRINT_MAX])
{
	static const struct {
		int64_t s;
		const char *name, *next;
		int64_t next_s;
	} units[] = {
		{ 86400, "d", "h", 3600 }, { 3600, "h", "min", 60 }, { 60, "min", "s", 1 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (s < units[i].s)
			continue;
		snprintf(text, PRINT_MAX, "%" PRId64 " %s %" PRId64 " %s", s / units[i].s,
		    units[i].name, s % units[i].s / units[i].next_s, units[i].next);
		return text;
	}
	snprintf(text, PRINT_MAX, "%" PRId64 " s", s);
	return text;
}

bool
print_out(struct kp_buf *out)
{
	int error = out->failed ? ENOMEM : 0;
	size_t done = 0;

	while (error == 0 && done < out->len) {
		ssize_t n = write(STDOUT_FILENO, out->p + done, out->len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			error = errno;
	}
	kp_buf_reset(out);
	if (error && error != EPIPE)
		fprintf(stderr, "kafka-pixy: cannot write the output: %s\n", strerror(error));
	return error == 0;
}
