/* See fault.h. An ordinary build has nothing of it. */
#include "common/fault.h"

#ifdef KP_FAULTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
fault_due(const char *point)
{
	static atomic_long passed;
	const char *at = getenv("KP_KILL_AT");
	size_t n = strlen(point);
	long turn;

	if (at == NULL || strncmp(at, point, n) != 0 || (at[n] != ':' && at[n] != '\0'))
		return false;
	turn = at[n] ? strtol(at + n + 1, NULL, 10) : 1;
	return atomic_fetch_add(&passed, 1) + 1 == turn;
}

void
fault_die(void)
{
	raise(SIGKILL);
	abort();
}

bool
fault_break(const char *promise)
{
	const char *what = getenv("KP_BREAK");

	return what && strcmp(what, promise) == 0;
}

long
fault_number(const char *variable, long usual)
{
	const char *text = getenv(variable);

	return text ? strtol(text, NULL, 10) : usual;
}

void
fault_pause(const char *variable)
{
	usleep((useconds_t)fault_number(variable, 0));
}
#else
typedef int fault_nothing;	/* ISO C wants something in a file */
#endif
