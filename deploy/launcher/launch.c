/*
 * Boot order: helper, responders, nginx, so that nothing is served before it can
 * be answered; then a question to prove it. Stop order is the reverse.
 */
#include "deploy/launcher/launch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sock.h"
#include "deploy/launcher/find.h"
#include "deploy/launcher/launch_args.h"
#include "deploy/launcher/launch_front.h"
#include "deploy/launcher/nginx_conf.h"
#include "deploy/launcher/ping.h"
#include "deploy/launcher/signals.h"

#define POLL_MS 20
#define PING_MS 500
#define HURRY_MS 1000
#define HELPER_FILES 65536
#define NGINX_FILES 8448
#define WORKERS_MAX 4

/* Long polls last 3 s and a little; the helper needs its 10 s. */
static const struct {
	enum child_kind kind;
	int sig;
	int until_ms;
} stops[] = {
	{ CHILD_NGINX, SIGQUIT, 4200 },
	{ CHILD_RESPONDER, SIGTERM, 4500 },
	{ CHILD_HELPER, SIGTERM, LAUNCH_STOP_MS },
};

static enum kp_err
check_tcp(struct launch *l)
{
	const char *text = l->conf->tcp_addr;
	struct address a;
	char why[128];

	if (address_parse(text, &a)) {
		log_error("--tcpAddr takes host:port, not \"%s\"", text);
		return KP_EBADREQ;
	}
	if (address_resolve(&a, &l->tcp, why, sizeof(why))) {
		log_error("cannot listen on %s: %s", text, why);
		return KP_EIO;
	}
	if (address_is_free(&l->tcp)) {
		log_error("cannot listen on %s: %s", text, strerror(errno));
		return KP_EIO;
	}
	address_listen_text(&l->tcp, l->listen, sizeof(l->listen));
	return KP_OK;
}

static enum kp_err
check_unix(struct launch *l)
{
	const char *path = l->conf->unix_addr;
	char cwd[PATH_MAX] = "";

	if (path[0] == '\0')
		return KP_OK;
	/* nginx would take a relative path from its own directory. */
	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		cwd[0] = '\0';
	if (snprintf(l->unix_addr, sizeof(l->unix_addr), "%s%s%s", cwd, cwd[0] ? "/" : "", path) >=
	    (int)sizeof(l->unix_addr))
		errno = ENAMETOOLONG;
	else if (address_unix_is_free(l->unix_addr) == KP_OK)
		return KP_OK;
	log_error("cannot listen on %s: %s", path, strerror(errno));
	l->unix_addr[0] = '\0';
	return KP_EIO;
}

static enum kp_err
check_programs(struct launch *l)
{
	const char *missing = NULL;

	if (!find_own("kafka-pixy-helper", l->helper_path, PATH_MAX))
		missing = "kafka-pixy-helper";
	else if (!find_own("kafka-pixy.fcgi", l->responder_path, PATH_MAX))
		missing = "kafka-pixy.fcgi";
	if (missing) {
		log_error("%s is not beside kafka-pixy, not in ../libexec/kafka-pixy, not in PATH",
		    missing);
		return KP_EIO;
	}
	if (!find_program("nginx", l->nginx_path, PATH_MAX)) {
		log_error("nginx is not installed: apt-get install nginx, or use another web "
		    "server with the samples in deploy/");
		return KP_EIO;
	}
	return KP_OK;
}

enum kp_err
launch_check(struct launch *l, struct conf *conf)
{
	enum kp_err err;

	*l = (struct launch){ .conf = conf, .responder_fd = -1,
	    .run.lock = -1, .spool.lock = -1, .nginx_words.in = -1 };
	l->split = geteuid() == 0 && user_find_web(&l->web);
	err = check_tcp(l);
	if (err == KP_OK)
		err = check_unix(l);
	return err ? err : check_programs(l);
}

