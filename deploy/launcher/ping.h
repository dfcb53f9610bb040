/*
 * Asks the helper whether it is there.
 */
#ifndef KP_LAUNCHER_PING_H
#define KP_LAUNCHER_PING_H

#include <stdbool.h>

/* One try, at most that long. */
bool ping_helper(const char *socket, int timeout_ms);

#endif
