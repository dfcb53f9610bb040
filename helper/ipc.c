/*
 * Connections of responders. libuv reads and writes; here are the limits, who
 * may connect, and the cutting of the stream into frames and of frames into ops.
 *
 * A connection may be found broken in the middle of anything, so conn_close()
 * only marks it; its ops and hooks hear of it in a turn of their own.
 */
#include "helper/ipc.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/sock.h"

#define CONNS_MAX 1024
#define OPS_PER_CONN_MAX 64
#define UNSENT_MAX (16u * 1024 * 1024)	/* of replies that a peer does not read */
#define KEEP_BYTES (64u * 1024)		/* a larger read buffer is not kept */
#define READ_BYTES 4096
#define USERS_MAX 16

struct ipc {
	struct loop *loop;
	uv_pipe_t listener;
	bool listening;
	char *path;
	size_t body_max;
	uid_t users[USERS_MAX];
	size_t n_users;
	struct conn *conns;
	size_t n_conns;
	size_t n_ops;
	struct kp_buf out;		/* the reply being built */
	size_t out_begin;
	struct log_rate rate;
	void (*dispatch)(void *arg, struct op *op);
	void *arg;
};

struct conn {
	uv_pipe_t pipe;
	struct ipc *ipc;
	struct conn *prev, *next;
	struct kp_buf in;
	size_t want;			/* size of the frame being read, as far as known */
	struct op *ops;
	size_t n_ops;
	struct conn_hook *hooks;
	bool closing;
	struct loop_task end;
};

struct write {
	uv_write_t req;
	struct conn *conn;
	uint8_t bytes[];
};

static void conn_close(struct conn *c, const char *why);

/* ---- hooks ---- */

void
conn_hook_add(struct conn *c, struct conn_hook *hook)
{
	hook->conn = c;
	hook->prev = NULL;
	hook->next = c->hooks;
	if (c->hooks)
		c->hooks->prev = hook;
	c->hooks = hook;
}

void
conn_hook_remove(struct conn_hook *hook)
{
	if (hook->conn == NULL)
		return;
	if (hook->prev)
		hook->prev->next = hook->next;
	else
		hook->conn->hooks = hook->next;
	if (hook->next)
		hook->next->prev = hook->prev;
	hook->conn = NULL;
}

struct conn_hook *
conn_hook_find(struct conn *c, uint64_t id)
{
	struct conn_hook *h = c->hooks;

	while (h && h->id != id)
		h = h->next;
	return h;
}

/* ---- writing ---- */

static void
write_done(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;

	if (status < 0 && status != UV_ECANCELED)
		conn_close(w->conn, "write failed");
	free(w);
}

/* Most replies go out in one call; what the kernel does not take is queued. */
static void
conn_write(struct conn *c, const uint8_t *p, size_t n)
{
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
	struct write *w;
	int k;

	if (c->closing)
		return;
	k = uv_try_write((uv_stream_t *)&c->pipe, &buf, 1);
	if (k == (int)n)
		return;
	if (k < 0 && k != UV_EAGAIN) {
		conn_close(c, "write failed");
		return;
	}
	if (k < 0)
		k = 0;
	if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) + n > UNSENT_MAX) {
		conn_close(c, "replies are not read");
		return;
	}
	w = malloc(sizeof(*w) + n - (size_t)k);
	if (w == NULL) {
		conn_close(c, "out of memory");
		return;
	}
	w->conn = c;
	memcpy(w->bytes, p + k, n - (size_t)k);
	buf = uv_buf_init((char *)w->bytes, (unsigned)(n - (size_t)k));
	if (uv_write(&w->req, (uv_stream_t *)&c->pipe, &buf, 1, write_done) != 0) {
		free(w);
		conn_close(c, "write failed");
	}
}

static void
send_error(struct conn *c, uint32_t id, enum kp_err err, uint32_t retry_after_s, const char *text)
{
	struct msg_error m = { .err = err, .retry_after_s = retry_after_s,
	    .text = kp_slice_str(text) };
	struct kp_buf *out = &c->ipc->out;
	size_t begin;

	kp_buf_reset(out);
	begin = wire_begin(out, MSG_ERROR, id, 0);
	if (msg_error_encode(out, &m) == KP_OK && wire_end(out, begin) == KP_OK)
		conn_write(c, out->p, out->len);
}

/* ---- ops ---- */

struct kp_slice
op_body(const struct op *op)
{
	return (struct kp_slice){ op->body ? op->body : (const uint8_t *)"", op->body_bytes };
}

uint8_t *
op_take_body(struct op *op)
{
	uint8_t *body = op->body;

	op->body = NULL;
	op->body_bytes = 0;
	return body;
}

int64_t
op_left_ms(const struct op *op)
{
	return op->deadline.impl ? loop_timer_left_ms(&op->deadline) : 0;
}

