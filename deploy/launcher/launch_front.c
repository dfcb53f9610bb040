/*
 * All parts may run, and nothing be served: nginx's workers are another user, who has to
 * get through to the responders, and they to the helper. One question from outside
 * proves the whole way.
 */
#include "deploy/launcher/launch_front.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sock.h"
#include "deploy/launcher/front.h"
#include "deploy/launcher/signals.h"

#define POLL_MS 20
/* A wrong answer may be of the moment: a child that is started again, a herd of clients
 * that has waited for us. */
#define WRONG_MS 3000

static void
say_why(const struct launch *l, const char *address, const struct front *f)
{
	if (f->status == 502 && l->split)
		log_error("nothing is served on %s: nginx answers 502, its workers run as %s and "
		    "cannot reach %s/" RUNDIR_RESPONDERS "; let that user pass every folder "
		    "above it, or give another XDG_RUNTIME_DIR", address, l->web.name,
		    l->run.path);
	else if (f->status == 502)
		log_error("nothing is served on %s: nginx answers 502, it cannot reach %s/"
		    RUNDIR_RESPONDERS "; see the lines above", address, l->run.path);
	else if (f->status)
		log_error("nothing is served on %s: GET /_ping is answered %d; see the lines "
		    "above", address, f->status);
	else if (f->error)
		log_error("nothing is served on %s: no answer to GET /_ping: %s; does this host "
		    "let itself in there?", address, strerror(f->error));
	else
		log_error("nothing is served on %s: no answer to GET /_ping after %d s; does this "
		    "host let itself in there?", address, LAUNCH_START_MS / 1000);
}

/* `proven`: behind nginx all is well, so that any answer of it will do. */
static enum kp_err
ask(struct launch *l, const char *address, struct front *f, bool proven)
{
	int64_t until_ms = clock_mono_ms() + LAUNCH_START_MS;
	bool wrong = false;
	enum front_step step;

	while ((step = front_ask(f)) != FRONT_SERVES) {
		if (step == FRONT_FAILS && proven && f->status)
			break;
		if (step == FRONT_FAILS && !wrong) {
			wrong = true;
			until_ms = clock_mono_ms() + WRONG_MS;
		}
		if (clock_mono_ms() > until_ms) {
			say_why(l, address, f);
			return KP_EIO;
		}
		if (signals_is_stop(signals_wait(POLL_MS)))
			return KP_EGONE;
		children_reap(&l->children, CHILD_ANY);
		children_tick(&l->children);
	}
	return KP_OK;
}

enum kp_err
launch_ask_front(struct launch *l)
{
	struct front f;
	enum kp_err err;

	l->children.restart = true;
	front_tcp(&f, &l->tcp);
	err = ask(l, l->conf->tcp_addr, &f, false);
	front_close(&f);
	if (err || l->unix_addr[0] == '\0')
		return err;
	front_unix(&f, l->unix_addr);
	err = ask(l, l->conf->unix_addr, &f, true);
	front_close(&f);
	return err;
}
