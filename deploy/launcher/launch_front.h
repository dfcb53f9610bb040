/* The last step of a start: the gateway is asked as a client asks it. */
#ifndef KP_LAUNCHER_LAUNCH_FRONT_H
#define KP_LAUNCHER_LAUNCH_FRONT_H

#include "deploy/launcher/launch.h"

/*
 * Asks every address that is served, until GET /_ping was answered with 200 on one, and on
 * the other at all. From here on children that die are started again. KP_EIO: one does not
 * serve, a line has been logged; at the latest LAUNCH_START_MS after its first question.
 * KP_EGONE: a signal.
 */
enum kp_err launch_ask_front(struct launch *l);

#endif
