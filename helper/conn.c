/*
 * A responder's connection: libuv reads and writes; here are the limits, the
 * cutting of the stream into frames, and what hangs on the connection.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/msg.h"
#include "helper/ipc_state.h"

#define READ_BYTES 4096

struct write {
	uv_write_t req;
	struct conn *conn;
	size_t n;
	uint8_t bytes[];
};

static void read_on(struct conn *c);

/* ---- hooks ---- */

bool
conn_is_operator(const struct conn *c)
{
	return c->is_operator;
}

void
conn_hook_add(struct conn *c, struct conn_hook *hook)
{
	hook->conn = c;
	LIST_INSERT_HEAD(&c->hooks, hook, link);
	c->n_hooks++;
}

void
conn_hook_remove(struct conn_hook *hook)
{
	if (hook->conn == NULL)
		return;
	LIST_REMOVE(hook, link);
	hook->conn->n_hooks--;
	hook->conn = NULL;
}

struct conn_hook *
conn_hook_find(struct conn *c, uint64_t id)
{
	struct conn_hook *h;

	LIST_FOREACH(h, &c->hooks, link)
		if (h->id == id)
			break;
	return h;
}

/* ---- closing ---- */

static void
end_task(struct loop_task *t)
{
	conn_end(loop_owner(t, struct conn, end));
}

/* Marks it; its ops and hooks hear of it in a turn of their own, from conn_end(), because a
 * connection may be found broken in the middle of anything. `why` is NULL for an ordinary end
 * of file. */
static void
close_soon(struct conn *c, const char *why)
{
	unsigned dropped;

	if (c->closing)
		return;
	c->closing = true;
	uv_read_stop((uv_stream_t *)&c->pipe);
	if (why && log_rate_ok(&c->ipc->rate, &dropped))
		log_warn("ipc connection cut dropped_lines=%u: %s", dropped, why);
	c->end.run = end_task;
	loop_post(c->ipc->loop, &c->end);
}

/* ---- writing ---- */

static void
write_done(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;
	struct conn *c = w->conn;
	bool paused = c->unsent > UNSENT_PAUSE;

	c->rounds_out = 0;
	c->unsent -= sizeof(*w) + w->n;
	kp_quota_give(&c->ipc->replies, sizeof(*w) + w->n);
	free(w);
	if (status < 0 && status != UV_ECANCELED)
		close_soon(c, "write failed");
	else if (paused && c->unsent <= UNSENT_PAUSE)
		read_on(c);
}

static void
write_later(struct conn *c, const uint8_t *p, size_t n)
{
	size_t bytes = sizeof(struct write) + n;
	struct write *w;
	uv_buf_t buf;

	/* A single reply may be larger than what one peer may leave: it has a limit of its own. */
	if ((c->unsent > 0 && c->unsent + n > UNSENT_MAX) ||
	    !kp_quota_take(&c->ipc->replies, bytes)) {
		close_soon(c, "replies are not read");
		return;
	}
	w = malloc(bytes);
	if (w == NULL) {
		kp_quota_give(&c->ipc->replies, bytes);
		close_soon(c, "out of memory");
		return;
	}
	w->conn = c;
	w->n = n;
	memcpy(w->bytes, p, n);
	c->unsent += bytes;
	buf = uv_buf_init((char *)w->bytes, (unsigned)n);
	if (uv_write(&w->req, (uv_stream_t *)&c->pipe, &buf, 1, write_done) != 0)
		write_done(&w->req, UV_EIO);
	else if (c->unsent > UNSENT_PAUSE)
		uv_read_stop((uv_stream_t *)&c->pipe);
}

