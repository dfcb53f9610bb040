/*
 * Opening a store after something happened to it, in a process of its own, and
 * comparing what is in it with what the trace says was promised.
 */
#ifndef KP_FAULTS_CHECK_H
#define KP_FAULTS_CHECK_H

#include "tests/faults/trace.h"

enum check_flags {
	CHECK_WORK = 1,			/* then use it, and look again */
	CHECK_DAMAGED = 2,		/* rows may be missing, or be dead letters */
};

struct check {
	bool crashed;			/* or did not end in time */
	bool opened, sound;		/* sound: integrity_check */
	bool worked;			/* CHECK_WORK: new rows were kept, and read again */
	int64_t rows, dead_rows;	/* in the file, whatever they are */
	int64_t present;		/* rows, and dead letters that were asked for */
	int64_t lost;			/* answered, not taken out, not there */
	int64_t phantom;		/* never sent, or there twice */
	int64_t changed;		/* not byte for byte */
	int64_t disordered;
	int64_t back;			/* removal was done, and there again */
	int64_t repeated;		/* ids that it would give a second time */
	int64_t dead;			/* damaged, or dead letters that nobody asked for */
	int64_t salvaged, salvaged_dead;	/* as the log says; -1: no such line */
	char text[160];			/* the first thing that is wrong */
};

/* As of operation `at` of the trace; NEVER: its end. The log is in `check.log`. */
void check_store(const char *path, const struct trace *t, uint64_t at, unsigned flags,
    struct check *out);
/* Nothing wrong at all. */
bool check_ok(const struct check *c);

#endif