static enum kp_err
make_dirs(struct launch *l)
{
	char path[RUNDIR_MAX + 32];

	rundir_sweep();
	if (rundir_make(l->split, &l->run)) {
		log_error("cannot make a directory for this run in $XDG_RUNTIME_DIR, /run, "
		    "$TMPDIR or /tmp, or others could take its place there, or nginx could not "
		    "get there: %s", strerror(errno));
		return KP_EIO;
	}
	if (rundir_make_spool(l->split, &l->spool))
		log_warn("nginx keeps bodies below %s: there is no /var/tmp on a disk that "
		    "can be used", l->run.path);
	snprintf(l->socket, sizeof(l->socket), "%s/" RUNDIR_SOCKET, l->run.path);
	snprintf(path, sizeof(path), "%s/" RUNDIR_RESPONDERS, l->run.path);
	if (sock_listen(path, l->split ? l->web.gid : (gid_t)-1, &l->responder_fd)) {
		log_error("cannot listen on %s: %s", path, strerror(errno));
		return KP_EIO;
	}
	return KP_OK;
}

/* Waits until it is ready, or ends, or a signal says stop. What dies beside it is
 * left for later, when it will be started again. */
static enum kp_err
await(struct launch *l, enum child_kind kind, bool (*ready)(const struct launch *l))
{
	const struct child *child = children_first(&l->children, kind);
	int64_t until_ms = clock_mono_ms() + LAUNCH_START_MS;

	while (!ready(l)) {
		if (signals_is_stop(signals_wait(POLL_MS)))
			return KP_EGONE;
		children_reap(&l->children, kind);
		if (child->pid == 0) {
			/* It has said why, unless it could not or would not. */
			if (!WIFEXITED(child->status) || WEXITSTATUS(child->status) == 0)
				log_error("%s ended as it started, wait status %d",
				    child->spec.name, child->status);
			return KP_EIO;
		}
		if (clock_mono_ms() > until_ms) {
			log_error("%s is not ready after %d s", child->spec.name,
			    LAUNCH_START_MS / 1000);
			return KP_EIO;
		}
	}
	return KP_OK;
}

static bool
helper_ready(const struct launch *l)
{
	return ping_helper(l->socket, PING_MS);
}

/* nginx writes its pid file after it has bound its sockets. */
static bool
nginx_ready(const struct launch *l)
{
	char path[RUNDIR_MAX + 32];

	snprintf(path, sizeof(path), "%s/" RUNDIR_NGINX_PID, l->run.path);
	return access(path, F_OK) == 0;
}

static enum kp_err
start_helper(struct launch *l)
{
	const struct child_spec spec = {
		.kind = CHILD_HELPER, .name = "helper", .path = l->helper_path,
		.argv = (const char *const *)l->helper_argv, .stdin_fd = -1,
		.death_signal = SIGTERM, .files_max = HELPER_FILES,
	};
	enum kp_err err = children_add(&l->children, &spec);

	return err ? err : await(l, CHILD_HELPER, helper_ready);
}

static enum kp_err
start_responders(struct launch *l)
{
	const struct child_spec spec = {
		.kind = CHILD_RESPONDER, .name = "responder", .path = l->responder_path,
		.argv = (const char *const *)l->responder_argv, .user = l->split ? &l->web : NULL,
		.stdin_fd = l->responder_fd, .death_signal = SIGKILL,
	};
	enum kp_err err = KP_OK;

	for (uint64_t i = 0; i < l->conf->responders && err == KP_OK; i++)
		err = children_add(&l->children, &spec);
	return err;
}