/* From here on nobody waits for the op's answer. */
static void
op_detach(struct op *op)
{
	struct conn *c = op->conn;

	if (c == NULL)
		return;
	if (op->prev)
		op->prev->next = op->next;
	else
		c->ops = op->next;
	if (op->next)
		op->next->prev = op->prev;
	c->n_ops--;
	c->ipc->n_ops--;
	op->conn = NULL;
	loop_timer_end(&op->deadline);
}

void
op_end(struct op *op)
{
	op_detach(op);
	free(op->body);
	free(op);
}

static void
op_interrupt(struct op *op, enum kp_err why)
{
	void (*interrupted)(struct op *op, enum kp_err why) = op->interrupted;

	op_detach(op);
	op->interrupted = NULL;
	if (interrupted)
		interrupted(op, why);
}

/* A handler that has `interrupted` set answers by itself, while it still can. */
static void
op_expired(void *arg)
{
	struct op *op = arg;

	void (*interrupted)(struct op *op, enum kp_err why) = op->interrupted;
	struct conn *c = op->conn;

	log_debug("op expired type=%s id=%u", msg_type_name(op->type), op->id);
	if (interrupted) {
		op->interrupted = NULL;
		interrupted(op, KP_ETIMEDOUT);
		return;
	}
	op_detach(op);
	send_error(c, op->id, KP_EUNAVAIL, 1, "the helper could not answer in time; try again");
}

void
op_extend(struct op *op, int64_t ms)
{
	if (op->conn)
		loop_timer_set(op->conn->ipc->loop, &op->deadline, ms, 0, op_expired, op);
}

void
op_fail(struct op *op, enum kp_err err, uint32_t retry_after_s, const char *fmt, ...)
{
	char text[TEXT_MAX];
	struct conn *c = op->conn;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c)
		send_error(c, op->id, err, retry_after_s, text);
	log_debug("op failed type=%s id=%u err=%s: %s", msg_type_name(op->type), op->id,
	    kp_err_name(err), text);
	op_end(op);
}

struct kp_buf *
op_reply_begin(struct op *op, uint8_t type)
{
	static struct kp_buf nowhere;	/* limit 0: every put fails */
	struct ipc *ipc;

	if (op->conn == NULL)
		return &nowhere;
	ipc = op->conn->ipc;
	kp_buf_reset(&ipc->out);
	ipc->out_begin = wire_begin(&ipc->out, type, op->id, 0);
	return &ipc->out;
}

void
op_reply_send(struct op *op)
{
	struct conn *c = op->conn;

	if (c) {
		struct kp_buf *out = &c->ipc->out;

		if (wire_end(out, c->ipc->out_begin) == KP_OK)
			conn_write(c, out->p, out->len);
		else
			send_error(c, op->id, KP_ETOOBIG, 0, "the reply is too large");
		if (out->cap > KEEP_BYTES)
			kp_buf_free(out);
	}
	op_end(op);
}

void
op_done(struct op *op)
{
	op_reply_begin(op, MSG_DONE);
	op_reply_send(op);
}

static enum kp_err
op_new(struct conn *c, const struct wire_frame *f)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL || (op->body = malloc(f->body.n + 1)) == NULL) {
		free(op);
		return KP_ENOMEM;
	}
	memcpy(op->body, f->body.p, f->body.n);
	op->body_bytes = f->body.n;
	op->id = f->id;
	op->type = f->type;
	op->conn = c;
	op->arrived_ms = loop_now_ms(c->ipc->loop);
	op->next = c->ops;
	if (c->ops)
		c->ops->prev = op;
	c->ops = op;
	c->n_ops++;
	c->ipc->n_ops++;
	/* A CONFIRM is handled at once and needs no clock. */
	if (f->deadline_ms)
		loop_timer_set(c->ipc->loop, &op->deadline, f->deadline_ms, 0, op_expired, op);
	c->ipc->dispatch(c->ipc->arg, op);
	return KP_OK;
}

/* ---- reading ---- */

static void
read_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = h->data;
	size_t n = c->want > c->in.len + READ_BYTES ? c->want - c->in.len : READ_BYTES;

	(void)suggested;
	/* Room grows as bytes come, so that an announced length alone costs nothing. */
	if (n > KEEP_BYTES && n > c->in.len + KEEP_BYTES)
		n = c->in.len + KEEP_BYTES;
	if (!kp_buf_reserve(&c->in, n)) {
		*buf = uv_buf_init(NULL, 0);
		return;
	}
	*buf = uv_buf_init((char *)c->in.p + c->in.len, (unsigned)(c->in.cap - c->in.len));
}

