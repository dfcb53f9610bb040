/* The helper's listening socket, and who may connect to it. */
#include "helper/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/msg.h"
#include "common/sock.h"
#include "helper/ipc_state.h"

#define ACCEPTS_A_TURN 64
#define ACCEPT_AGAIN_MS 100

/* Tells why, under the id 0: nothing of the peer was read. What does not go out at
 * once is not worth waiting for. */
static void
refuse(uv_pipe_t *pipe)
{
	const struct msg_error m = { .err = KP_EDENIED,
	    .text = LIT("The helper does not serve this user: add it to --socketUsers") };
	struct kp_buf out;
	uv_buf_t buf;
	size_t begin;

	kp_buf_init(&out, 1024);
	begin = wire_begin(&out, MSG_ERROR, 0, 0);
	if (msg_error_encode(&out, &m) == KP_OK && wire_end(&out, begin) == KP_OK) {
		buf = uv_buf_init((char *)out.p, (unsigned)out.len);
		uv_try_write((uv_stream_t *)pipe, &buf, 1);
	}
	kp_buf_free(&out);
}

static bool
peer_allowed(struct ipc *ipc, struct conn *c)
{
	uv_pipe_t *pipe = &c->pipe;
	struct ucred cred;
	socklen_t n = sizeof(cred);
	unsigned dropped;
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)pipe, &fd) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return false;
	c->is_operator = cred.uid == 0 || cred.uid == geteuid();
	for (size_t i = 0; i < ipc->n_users; i++)
		if (ipc->users[i] == cred.uid)
			return true;
	refuse(pipe);
	if (log_rate_ok(&ipc->rate, &dropped))
		log_warn("ipc peer refused uid=%u pid=%d dropped_lines=%u: "
		    "not one of --socketUsers", cred.uid, cred.pid, dropped);
	return false;
}

static void
just_free(uv_handle_t *h)
{
	free(h->data);
}

/* ---- accepting ---- */

static void
take(struct ipc *ipc, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return;
	}
	uv_pipe_init(loop_uv(ipc->loop), &c->pipe, 0);
	c->pipe.data = c;
	if (uv_pipe_open(&c->pipe, fd) != 0)
		close(fd);
	else if (ipc->n_conns < CONNS_MAX && peer_allowed(ipc, c)) {
		conn_start(ipc, c);
		return;
	}
	uv_close((uv_handle_t *)&c->pipe, just_free);
}

