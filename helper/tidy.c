#include "helper/tidy.h"

#include <stdlib.h>

#include "common/memory.h"
#include "helper/loop.h"

/* memory_tidy() has the limit; a timer as slow as that would miss it by an instant. */
#define EVERY_MS 20000

struct tidy {
	struct loop *loop;
	struct loop_timer timer;
	struct loop_job job;
	bool out;
};

static void
work(struct loop_job *job)
{
	(void)job;
	memory_tidy();
}

static void
done(struct loop_job *job)
{
	struct tidy *t = loop_owner(job, struct tidy, job);

	t->out = false;
}

static void
fire(void *arg)
{
	struct tidy *t = arg;

	if (!t->out)
		t->out = loop_work(t->loop, &t->job);
}

struct tidy *
tidy_start(struct loop *l)
{
	struct tidy *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->loop = l;
	t->job = (struct loop_job){ .work = work, .done = done, .lane = LOOP_OTHER };
	loop_timer_set(l, &t->timer, EVERY_MS, EVERY_MS, fire, t);
	return t;
}

void
tidy_stop(struct tidy *t)
{
	if (t)
		loop_timer_end(&t->timer);
}

void
tidy_free(struct tidy *t)
{
	free(t);
}
