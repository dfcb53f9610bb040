/* A socket is believed in when its folder can only be written to by root or by us:
 * in /tmp anybody may make one that looks like a launcher's. One on which nobody listens
 * was left behind by a launcher that was killed, and says nothing. */
#include "deploy/admin/reach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/sock.h"
#include "deploy/launcher/rundir.h"

#define USUAL "/run/kafka-pixy/helper.sock"
#define PING_MS 1000

/* An error is an answer too: such as that this user is not served. */
static bool
answers(const char *path)
{
	struct kp_slice body;
	struct ask a;
	bool ok = ask_open(&a, path) == KP_OK &&
	    ask(&a, MSG_PING, NULL, PING_MS, &body) == KP_OK;

	ask_close(&a);
	return ok;
}

static bool
is_private(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 022) == 0 &&
	    (st.st_uid == 0 || st.st_uid == geteuid());
}

static bool
is_socket(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void
add(struct reach_list *list, const char *path)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->path[i], path) == 0)
			return;
	if (list->n < sizeof(list->path) / sizeof(list->path[0]))
		snprintf(list->path[list->n++], REACH_PATH_MAX, "%s", path);
}

static void
search_place(const char *place, struct reach_list *found, struct reach_list *silent)
{
	DIR *d = place[0] == '/' ? opendir(place) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		char dir[REACH_PATH_MAX], path[REACH_PATH_MAX];

		if (strncmp(e->d_name, RUNDIR_PREFIX, sizeof(RUNDIR_PREFIX) - 1) != 0 ||
		    snprintf(dir, sizeof(dir), "%s/%s", place, e->d_name) >= (int)sizeof(dir) ||
		    snprintf(path, sizeof(path), "%s/%s", dir, RUNDIR_SOCKET) >=
		    (int)sizeof(path) || !is_private(dir) || !is_socket(path) ||
		    !sock_is_served(path))
			continue;
		add(answers(path) ? found : silent, path);
	}
	if (d)
		closedir(d);
}

void
reach_search(const char *const *places, size_t n_places, struct reach_list *found,
    struct reach_list *silent)
{
	found->n = silent->n = 0;
	for (size_t i = 0; i < n_places; i++) {
		bool again = false;

		for (size_t k = 0; k < i && places[i]; k++)
			again = again || (places[k] && strcmp(places[i], places[k]) == 0);
		if (places[i] && !again)
			search_place(places[i], found, silent);
	}
}

static void
print_list(const char *title, const struct reach_list *list)
{
	if (list->n)
		fprintf(stderr, "%s\n", title);
	for (size_t i = 0; i < list->n; i++)
		fprintf(stderr, "  %s\n", list->path[i]);
}

/* The socket of the only gateway; NULL, with the reason printed, when there is none
 * or more than one. */
static const char *
only_one(struct reach_list *found)
{
	struct reach_list silent;
	const char *places[RUNDIR_PLACES];

	rundir_places(places);
	reach_search(places, RUNDIR_PLACES, found, &silent);
	if (found->n == 1)
		return found->path[0];
	if (found->n) {
		print_list("kafka-pixy: several gateways run here; say which one is meant, by "
		    "--socket and one of", found);
		return NULL;
	}
	fprintf(stderr, "kafka-pixy: no helper answers, neither at " USUAL " nor below the folder "
	    "of a launcher; start the gateway, become its user or root, or give --socket\n");
	print_list("These sockets are there, but nobody answers on them to this user:", &silent);
	return NULL;
}

bool
reach_helper(const char *given, struct ask *a)
{
	const char *path = given ? given : getenv("KAFKA_PIXY_SOCKET");
	struct reach_list found;
	enum kp_err err;

	*a = (struct ask){ .fd = -1 };
	if (path == NULL)
		path = answers(USUAL) ? USUAL : only_one(&found);
	if (path == NULL)
		return false;
	err = ask_open(a, path);
	if (err == KP_OK)
		return true;
	fprintf(stderr, "kafka-pixy: the helper cannot be reached at %s: %s\n", path,
	    err == KP_ETOOBIG ? "the path is too long for a socket" : strerror(errno));
	return false;
}
