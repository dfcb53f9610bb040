/* Gives free memory back to the system now and then, on a worker: see common/memory.h. */
#ifndef KP_TIDY_H
#define KP_TIDY_H

struct loop;
struct tidy;

/* NULL: no memory. */
struct tidy *tidy_start(struct loop *l);
/* No more; free it when all jobs of the loop are done. `t` may be NULL. */
void tidy_stop(struct tidy *t);
void tidy_free(struct tidy *t);

#endif
