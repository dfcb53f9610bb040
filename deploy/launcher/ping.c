/* One PING, one DONE: the smallest client of the helper. */
#include "deploy/launcher/ping.h"

#include "common/ask.h"

bool
ping_helper(const char *socket, int timeout_ms)
{
	struct kp_slice body;
	struct ask a;
	bool ok = ask_open(&a, socket) == KP_OK &&
	    ask(&a, MSG_PING, NULL, timeout_ms, &body) == KP_OK && a.error.err == KP_OK;

	ask_close(&a);
	return ok;
}
