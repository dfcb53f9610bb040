/*
 * Between those who log and standard error: a queue with a bound, which a thread of
 * its own writes out, one line a write(2). Where lines go may stand still (a pipe that
 * nobody reads, a terminal after Ctrl-S, a journal that hangs): nobody waits for it.
 *
 * What does not fit is dropped; when there is room again, a line says how many. A
 * write that fails (a full disk, no reader any more) drops its line and is no trouble.
 *
 * Any thread. A child of fork(2) begins with an empty queue: the parent writes its own.
 * Lines that are queued are lost when the process is killed; an error is written
 * before log_out_put() returns, unless that would take more than LOG_OUT_WAIT_MS.
 */
#ifndef KP_LOG_OUT_H
#define KP_LOG_OUT_H

#include <stddef.h>

#include "common/log.h"

#define LOG_OUT_BYTES (256 * 1024)
#define LOG_OUT_WAIT_MS 20

/* Takes a copy of a line of at most LOG_LINE_MAX bytes that ends in a newline. Debug and
 * info have three quarters of the queue: a flood of them leaves room for the rest. */
void log_out_put(enum log_level level, const char *line, size_t n);

/* Of log.c: a whole line as it is written; how long it is. */
size_t log_format(char line[LOG_LINE_MAX], enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