/* Cuts one frame off the front. False: no whole frame, or the peer is cut off. */
static bool
next_frame(struct conn *c)
{
	struct wire_frame f;
	size_t used;
	enum kp_err err;

	err = wire_decode(kp_buf_slice(&c->in), c->ipc->body_max, &f, &used, &c->want);
	if (err == KP_OK && used == 0)
		return false;
	if (err == KP_OK && f.deadline_ms == 0 && f.type != MSG_CONFIRM_OFFER)
		err = KP_EBADMSG;
	if (err == KP_OK && c->n_ops >= OPS_PER_CONN_MAX)
		err = KP_EBUSY;
	if (err == KP_OK)
		err = op_new(c, &f);
	if (err) {
		send_error(c, f.id, err, 1, err == KP_ETOOBIG ?
		    "the message is larger than --maxMessageBytes of the helper" : "");
		conn_close(c, kp_err_text(err));
		return false;
	}
	if (!c->closing)
		kp_buf_consume(&c->in, used);
	return !c->closing;
}

static void
read_done(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;

	(void)buf;
	if (n < 0) {
		conn_close(c, NULL);
		return;
	}
	c->in.len += (size_t)n;
	while (next_frame(c))
		;
	if (!c->closing && c->in.len == 0 && c->in.cap > KEEP_BYTES)
		kp_buf_free(&c->in);
}

/* ---- connections ---- */

static void
conn_free(uv_handle_t *h)
{
	struct conn *c = h->data;

	kp_buf_free(&c->in);
	free(c);
}

static void
conn_end(struct loop_task *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, end));

	if (c->prev)
		c->prev->next = c->next;
	else
		c->ipc->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->ipc->n_conns--;
	while (c->ops)
		op_interrupt(c->ops, KP_EGONE);
	while (c->hooks) {
		struct conn_hook *h = c->hooks;

		conn_hook_remove(h);
		h->gone(h);
	}
	uv_close((uv_handle_t *)&c->pipe, conn_free);
}

/* `why` is NULL for an ordinary end of file. */
static void
conn_close(struct conn *c, const char *why)
{
	unsigned dropped;

	if (c->closing)
		return;
	c->closing = true;
	uv_read_stop((uv_stream_t *)&c->pipe);
	if (why && log_rate_ok(&c->ipc->rate, &dropped))
		log_warn("ipc connection cut dropped_lines=%u: %s", dropped, why);
	c->end.run = conn_end;
	loop_post(c->ipc->loop, &c->end);
}

static bool
peer_allowed(struct ipc *ipc, uv_pipe_t *pipe)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);
	unsigned dropped;
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)pipe, &fd) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return false;
	for (size_t i = 0; i < ipc->n_users; i++)
		if (ipc->users[i] == cred.uid)
			return true;
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

static void
accepted(uv_stream_t *listener, int status)
{
	struct ipc *ipc = listener->data;
	struct conn *c;

	if (status < 0) {
		log_warn("ipc accept: %s", uv_strerror(status));
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	uv_pipe_init(loop_uv(ipc->loop), &c->pipe, 0);
	c->pipe.data = c;
	if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0 || ipc->n_conns >= CONNS_MAX ||
	    !peer_allowed(ipc, &c->pipe)) {
		uv_close((uv_handle_t *)&c->pipe, just_free);
		return;
	}
	c->ipc = ipc;
	kp_buf_init(&c->in, WIRE_HEADER + ipc->body_max + READ_BYTES);
	c->next = ipc->conns;
	if (ipc->conns)
		ipc->conns->prev = c;
	ipc->conns = c;
	ipc->n_conns++;
	uv_read_start((uv_stream_t *)&c->pipe, read_alloc, read_done);
}

/* ---- the listener ---- */

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
	kp_buf_init(&ipc->out, WIRE_HEADER + WIRE_BODY_MAX);
	err = resolve_users(ipc, conf->socket_users);
	if (err == KP_OK)
		err = listen_at(ipc, conf, &fd);
	if (err) {
		free(ipc);
		return err;
	}
	uv_pipe_init(loop_uv(l), &ipc->listener, 0);
	ipc->listener.data = ipc;
	uv_pipe_open(&ipc->listener, fd);
	uv_listen((uv_stream_t *)&ipc->listener, 1024, accepted);
	ipc->listening = true;
	*out = ipc;
	return KP_OK;
}

void
ipc_stop_accepting(struct ipc *ipc)
{
	if (!ipc->listening)
		return;
	ipc->listening = false;
	uv_close((uv_handle_t *)&ipc->listener, NULL);
	if (ipc->path)
		unlink(ipc->path);
}

size_t
ipc_in_flight(const struct ipc *ipc)
{
	return ipc->n_ops;
}

void
ipc_close(struct ipc *ipc)
{
	ipc_stop_accepting(ipc);
	while (ipc->conns) {
		ipc->conns->closing = true;
		conn_end(&ipc->conns->end);
	}
}

void
ipc_free(struct ipc *ipc)
{
	kp_buf_free(&ipc->out);
	free(ipc->path);
	free(ipc);
}
