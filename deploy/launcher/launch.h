/*
 * The whole gateway as child processes: helper, responders, nginx.
 *
 * launch_check() changes nothing on the machine and finds what can be found
 * before the first child. Every error of these functions has been logged in one
 * line, by them or by the child that ended; launch_stop() follows in any case.
 */
#ifndef KP_LAUNCHER_LAUNCH_H
#define KP_LAUNCHER_LAUNCH_H

#include <limits.h>

#include "common/conf.h"
#include "deploy/launcher/address.h"
#include "deploy/launcher/children.h"
#include "deploy/launcher/rundir.h"
#include "deploy/launcher/words.h"

/* What any of them may take to start. */
#define LAUNCH_START_MS 20000
/* From the first signal to the end of the last child. */
#define LAUNCH_STOP_MS 14700

struct launch {
	struct conf *conf;
	char helper_path[PATH_MAX];
	char responder_path[PATH_MAX];
	char nginx_path[PATH_MAX];
	char unix_addr[PATH_MAX];	/* absolute, empty: none */
	struct sockaddr_storage tcp;
	char listen[ADDRESS_LISTEN_MAX];	/* the same for nginx */
	struct rundir run;		/* path empty: not made yet */
	struct rundir spool;		/* for bodies; path empty: in `run` */
	char socket[RUNDIR_MAX + 32];
	char nginx_conf[RUNDIR_MAX + 32];
	struct user web;		/* of nginx's workers and responders, for root */
	bool split;			/* web is another user than ours */
	int responder_fd;		/* listening socket of the responders */
	char **helper_argv;
	char **responder_argv;
	const char *nginx_argv[8];
	struct words nginx_words;
	struct children children;
};

/* Addresses and programs. KP_EBADREQ: the command line is wrong. */
enum kp_err launch_check(struct launch *l, struct conf *conf);

/* Starts all, each when the one before it is ready, and asks each address that is served
 * for a proof. KP_EGONE: a signal to stop came meanwhile. */
enum kp_err launch_start(struct launch *l);

/*
 * nginx finishes the requests that it has, responders go, the helper drains; in
 * LAUNCH_STOP_MS in all. A further signal, or `hurry`, cuts that to a second for
 * each of them. Then everything is killed, and no file is left.
 */
void launch_stop(struct launch *l, bool hurry);

#endif
