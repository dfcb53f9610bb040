/*
 * A bar on standard error for work that takes long; nothing when that is no
 * terminal.
 */
#ifndef KP_ADMIN_PROGRESS_H
#define KP_ADMIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown;
	int64_t total;			/* 0: not known */
	int64_t drawn_ms;
};

void progress_begin(struct progress *p, int64_t total);
void progress_step(struct progress *p, int64_t done);
/* Takes it off the terminal. */
void progress_end(struct progress *p);

#endif
