/*
 * The launcher's signals, taken one at a time instead of in handlers.
 */
#ifndef KP_LAUNCHER_SIGNALS_H
#define KP_LAUNCHER_SIGNALS_H

#include <stdbool.h>

/* Holds them back from now on. Before the first child. */
void signals_block(void);
/* Waits for one, at most that long (-1: for ever). 0: none came. */
int signals_wait(int timeout_ms);
/* True for one that means "stop". */
bool signals_is_stop(int sig);

#endif
