/* The last step of a start: the gateway is asked as a client asks it. */
#ifndef KP_LAUNCHER_LAUNCH_FRONT_H
#define KP_LAUNCHER_LAUNCH_FRONT_H

#include "deploy/launcher/launch.h"

/*
 * Asks every address that is served, until each has answered GET /_ping with 200. From here
 * on children that die are started again. KP_EIO: one does not serve, a line has been
 * logged; at the latest LAUNCH_START_MS after its first question. KP_EGONE: a signal.
 */
enum kp_err launch_ask_front(struct launch *l);

#endif
