/* What the launcher knows better than its own command line: the socket, and whom the
 * helper lets in. Secrets go by a file. */
#include "deploy/launcher/launch_args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* The helper must let in the user that the responders run as. */
static enum kp_err
admit_web_user(struct launch *l)
{
	struct conf *c = l->conf;
	char *users, *group = strdup(l->web.group);

	if (group == NULL || asprintf(&users, "%s%s%s", c->socket_users,
	    c->socket_users[0] ? "," : "", l->web.name) < 0) {
		free(group);
		return KP_ENOMEM;
	}
	free(c->socket_group);
	c->socket_group = group;
	free(c->socket_users);
	c->socket_users = users;
	return KP_OK;
}

/* The helper reads -X properties from a file: a command line is for all to see. */
static enum kp_err
add_properties(struct launch *l)
{
	char path[RUNDIR_MAX + 32], *option;
	size_t n = 0;

	if (l->conf->n_x == 0)
		return KP_OK;
	snprintf(path, sizeof(path), "%s/" RUNDIR_OPTIONS, l->run.path);
	if (conf_save_properties(l->conf, path) != KP_OK) {
		log_error("cannot write %s: %s", path, strerror(errno));
		return KP_EIO;
	}
	while (l->helper_argv[n])
		n++;
	if (asprintf(&option, "--config=%s", path) < 0)
		return KP_ENOMEM;
	/* conf_args() leaves room for it: it never gives --config itself. */
	l->helper_argv[n] = option;
	return KP_OK;
}

enum kp_err
launch_make_argv(struct launch *l)
{
	free(l->conf->socket);
	l->conf->socket = strdup(l->socket);
	if (l->conf->socket == NULL || (l->split && admit_web_user(l)))
		return KP_ENOMEM;
	l->helper_argv = conf_args(l->conf, CONF_HELPER, "kafka-pixy-helper");
	l->responder_argv = conf_args(l->conf, CONF_RESPONDER, "kafka-pixy.fcgi");
	return l->helper_argv && l->responder_argv ? add_properties(l) : KP_ENOMEM;
}
