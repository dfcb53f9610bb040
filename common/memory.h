/*
 * Memory that is free, and which malloc keeps: each thread's share of a burst, in many
 * pieces, would stay with a process that runs for a year.
 */
#ifndef KP_MEMORY_H
#define KP_MEMORY_H

/* Gives it back to the system, once a minute at most: to be called whenever something has
 * ended. Any thread, but not one that must not wait: it may take some milliseconds. */
void memory_tidy(void);

#endif
