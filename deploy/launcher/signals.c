/* sigtimedwait(2) is all that a process needs which does nothing but wait. */
#include "deploy/launcher/signals.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "common/nohup.h"

static const int stops[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
#define N_STOPS (sizeof(stops) / sizeof(stops[0]))

static void
fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < N_STOPS; i++)
		if (stops[i] != SIGHUP || !nohup_given())
			sigaddset(set, stops[i]);
}

void
signals_block(void)
{
	sigset_t set;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Whoever started us may have ignored it: children must not vanish unseen. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
}

int
signals_wait(int timeout_ms)
{
	const struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	sigset_t set;
	int sig;

	fill(&set);
	sig = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &timeout);
	return sig > 0 ? sig : 0;
}

bool
signals_is_stop(int sig)
{
	for (size_t i = 0; i < N_STOPS; i++)
		if (sig == stops[i])
			return true;
	return false;
}