static unsigned
count_workers(void)
{
	cpu_set_t cpus;
	int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static enum kp_err
write_nginx_conf(struct launch *l)
{
	struct rlimit files = { .rlim_max = 1024 };
	struct nginx_conf n = {
		.run_dir = l->run.path,
		.spool_dir = l->spool.path[0] ? l->spool.path : l->run.path,
		.listen = l->listen, .unix_addr = l->unix_addr,
		.user = l->split ? l->web.name : "",
		.max_message_bytes = l->conf->max_message_bytes,
		.responders = l->conf->responders, .threads = l->conf->threads,
		.workers = count_workers(),
	};
	enum kp_err err;
	struct kp_buf b;

	getrlimit(RLIMIT_NOFILE, &files);
	n.files_max = files.rlim_max < NGINX_FILES ? files.rlim_max : NGINX_FILES;
	kp_buf_init(&b, 64 * 1024);
	err = nginx_conf_put(&n, &b);
	if (err) {
		log_error("cannot configure nginx: a path has a control character");
	} else if (rundir_write(l->run.path, RUNDIR_NGINX, kp_buf_slice(&b))) {
		log_error("cannot write %s/nginx.conf: %s", l->run.path, strerror(errno));
		err = KP_EIO;
	}
	kp_buf_free(&b);
	return err;
}

static enum kp_err
start_nginx(struct launch *l)
{
	struct child_spec spec = {
		.kind = CHILD_NGINX, .name = "nginx", .path = l->nginx_path,
		.argv = l->nginx_argv, .stdin_fd = -1, .death_signal = SIGTERM,
		.leaves = l->unix_addr[0] ? l->unix_addr : NULL,
		.files_max = NGINX_FILES,
	};
	/* -e: or it would complain that it may not write Debian's error log. */
	const char *const argv[] = {
		"nginx", "-e", "stderr", "-p", l->run.path, "-c", l->nginx_conf, NULL
	};
	enum kp_err err;
	int lock;

	_Static_assert(sizeof(argv) == sizeof(l->nginx_argv), "it outlives this function");
	memcpy(l->nginx_argv, argv, sizeof(argv));
	snprintf(l->nginx_conf, sizeof(l->nginx_conf), "%s/" RUNDIR_NGINX, l->run.path);
	err = write_nginx_conf(l);
	if (err)
		return err;
	if (words_open(&l->nginx_words, "nginx") == KP_OK)
		spec.stderr_fd = l->nginx_words.in;
	/* Another launcher may have been quicker since launch_check(). */
	lock = l->unix_addr[0] ? sock_lock(l->unix_addr) : -1;
	if (l->unix_addr[0] && sock_remove_stale(l->unix_addr)) {
		log_error("cannot listen on %s: %s", l->conf->unix_addr, strerror(EADDRINUSE));
		err = KP_EIO;
	}
	if (err == KP_OK)
		err = children_add(&l->children, &spec);
	if (err == KP_OK)
		err = await(l, CHILD_NGINX, nginx_ready);
	sock_unlock(lock);
	return err;
}

enum kp_err
launch_start(struct launch *l)
{
	enum kp_err err = make_dirs(l);

	if (err == KP_OK)
		err = launch_make_argv(l);
	if (err == KP_OK)
		err = start_helper(l);
	if (err == KP_OK)
		err = start_responders(l);
	if (err == KP_OK)
		err = start_nginx(l);
	if (err == KP_OK)
		err = launch_ask_front(l);
	return err;
}

/* Waits until that kind is gone, or until the time; true when a signal came. */
static bool
await_end(struct launch *l, enum child_kind kind, int64_t until_ms)
{
	int64_t left;

	children_reap(&l->children, kind);
	while (children_running(&l->children, kind) && (left = until_ms - clock_mono_ms()) > 0) {
		if (signals_is_stop(signals_wait((int)left)))
			return true;
		children_reap(&l->children, kind);
	}
	return false;
}

static void
stop_children(struct launch *l, bool hurry)
{
	int64_t begin_ms = clock_mono_ms();

	l->children.restart = false;
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		children_signal(&l->children, stops[i].kind, stops[i].sig);
		if (!hurry)
			hurry = await_end(l, stops[i].kind, begin_ms + stops[i].until_ms);
		if (hurry)
			await_end(l, stops[i].kind, clock_mono_ms() + HURRY_MS);
		if (children_running(&l->children, stops[i].kind))
			log_warn("child killed name=%s: it did not stop in time",
			    children_first(&l->children, stops[i].kind)->spec.name);
		children_kill(&l->children, stops[i].kind);
	}
}

/* What a killed nginx leaves; one that somebody serves is another gateway's. */
static void
remove_unix_socket(const char *path)
{
	int lock = sock_lock(path);

	sock_remove_stale(path);
	sock_unlock(lock);
}

void
launch_stop(struct launch *l, bool hurry)
{
	bool had_nginx = children_first(&l->children, CHILD_NGINX) != NULL;

	stop_children(l, hurry);
	words_close(&l->nginx_words);
	if (had_nginx && l->unix_addr[0])
		remove_unix_socket(l->unix_addr);
	if (l->responder_fd >= 0)
		close(l->responder_fd);
	rundir_remove(&l->run);
	rundir_remove(&l->spool);
	conf_args_free(l->helper_argv);
	conf_args_free(l->responder_argv);
}
