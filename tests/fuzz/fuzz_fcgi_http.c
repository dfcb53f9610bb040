/*
 * One FastCGI request through all of the responder, with a helper that has an answer to
 * everything. The input is bytes of a web server as they are (first byte '*'), or
 *
 *	NAME=VALUE \n NAME=VALUE \n ... \n \n BODY
 *
 * which is put into records. Whatever comes: the helper is asked for nothing with a name
 * that breaks the rules, and the answer is one head of known lines, nothing of the request
 * in it, and a body of the length it says, which is JSON.
 */
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/msg_admin.h"
#include "common/sock.h"
#include "fcgi/http.h"
#include "fcgi/serve.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fcgi_record.h"

#define RAW_MAX 4096

static char dir[] = "/tmp/kp-fuzz-XXXXXX";
static char path[64];
static struct conf conf;
static struct serve *serve;

/* ---- the helper ---- */

static void
check_names(struct kp_slice topic, struct kp_slice group, bool group_may_be_empty)
{
	PROMISE(msg_topic_ok(topic));
	PROMISE(msg_group_ok(group) || (group_may_be_empty && group.n == 0));
}

static uint8_t
answer_offsets(const struct wire_frame *f, struct kp_buf *out)
{
	struct msg_offset v = { 1, 2, 3, 4, LIT("meta\r\n\""), false };
	const struct msg_offsets reply = { .v = &v, .n = 1 };
	struct msg_topic_group m;

	PROMISE(msg_topic_group_decode(f->body, &m) == KP_OK);
	check_names(m.topic, m.group, false);
	PROMISE(msg_offsets_encode(out, &reply) == KP_OK);
	return MSG_OFFSETS;
}

static uint8_t
answer_set_offsets(const struct wire_frame *f)
{
	struct msg_offsets m;

	PROMISE(msg_offsets_decode(f->body, &m) == KP_OK);
	check_names(m.topic, m.group, false);
	msg_offsets_free(&m);
	return MSG_DONE;
}

static uint8_t
answer_consumers(const struct wire_frame *f, struct kp_buf *out)
{
	int32_t partitions[] = { 3, 1 };
	struct msg_consumer v = { LIT("g"), LIT("member"), partitions, 2 };
	const struct msg_consumers reply = { &v, 1 };
	struct msg_topic_group m;

	PROMISE(msg_topic_group_decode(f->body, &m) == KP_OK);
	check_names(m.topic, m.group, true);
	PROMISE(msg_consumers_encode(out, &reply) == KP_OK);
	return MSG_CONSUMERS;
}

/* Every third message is refused, in words that are none of the helper's. */
static uint8_t
answer_produce(const struct wire_frame *f, struct kp_buf *out)
{
	static const struct msg_error refused = { KP_EKAFKA, 0,
	    LIT("no\r\nX-Evil: 1\r\n\r\n\xff") };
	const struct msg_produced reply = { 1, 2, 3 };
	struct msg_produce m;

	PROMISE(msg_produce_decode(f->body, &m) == KP_OK);
	check_names(m.topic, LIT("g"), false);
	PROMISE(m.value.n <= conf.max_message_bytes && m.key.n <= KEY_MAX);
	if (m.value.n % 3 == 2) {
		PROMISE(msg_error_encode(out, &refused) == KP_OK);
		return MSG_ERROR;
	}
	PROMISE(msg_produced_encode(out, &reply) == KP_OK);
	return MSG_PRODUCED;
}

static uint8_t
answer_consume(const struct wire_frame *f, struct kp_buf *out)
{
	const struct msg_message reply = { 7, 1, 2, { 0 }, LIT("value\n") };
	struct msg_consume m;

	PROMISE(msg_consume_decode(f->body, &m) == KP_OK);
	check_names(m.topic, m.group, false);
	PROMISE(msg_message_encode(out, &reply) == KP_OK);
	return MSG_MESSAGE;
}

static uint8_t
answer_ack(const struct wire_frame *f)
{
	struct msg_ack m;

	PROMISE(msg_ack_decode(f->body, &m) == KP_OK);
	check_names(m.topic, m.group, false);
	return MSG_DONE;
}

/* A trouble with everything that a line of a head must not have. */
#define EVIL LIT("down\r\nX-Evil: 1\r\n\r\n\xff<>")

static uint8_t
answer_status(struct kp_buf *out)
{
	const struct msg_part part = { PART_DOWN, 1, 2, EVIL };
	const struct msg_status reply = { .version = LIT("1"), .durability = EVIL,
	    .kafka = part, .zookeeper = part, .store = part };

	PROMISE(msg_status_encode(out, &reply) == KP_OK);
	return MSG_STATUS;
}

