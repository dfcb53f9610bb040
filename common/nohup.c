/* One question to the kernel, for all programs the same. */
#include "common/nohup.h"

#include <signal.h>
#include <stddef.h>

bool
nohup_given(void)
{
	struct sigaction now;

	return sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}
