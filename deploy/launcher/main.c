/*
 * kafka-pixy: the gateway by one command. Reads the seed's command line, starts
 * helper, responders and nginx, starts again what dies, and stops it all when it
 * is told to. Under systemd or behind a web server of one's own the parts run
 * without it. With a command (a word without a dash) it asks the helper of a
 * gateway that runs: see deploy/admin/.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/privacy.h"
#include "common/secret.h"
#include "deploy/admin/admin.h"
#include "deploy/launcher/find.h"
#include "deploy/launcher/launch.h"
#include "deploy/launcher/signals.h"

#define EXIT_USAGE 2

static int
print_help(void)
{
	printf("Serves Kafka over HTTP on this host. For example:\n\n"
	    "  kafka-pixy --kafkaPeers k1:9092,k2:9092 --zookeeperPeers z1:2181,z2:2181/chroot\n"
	    "  curl -X POST localhost:19092/topics/foo/messages -H 'Content-Type: text/plain' "
	    "-d 'hello'\n"
	    "  curl -G localhost:19092/topics/foo/messages?group=bar\n\n"
	    "To try it without Kafka: kafka-pixy --kafkaPeers embedded\n\n"
	    "To look at a gateway that runs, and at what it keeps:\n\n");
	admin_help();
	printf("\nOptions, with one dash or two, as --name value or --name=value:\n");
	conf_help(stdout, CONF_LAUNCHER);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Ours have their whole configuration from their command line; an nginx of ours
 * inherits no sockets. */
static void
clean_environment(void)
{
	static const char prefix[] = "KAFKA_PIXY_";
	char name[256];

	for (char **e = environ; *e; ) {
		size_t n = strcspn(*e, "=");

		if (strncmp(*e, prefix, sizeof(prefix) - 1) != 0 || n >= sizeof(name)) {
			e++;
			continue;
		}
		memcpy(name, *e, n);
		name[n] = '\0';
		unsetenv(name);		/* moves the rest down to here */
	}
	unsetenv("NGINX");
}

static enum kp_err
change_user(struct conf *c)
{
	struct user u;

	if (c->user[0] == '\0')
		return KP_OK;
	if (!user_find(c->user, &u)) {
		log_error("--user: there is no user \"%s\"", c->user);
		return KP_EBADREQ;
	}
	if (u.uid == geteuid())
		return KP_OK;
	if (geteuid() != 0) {
		log_error("--user %s: only root can change the user", c->user);
		return KP_EDENIED;
	}
	if (user_become(&u)) {
		log_error("--user %s: %s", c->user, strerror(errno));
		return KP_EDENIED;
	}
	/* Places of the user that we were. */
	setenv("HOME", u.home, 1);
	setenv("USER", u.name, 1);
	setenv("LOGNAME", u.name, 1);
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_STATE_HOME");
	/* Done for all children as well. */
	c->user[0] = '\0';
	return KP_OK;
}

static enum kp_err
write_pid_file(const struct conf *c)
{
	if (c->pid_file[0] == '\0' || pidfile_write(c->pid_file) == KP_OK)
		return KP_OK;
	log_error("cannot write --pidFile %s: %s", c->pid_file, strerror(errno));
	return KP_EIO;
}

static void
say_ready(const struct launch *l)
{
	const struct conf *c = l->conf;

	log_info("serving on %s%s%s version=%s pid=%d helper=%d nginx=%d", c->tcp_addr,
	    l->unix_addr[0] ? " and " : "", l->unix_addr, KP_VERSION, (int)getpid(),
	    (int)children_first(&l->children, CHILD_HELPER)->pid,
	    (int)children_first(&l->children, CHILD_NGINX)->pid);
}

/* Until a signal says stop. */
static void
watch(struct children *children)
{
	int sig = 0;

	children->restart = true;
	while (!signals_is_stop(sig)) {
		children_reap(children, CHILD_ANY);
		sig = signals_wait(children_tick(children));
	}
	log_info("stopping signal=%d", sig);
}

static int
serve(struct conf *c)
{
	static struct launch l;		/* a thread may read from it to the end */
	enum kp_err err;

	signals_block();
	clean_environment();
	err = launch_check(&l, c);
	if (err == KP_OK)
		err = write_pid_file(c);
	if (err)
		return err == KP_EBADREQ ? EXIT_USAGE : EXIT_FAILURE;
	err = launch_start(&l);
	if (err == KP_OK) {
		say_ready(&l);
		watch(&l.children);
	}
	launch_stop(&l, err != KP_OK);
	if (c->pid_file[0])
		pidfile_remove(c->pid_file);
	if (err == KP_OK)
		log_info("stopped");
	return err == KP_OK || err == KP_EGONE ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Ours, and what the helper says of itself: it is who has librdkafka. */
static int
print_version(void)
{
	char helper[PATH_MAX];

	if (puts("kafka-pixy " KP_VERSION) < 0 || fflush(stdout) != 0)
		return EXIT_FAILURE;
	if (find_own("kafka-pixy-helper", helper, sizeof(helper)))
		execl(helper, helper, "--version", (char *)NULL);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct conf c;
	char why[512];
	enum kp_err err;
	int status;

	privacy_begin();
	if (argc == 2 && strcmp(argv[1], "help") == 0)
		return print_help();
	if (argc > 1 && argv[1][0] != '-')
		return admin_run(argc - 1, argv + 1);
	err = conf_load(&c, CONF_LAUNCHER, argc, argv, why, sizeof(why));
	if (err) {
		fprintf(stderr, "kafka-pixy: %s\n", why);
		status = err == KP_EBADREQ ? EXIT_USAGE : EXIT_FAILURE;
	} else if (c.help) {
		status = print_help();
	} else if (c.version) {
		status = print_version();
	} else {
		log_init("kafka-pixy", (enum log_level)c.log_level);
		if (secret_hide_args(argc, argv))
			log_warn("-X: " SECRET_SHOWN);
		err = change_user(&c);
		privacy_begin();
		status = err == KP_OK ? serve(&c) :
		    err == KP_EBADREQ ? EXIT_USAGE : EXIT_FAILURE;
	}
	conf_free(&c);
	return status;
}
