/*
 * Which blocking calls run now and which wait: see loop_work() in loop.h, which is what
 * others use.
 *
 * Loop thread only.
 */
#ifndef KP_LOOP_LANES_H
#define KP_LOOP_LANES_H

#include "helper/loop.h"

struct loop_lanes;

/* NULL without memory. */
struct loop_lanes *loop_lanes_new(struct loop *l);
/* After the last job's done(). NULL is allowed. */
void loop_lanes_free(struct loop_lanes *s);

/* As loop_work() and loop_work_last(). */
bool loop_lanes_add(struct loop_lanes *s, struct loop_job *j);
void loop_lanes_add_last(struct loop_lanes *s, struct loop_job *j);
/* Waiting and running. */
unsigned loop_lanes_jobs(const struct loop_lanes *s);

#endif