static uint8_t
answer_find(const struct wire_frame *f, struct kp_buf *out)
{
	struct msg_receipt reply = { .partition = -1, .offset = -1, .reason = EVIL };
	struct msg_find m;

	PROMISE(msg_find_decode(f->body, &m) == KP_OK && m.id > 0);
	reply.id = m.id;
	reply.state = m.id % 3;
	PROMISE(msg_receipt_encode(out, &reply) == KP_OK);
	return MSG_RECEIPT;
}

static uint8_t
answer_frame(const struct wire_frame *f, struct kp_buf *out)
{
	switch (f->type) {
	case MSG_PRODUCE:
		return answer_produce(f, out);
	case MSG_CONSUME:
		return answer_consume(f, out);
	case MSG_ACK:
		return answer_ack(f);
	case MSG_GET_OFFSETS:
		return answer_offsets(f, out);
	case MSG_SET_OFFSETS:
		return answer_set_offsets(f);
	case MSG_GET_CONSUMERS:
		return answer_consumers(f, out);
	case MSG_GET_STATUS:
		return answer_status(out);
	case MSG_FIND_MESSAGE:
		return answer_find(f, out);
	default:
		PROMISE(f->type == MSG_PING);
		return MSG_DONE;
	}
}

static void
answer_all(int fd)
{
	struct kp_buf in, out, body;
	bool hungup;
	size_t n;

	kp_buf_init(&in, SIZE_MAX);
	kp_buf_init(&out, SIZE_MAX);
	kp_buf_init(&body, SIZE_MAX);
	while (kp_buf_reserve(&in, 65536) && sock_read(fd, in.p + in.len, 65536,
	    INT64_MAX / 2, -1, &n, &hungup) == KP_OK) {
		struct wire_frame f;
		size_t used, want, begin;

		in.len += n;
		while (wire_decode(kp_buf_slice(&in), WIRE_BODY_MAX, &f, &used, &want) == KP_OK &&
		    used) {
			kp_buf_reset(&out);
			kp_buf_reset(&body);
			if (f.type != MSG_CONFIRM_OFFER) {
				begin = wire_begin(&out, answer_frame(&f, &body), f.id, 0);
				kp_buf_put(&out, body.p, body.len);
				PROMISE(wire_end(&out, begin) == KP_OK);
				sock_write(fd, out.p, out.len, INT64_MAX / 2, NULL);
			}
			kp_buf_consume(&in, used);
		}
	}
	kp_buf_free(&in);
	kp_buf_free(&out);
	kp_buf_free(&body);
	close(fd);
}

static void *
helper(void *arg)
{
	int fd, listener = *(int *)arg;

	while (1) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			answer_all(fd);
		else
			usleep(1000);	/* it does not block */
	}
	return NULL;
}

static void
remove_dir(void)
{
	unlink(path);
	rmdir(dir);
}

static void
start(void)
{
	static int listener;
	pthread_t thread;

	log_init("fuzz", LOG_ERROR);
	PROMISE(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/h", dir);
	atexit(remove_dir);
	PROMISE(sock_listen(path, (gid_t)-1, &listener) == KP_OK);
	PROMISE(pthread_create(&thread, NULL, helper, &listener) == 0);
	conf.socket = path;
	conf.max_message_bytes = 20000;
	conf.sync_timeout_ms = 1000;
	http_is_fastcgi();
	serve = serve_new(&conf, false);
	PROMISE(serve != NULL);
}

/* ---- the web server ---- */

/* In records of 60,000 bytes, and an empty one. */
static void
put_stream(struct kp_buf *out, uint8_t type, struct kp_slice s)
{
	while (s.n) {
		struct kp_slice part = { s.p, s.n < 60000 ? s.n : 60000 };

		put_record(out, type, part);
		s.p += part.n;
		s.n -= part.n;
	}
	put_record(out, type, LIT(""));
}

static void
put_size(struct kp_buf *out, size_t n)
{
	if (n >= 128)
		kp_buf_putc(out, (char)(0x80 | n >> 24));
	if (n >= 128)
		kp_buf_putc(out, (char)(n >> 16));
	if (n >= 128)
		kp_buf_putc(out, (char)(n >> 8));
	kp_buf_putc(out, (char)n);
}

static void
put_request(struct kp_buf *out, struct kp_slice rest)
{
	struct kp_slice line;
	struct kp_buf params;

	kp_buf_init(&params, SIZE_MAX);
	while ((line = fuzz_cut(&rest, '\n')).n) {
		struct kp_slice name = fuzz_cut(&line, '=');

		put_size(&params, name.n);
		put_size(&params, line.n);
		kp_buf_put(&params, name.p, name.n);
		kp_buf_put(&params, line.p, line.n);
	}
	put_record(out, BEGIN, LIT("\0\1\1\0\0\0\0\0"));	/* the connection is kept */
	put_stream(out, PARAMS, kp_buf_slice(&params));
	put_stream(out, STDIN, rest);
	kp_buf_free(&params);
}

/*
 * What libfcgi 2.4.2 does wrong on its own is not looked for: it loses memory with a
 * malformed question about itself (request 0), and ends the process when the lengths of a
 * name and its value, of four bytes each, are 2^31 together. Only the web server speaks to
 * the socket, and none says these.
 */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libfcgi.so";
}

