/*
 * Logging: one event is one line on standard error,
 *
 *	2026-01-31T12:00:00.123Z info helper[26763]: zk up session=0x1 timeout_ms=15000
 *
 * Whatever the values hold, a line stays one line: control characters and
 * broken UTF-8 are written as \xNN, and a line ends after LOG_LINE_MAX bytes.
 * Message keys and values are never passed to these functions.
 *
 * Nobody waits for standard error: see log_out.h. exit(3) waits until all is written,
 * LOG_FLUSH_MS at most; _exit(2) does not, and log_flush() comes before it.
 *
 * Any thread. errno is as before.
 */
#ifndef KP_LOG_H
#define KP_LOG_H

#include <stdbool.h>

#define LOG_LINE_MAX 1024

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `program` is kept, not copied. Call once, before the first line. */
void log_init(const char *program, enum log_level level);
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Waits until all lines are written or dropped, `timeout_ms` at most; false when some
 * are left. */
#define LOG_FLUSH_MS 1000
bool log_flush(int timeout_ms);

/* error: an operator must act; warn: we coped; info: life of the process;
 * debug: states and messages. */
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)							\
	do {								\
		if (log_enabled(LOG_DEBUG))				\
			log_line(LOG_DEBUG, __VA_ARGS__);		\
	} while (0)

/*
 * True when a line of this class may be written: at most LOG_RATE_MAX lines a
 * second a class, so that a flood of bad input cannot fill the disk. The first
 * line let through after a pause is told how many were held back.
 */
#define LOG_RATE_MAX 100
struct log_rate {
	long second;
	unsigned count;
	unsigned dropped;
};
bool log_rate_ok(struct log_rate *r, unsigned *dropped);

#endif
