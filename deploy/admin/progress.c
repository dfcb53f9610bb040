/* Drawn over itself, a few times a second. */
#include "deploy/admin/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/sock.h"
#include "deploy/admin/print.h"

#define WIDTH 40
#define EVERY_MS 100

void
progress_begin(struct progress *p, int64_t total)
{
	*p = (struct progress){ .shown = isatty(STDERR_FILENO) == 1, .total = total };
	progress_step(p, 0);
}

void
progress_step(struct progress *p, int64_t done)
{
	char bar[WIDTH + 1], n[PRINT_MAX], of[PRINT_MAX];
	int64_t now_ms = clock_mono_ms();
	int full;

	if (!p->shown || (p->drawn_ms && now_ms - p->drawn_ms < EVERY_MS && done < p->total))
		return;
	p->drawn_ms = now_ms;
	if (p->total <= 0) {
		fprintf(stderr, "\r%s", print_count(done, n));
		return;
	}
	full = done >= p->total ? WIDTH : (int)((double)done / (double)p->total * WIDTH);
	memset(bar, ' ', WIDTH);
	memset(bar, '#', (size_t)full);
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %s of %s", bar, print_count(done, n), print_count(p->total, of));
}

void
progress_end(struct progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r\033[K");
	p->shown = false;
}