static bool
is_for_libfcgi(struct kp_slice in)
{
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] >= 0x80)
			return true;
	while (in.n >= 8) {
		size_t n = 8 + ((size_t)in.p[4] << 8 | in.p[5]) + in.p[6];

		if (in.p[2] == 0 && in.p[3] == 0)
			return true;
		if (n > in.n)
			break;
		in.p += n;
		in.n -= n;
	}
	return false;
}

/* ---- the answer ---- */

/* The whole of STDOUT; false when the request did not end. */
static bool
take_stdout(struct kp_slice in, struct kp_buf *out)
{
	while (in.n >= 8) {
		size_t n = (size_t)in.p[4] << 8 | in.p[5], whole = 8 + n + in.p[6];

		PROMISE(in.p[0] == 1 && in.n >= whole);
		if (in.p[1] == STDOUT)
			kp_buf_put(out, in.p + 8, n);
		if (in.p[1] == END)
			return true;
		in.p += whole;
		in.n -= whole;
	}
	return false;
}

static bool
starts(struct kp_slice s, const char *with)
{
	return s.n >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0;
}

static void
check_head_line(struct kp_slice line, size_t *length)
{
	static const char *const known[] = {
		"Status: ", "Content-Type: application/json", "Content-Type: text/plain",
		"Content-Length: ", "Retry-After: ", "Allow: ", "X-Kafka-Pixy-Id: ",
	};
	bool found = false;

	PROMISE(line.n >= 2 && line.p[line.n - 1] == '\r');
	line.n--;
	for (size_t i = 0; i < line.n; i++)
		PROMISE(line.p[i] >= 0x20 && line.p[i] < 0x7f);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		found |= starts(line, known[i]);
	PROMISE(found);
	if (starts(line, "Content-Length: "))
		*length = strtoul((const char *)line.p + 16, NULL, 10);
}

static void
check_answer(struct kp_slice in, bool is_head)
{
	size_t length = SIZE_MAX;
	struct kp_slice line;
	json_t *root;

	if (in.n == 0)
		return;		/* given up: the client has gone */
	PROMISE(starts(in, "Status: "));
	while ((line = fuzz_cut(&in, '\n')).n > 1)
		check_head_line(line, &length);
	PROMISE(line.n == 1 && line.p[0] == '\r');
	PROMISE(is_head ? in.n == 0 : in.n == length);
	if (in.n == 0 || starts(in, "pong"))
		return;
	root = json_loadb((const char *)in.p, in.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	PROMISE(root != NULL);
	json_decref(root);
}

struct web_server {
	int fd;
	struct kp_buf *answer;
};

/* Reads while the responder serves: it waits for that. */
static void *
read_all(void *arg)
{
	struct web_server *w = arg;
	ssize_t k = 1;

	while (k > 0 && kp_buf_reserve(w->answer, 4096)) {
		k = read(w->fd, w->answer->p + w->answer->len, 4096);
		w->answer->len += k > 0 ? (size_t)k : 0;
	}
	close(w->fd);
	return NULL;
}

/* After bytes that need not be a whole request, there are no more. */
static void
serve_one(struct kp_slice request, bool cut, struct kp_buf *answer)
{
	struct web_server w = { .answer = answer };
	int room = 1 << 20, fd[2];
	pthread_t thread;

	PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	PROMISE(write(fd[0], request.p, request.n) == (ssize_t)request.n);
	if (cut)
		shutdown(fd[0], SHUT_WR);
	w.fd = fd[0];
	PROMISE(pthread_create(&thread, NULL, read_all, &w) == 0);
	fd[1] = serve_fastcgi(serve, fd[1], true);
	if (fd[1] >= 0)
		close(fd[1]);
	pthread_join(thread, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool raw = size && data[0] == '*';
	struct kp_buf request, answer, out;

	if (serve == NULL)
		start();
	if (raw && (size > RAW_MAX || is_for_libfcgi((struct kp_slice){ data + 1, size - 1 })))
		return 0;
	kp_buf_init(&request, SIZE_MAX);
	kp_buf_init(&answer, SIZE_MAX);
	kp_buf_init(&out, SIZE_MAX);
	if (raw)
		kp_buf_put(&request, data + 1, size - 1);
	else
		put_request(&request, (struct kp_slice){ data, size });
	serve_one(kp_buf_slice(&request), raw, &answer);
	if (take_stdout(kp_buf_slice(&answer), &out) || !raw)
		check_answer(kp_buf_slice(&out), memmem(data, size, "HEAD", 4) != NULL &&
		    (out.len < 4 || memcmp(out.p + out.len - 4, "\r\n\r\n", 4) == 0));
	kp_buf_free(&request);
	kp_buf_free(&answer);
	kp_buf_free(&out);
	return 0;
}
