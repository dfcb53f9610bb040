/*
 * Which helper is meant, when several may run on this host.
 */
#ifndef KP_ADMIN_REACH_H
#define KP_ADMIN_REACH_H

#include "common/ask.h"

#define REACH_PATH_MAX 128

/*
 * Opens a connection to the one at `given`, else at $KAFKA_PIXY_SOCKET, else at the
 * usual place, else to the only one of those that launchers have started. False:
 * why, and what to do, has been printed. ask_close() follows in any case.
 */
bool reach_helper(const char *given, struct ask *a);

/*
 * The sockets below run directories of launchers in these places (NULL: none), in
 * directories that are root's or ours and nobody else can write to. `found` gets
 * those on which a helper answers, `silent` the others; up to `max` of each.
 */
struct reach_list {
	char path[16][REACH_PATH_MAX];
	size_t n;
};
void reach_search(const char *const *places, size_t n_places, struct reach_list *found,
    struct reach_list *silent);

#endif
