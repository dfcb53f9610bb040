/*
 * SIGHUP is a terminal that has gone: the program stops as by SIGTERM. Unless whoever
 * started it has it ignored, as nohup(1) does: then it goes on.
 */
#ifndef KP_NOHUP_H
#define KP_NOHUP_H

#include <stdbool.h>

/* True when SIGHUP is ignored. Before anybody waits for signals: one that is blocked is
 * delivered to sigwait(3) although it is ignored. */
bool nohup_given(void);

#endif