/* Most replies go out in one call; what the kernel does not take is queued. */
void
conn_write(struct conn *c, const uint8_t *p, size_t n)
{
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
	int k;

	if (c->closing)
		return;
	if (fault_due("P5")) {
		buf.len /= 2;
		uv_try_write((uv_stream_t *)&c->pipe, &buf, 1);
		fault_die();
	}
	k = uv_try_write((uv_stream_t *)&c->pipe, &buf, 1);
	if (k == (int)n)
		return;
	if (k < 0 && k != UV_EAGAIN) {
		close_soon(c, "write failed");
		return;
	}
	if (k < 0)
		k = 0;
	write_later(c, p + k, n - (size_t)k);
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

/* What is left of it is not read. */
static void
refuse_frame(struct conn *c, uint32_t id, enum kp_err err)
{
	const char *text = "";

	if (err == KP_ETOOBIG)
		text = "the message is larger than --maxMessageBytes of the helper";
	else if (err == KP_EUNAVAIL)
		text = "too many requests are on their way through the helper; nothing was done: "
		    "try again";
	op_send_error(c, id, err, 1, text);
	close_soon(c, err == KP_EUNAVAIL ? "no room for its request" : kp_err_text(err));
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
	if (err == KP_OK && f.type != MSG_CONFIRM_OFFER &&
	    (c->n_ops >= OPS_PER_CONN_MAX || c->n_hooks >= HOOKS_PER_CONN_MAX))
		err = KP_EBUSY;
	if (err == KP_OK)
		err = op_new(c, &f);
	if (err) {
		refuse_frame(c, f.id, err);
		return false;
	}
	c->rounds_in = 0;
	if (!c->closing)
		kp_buf_consume(&c->in, used);
	return !c->closing;
}

/* All that have come, unless the peer is to read its replies first. */
static void
take_frames(struct conn *c)
{
	while (c->unsent <= UNSENT_PAUSE && next_frame(c))
		;
	if (!c->closing && c->in.len == 0 && c->in.cap > IDLE_BYTES)
		kp_buf_free(&c->in);
}

/* A part of a frame has come, and there is no room for more of it. */
static void
no_room(struct conn *c)
{
	struct wire_frame f = { .id = 0 };
	size_t used;

	if (c->closing)
		return;
	wire_decode(kp_buf_slice(&c->in), c->ipc->body_max, &f, &used, &c->want);
	kp_buf_free(&c->in);
	refuse_frame(c, f.id, KP_EUNAVAIL);
}

static void
read_done(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;

	(void)buf;
	loop_awake(c->ipc->loop);
	if (c->in.no_room) {
		no_room(c);
		return;
	}
	if (n < 0) {
		close_soon(c, NULL);
		return;
	}
	c->in.len += (size_t)n;
	take_frames(c);
}

static void
read_on(struct conn *c)
{
	if (c->closing)
		return;
	take_frames(c);
	if (!c->closing && c->unsent <= UNSENT_PAUSE)
		uv_read_start((uv_stream_t *)&c->pipe, read_alloc, read_done);
}

/* ---- ending ---- */

static void
conn_free(uv_handle_t *h)
{
	struct conn *c = h->data;

	kp_buf_free(&c->in);
	free(c);
}

void
conn_end(struct conn *c)
{
	struct conn_hook *h;

	LIST_REMOVE(c, link);
	c->ipc->n_conns--;
	while (!LIST_EMPTY(&c->ops))
		op_abandon(LIST_FIRST(&c->ops));
	while ((h = LIST_FIRST(&c->hooks)) != NULL) {
		conn_hook_remove(h);
		h->gone(h);
	}
	uv_close((uv_handle_t *)&c->pipe, conn_free);
}

void
conn_round(struct conn *c)
{
	if (c->in.len == 0)
		c->rounds_in = 0;
	if (c->unsent == 0)
		c->rounds_out = 0;
	/* Whose replies are not read is not read from. */
	if (c->unsent <= UNSENT_PAUSE && ++c->rounds_in > ROUNDS_IN)
		close_soon(c, "a request that does not end");
	else if (++c->rounds_out > ROUNDS_OUT)
		close_soon(c, "replies are not read");
}

void
conn_start(struct ipc *ipc, struct conn *c)
{
	c->ipc = ipc;
	kp_buf_init_quota(&c->in, WIRE_HEADER + ipc->body_max + READ_BYTES, &ipc->large);
	LIST_INSERT_HEAD(&ipc->conns, c, link);
	ipc->n_conns++;
	uv_read_start((uv_stream_t *)&c->pipe, read_alloc, read_done);
}
