/* One event, one line. How it gets out, and when: log_out.c. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log_out.h"
#include "common/utf8.h"

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn",
	[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

static const char *log_program = "kafka-pixy";
static enum log_level log_max = LOG_INFO;

void
log_init(const char *program, enum log_level level)
{
	log_program = program;
	log_max = level;
}

bool
log_enabled(enum log_level level)
{
	return level <= log_max;
}

/* Copies `in` to `out` with everything escaped that could end or fake a line. */
static size_t
escape(char *out, size_t cap, const char *in)
{
	const uint8_t *s = (const uint8_t *)in;
	size_t used = 0;

	while (*s) {
		size_t n = utf8_printable(s, SIZE_MAX);	/* NUL ends it */

		if (used + 4 >= cap)
			break;
		if (n == 0) {
			used += (size_t)snprintf(out + used, cap - used, "\\x%02x", *s);
			s++;
			continue;
		}
		memcpy(out + used, s, n);
		used += n;
		s += n;
	}
	return used;
}

static size_t
format(char line[LOG_LINE_MAX], enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];
	int64_t now_ms = clock_wall_ms();
	struct tm tm;
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	gmtime_r(&(time_t){ now_ms / 1000 }, &tm);
	n = strftime(line, LOG_LINE_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, LOG_LINE_MAX - n, ".%03dZ %s %s[%d]: ",
	    (int)(now_ms % 1000), level_names[level], log_program, (int)getpid());
	n += escape(line + n, LOG_LINE_MAX - n - 1, text);
	line[n++] = '\n';
	return n;
}

size_t
log_format(char line[LOG_LINE_MAX], enum log_level level, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format(line, level, fmt, ap);
	va_end(ap);
	return n;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int saved = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	log_out_put(level, line, format(line, level, fmt, ap));
	va_end(ap);
	errno = saved;
}

bool
log_rate_ok(struct log_rate *r, unsigned *dropped)
{
	int64_t second = clock_mono_ms() / 1000;

	*dropped = 0;
	if (second != r->second) {
		*dropped = r->dropped;
		*r = (struct log_rate){ .second = second };
	}
	if (r->count >= LOG_RATE_MAX) {
		r->dropped++;
		return false;
	}
	r->count++;
	return true;
}
