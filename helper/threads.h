/*
 * How many threads this host lets us start. Libraries do not survive one that they cannot
 * start: librdkafka waits for it for ever, or it or libuv ends the process.
 *
 * Any thread.
 */
#ifndef KP_THREADS_H
#define KP_THREADS_H

#include <stdbool.h>
#include <stddef.h>

/* At most so many are tried. */
#define THREADS_TRY_MAX 512

/*
 * True when n more can be started: they are, and have ended when it returns, after some
 * 50 us for each. Whatever limits threads is asked that way, also what cannot be seen
 * from here; others may take them meanwhile.
 */
bool threads_fit(unsigned n);

/* Why n more were not let start: the limit, what sets it, and how much it is. */
#define THREADS_WHY_MAX 256
void threads_limit(unsigned n, char *out, size_t cap);

#endif
