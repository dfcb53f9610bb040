/*
 * The command lines of helper and responders.
 */
#ifndef KP_LAUNCHER_LAUNCH_ARGS_H
#define KP_LAUNCHER_LAUNCH_ARGS_H

#include "deploy/launcher/launch.h"

/* Sets l->helper_argv and l->responder_argv; its directory is there. -X properties are
 * written to a file in it. An error has been logged, unless it is KP_ENOMEM. */
enum kp_err launch_make_argv(struct launch *l);

#endif