static int
next_peer(const struct ipc *ipc)
{
	return accept4(ipc->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void
take_spare(struct ipc *ipc)
{
	if (ipc->spare < 0)
		ipc->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* There are no descriptors left: the one that was put by serves to hang up on a peer, so
 * that it need not wait. False: somebody else has that one by now. */
static bool
turn_away(struct ipc *ipc)
{
	int fd;

	if (ipc->spare < 0)
		return false;
	close(ipc->spare);
	ipc->spare = -1;
	fd = next_peer(ipc);
	if (fd >= 0)
		close(fd);
	take_spare(ipc);
	return fd >= 0;
}

static void accept_again(void *arg);

/* libuv's own listener tries on for ever where there are no descriptors, so this is not
 * left to it. */
static void
peers_wait(void *arg)
{
	struct ipc *ipc = arg;
	unsigned dropped;

	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = next_peer(ipc);

		if (fd >= 0) {
			take(ipc, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (log_rate_ok(&ipc->accept_rate, &dropped))
			log_warn("ipc accept dropped_lines=%u: %s", dropped, strerror(errno));
		if ((errno == EMFILE || errno == ENFILE) && turn_away(ipc))
			continue;
		loop_watch_end(ipc->watch);
		ipc->watch = NULL;
		loop_timer_set(ipc->loop, &ipc->pause, ACCEPT_AGAIN_MS, 0, accept_again, ipc);
		return;
	}
}

static void
accept_again(void *arg)
{
	struct ipc *ipc = arg;

	take_spare(ipc);
	ipc->watch = loop_watch_fd(ipc->loop, ipc->listener, peers_wait, ipc);
	if (ipc->watch == NULL)
		loop_timer_set(ipc->loop, &ipc->pause, ACCEPT_AGAIN_MS, 0, accept_again, ipc);
}

/* ---- opening and ending ---- */

static void
next_round(void *arg)
{
	struct ipc *ipc = arg;
	struct conn *c;

	/* None is freed here: see close_soon() in conn.c. */
	LIST_FOREACH(c, &ipc->conns, link)
		conn_round(c);
}

/* Fills the list of users that are served from "name,name". */
static enum kp_err
resolve_users(struct ipc *ipc, const char *names)
{
	char *list = strdup(names), *rest = list, *name;
	enum kp_err err = list ? KP_OK : KP_ENOMEM;

	ipc->users[ipc->n_users++] = 0;
	ipc->users[ipc->n_users++] = geteuid();
	while (err == KP_OK && (name = strsep(&rest, ",")) != NULL) {
		const struct passwd *pw;

		if (*name == '\0')
			continue;
		pw = getpwnam(name);
		if (pw == NULL || ipc->n_users == USERS_MAX) {
			log_error("--socketUsers: %s \"%s\"", pw ? "too many users at" :
			    "there is no user", name);
			err = KP_EBADREQ;
		} else {
			ipc->users[ipc->n_users++] = pw->pw_uid;
		}
	}
	free(list);
	return err;
}

static enum kp_err
listen_at(struct ipc *ipc, const struct conf *conf, int *fd)
{
	const struct group *gr = NULL;
	enum kp_err err;

	if (conf->socket_group[0] && (gr = getgrnam(conf->socket_group)) == NULL) {
		log_error("--socketGroup: there is no group \"%s\"", conf->socket_group);
		return KP_EBADREQ;
	}
	err = sock_listen(conf->socket, gr ? gr->gr_gid : (gid_t)-1, fd);
	if (err == KP_ECONFLICT)
		log_error("--socket %s: a helper is serving there already, or the file is "
		    "not a socket of ours", conf->socket);
	else if (err == KP_ETOOBIG)
		log_error("--socket %s: the path is too long for a Unix socket", conf->socket);
	else if (err)
		log_error("--socket %s: %s", conf->socket, strerror(errno));
	else
		ipc->path = strdup(conf->socket);
	return err;
}

enum kp_err
ipc_open(struct loop *l, const struct conf *conf, void (*dispatch)(void *arg, struct op *op),
    void *arg, struct ipc **out)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));
	enum kp_err err;
	int fd;

	*out = NULL;
	if (ipc == NULL)
		return KP_ENOMEM;
	*ipc = (struct ipc){ .loop = l, .dispatch = dispatch, .arg = arg };
	ipc->body_max = conf->max_message_bytes + WIRE_BODY_SLACK;
	if (ipc->body_max < 1024 * 1024)
		ipc->body_max = 1024 * 1024;	/* offsets of many partitions */
	ipc->large.max = LARGE_MESSAGES * ipc->body_max;
	if (ipc->large.max < LARGE_BYTES)
		ipc->large.max = LARGE_BYTES;
	ipc->small.max = SMALL_BYTES;
	ipc->replies.max = REPLIES_BYTES;
	kp_buf_init(&ipc->out, WIRE_HEADER + WIRE_BODY_MAX);
	err = resolve_users(ipc, conf->socket_users);
	if (err == KP_OK)
		err = listen_at(ipc, conf, &fd);
	if (err) {
		free(ipc);
		return err;
	}
	ipc->listener = fd;
	ipc->spare = -1;
	accept_again(ipc);
	loop_timer_set(l, &ipc->round, ROUND_MS, ROUND_MS, next_round, ipc);
	*out = ipc;
	return KP_OK;
}

void
ipc_stop_accepting(struct ipc *ipc)
{
	if (ipc->listener < 0)
		return;
	loop_timer_end(&ipc->pause);
	loop_watch_end(ipc->watch);
	/* While we listen, nobody else takes the path. */
	if (ipc->path)
		unlink(ipc->path);
	close(ipc->listener);
	ipc->listener = -1;
	if (ipc->spare >= 0)
		close(ipc->spare);
}

size_t
ipc_in_flight(const struct ipc *ipc)
{
	return ipc->n_ops;
}

void
ipc_close(struct ipc *ipc)
{
	struct conn *c;

	ipc_stop_accepting(ipc);
	loop_timer_end(&ipc->round);
	while ((c = LIST_FIRST(&ipc->conns)) != NULL) {
		c->closing = true;
		conn_end(c);
	}
}

void
ipc_free(struct ipc *ipc)
{
	kp_buf_free(&ipc->out);
	free(ipc->path);
	free(ipc);
}
