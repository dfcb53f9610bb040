/* Whole requests on a FastCGI connection, when there is no room for what is in them. */
#include "common/clock.h"
#include "fcgi/serve.h"

#include <poll.h>
#include <stdio.h>

#include "common/log.h"
#include "fcgi/http.h"
#include "fcgi/room.h"
#include "tests/unit/fake_helper.h"
#include "tests/unit/fcgi_record.h"
#include "tests/unit/unit.h"

#define LARGE 300000
#define WAIT_MS 10000

static size_t room_max;

static int
setup(void **state)
{
	(void)state;
	log_init("test", LOG_ERROR);
	room_max = room()->max;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	room()->max = room_max;
	assert_int_equal(room()->used, 0);
	return 0;
}

/* ---- the web server ---- */

struct web {
	int fd;
	struct kp_buf out;		/* the request */
	struct kp_buf in;		/* what came of the answer */
	pthread_t thread;
};

static void
put_param(struct kp_buf *out, const char *name, const char *value)
{
	kp_buf_putc(out, (char)strlen(name));
	kp_buf_putc(out, (char)strlen(value));
	kp_buf_puts(out, name);
	kp_buf_puts(out, value);
}

static void
put_request(struct kp_buf *out, const char *method, const char *uri, size_t body_bytes)
{
	static const uint8_t zeros[50000];
	struct kp_buf params;
	char length[24];

	snprintf(length, sizeof(length), "%zu", body_bytes);
	kp_buf_init(&params, 4096);
	put_param(&params, "REQUEST_METHOD", method);
	put_param(&params, "REQUEST_URI", uri);
	put_param(&params, "CONTENT_LENGTH", length);
	put_record(out, BEGIN, LIT("\0\1\1\0\0\0\0\0"));	/* the connection is kept */
	put_record(out, PARAMS, kp_buf_slice(&params));
	put_record(out, PARAMS, LIT(""));
	for (size_t n; body_bytes; body_bytes -= n) {
		n = body_bytes < sizeof(zeros) ? body_bytes : sizeof(zeros);
		put_record(out, STDIN, (struct kp_slice){ zeros, n });
	}
	put_record(out, STDIN, LIT(""));
	kp_buf_free(&params);
}

/* All of the first stream, and whether the request has ended. */
static bool
ended(struct kp_slice in, struct kp_buf *text)
{
	kp_buf_reset(text);
	while (in.n >= 8) {
		size_t n = (size_t)in.p[4] << 8 | in.p[5], whole = 8 + n + in.p[6];

		if (in.n < whole)
			return false;
		if (in.p[1] == STDOUT)
			kp_buf_put(text, in.p + 8, n);
		if (in.p[1] == END)
			return true;
		in.p += whole;
		in.n -= whole;
	}
	return false;
}

/* Writes the whole request before it reads anything, as web servers do. */
static void *
web_run(void *arg)
{
	struct web *w = arg;
	struct kp_buf text;
	bool hungup;
	size_t n;

	kp_buf_init(&text, SIZE_MAX);
	if (sock_write(w->fd, w->out.p, w->out.len, clock_mono_ms() + WAIT_MS, NULL) != KP_OK)
		kp_buf_puts(&text, "not written");
	while (text.len == 0 || !ended(kp_buf_slice(&w->in), &text)) {
		if (!kp_buf_reserve(&w->in, 65536) || sock_read(w->fd, w->in.p + w->in.len, 65536,
		    clock_mono_ms() + WAIT_MS, -1, &n, &hungup) != KP_OK)
			break;
		w->in.len += n;
		ended(kp_buf_slice(&w->in), &text);
	}
	kp_buf_free(&w->in);
	w->in = text;
	kp_buf_putc(&w->in, '\0');
	return NULL;
}

/* One request on the connection; the text of the answer is the caller's to free. */
static char *
request(struct serve *s, int pair[2], const char *method, const char *uri, size_t body_bytes)
{
	struct web w = { .fd = pair[1] };

	kp_buf_init(&w.out, SIZE_MAX);
	kp_buf_init(&w.in, SIZE_MAX);
	put_request(&w.out, method, uri, body_bytes);
	assert_int_equal(pthread_create(&w.thread, NULL, web_run, &w), 0);
	assert_int_equal(serve_fastcgi(s, pair[0], true), pair[0]);
	pthread_join(w.thread, NULL);
	kp_buf_free(&w.out);
	return (char *)w.in.p;
}

static void
check_answer(char *text, const char *status, const char *part)
{
	if (strncmp(text, status, strlen(status)) != 0 || strstr(text, part) == NULL)
		fail_msg("%.300s", text);
	free(text);
}

#define UNAVAILABLE "Status: 503 Service Unavailable\r\n"

/* ---- tests ---- */

static struct conf conf = { .max_message_bytes = LARGE, .sync_timeout_ms = 500 };

static void
test_a_body_without_room_is_told_so_and_the_connection_kept(void **state)
{
	struct fake f = { .reply_type = MSG_PRODUCED };
	struct kp_buf reply;
	struct serve *s;
	int pair[2];

	(void)state;
	kp_buf_init(&reply, 64);
	msg_produced_encode(&reply, &(struct msg_produced){ 3, 42, 7 });
	f.reply = kp_buf_slice(&reply);
	fake_start(&f);
	conf.socket = f.path;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_non_null(s = serve_new(&conf, false));
	room()->max = LARGE / 2;
	check_answer(request(s, pair, "POST", "/topics/t/messages", LARGE), UNAVAILABLE,
	    "Retry-After: 1\r\n");
	check_answer(request(s, pair, "POST", "/topics/t/messages", LARGE), UNAVAILABLE,
	    "Too many large messages");
	/* Small ones find room where there is none. */
	room()->max = 0;
	check_answer(request(s, pair, "POST", "/topics/t/messages", 16000), "Status: 200", "{}");
	/* There is room for the body, but not for what is sent of it. */
	room()->max = LARGE + LARGE / 2;
	check_answer(request(s, pair, "POST", "/topics/t/messages", LARGE), UNAVAILABLE,
	    "Too many large messages");
	room()->max = room_max;
	check_answer(request(s, pair, "POST", "/topics/t/messages", LARGE), "Status: 200", "{}");
	assert_int_equal(room()->used, 0);
	serve_free(s);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 2);
	fake_free(&f);
	close(pair[0]);
	close(pair[1]);
	kp_buf_free(&reply);
}

/* The helper puts it back: either the connection ends, or it is told. */
static void
test_a_message_without_room_is_not_taken(void **state)
{
	struct fake f = { .reply_type = MSG_MESSAGE };
	static const uint8_t value[LARGE];
	const struct msg_message m = { 77, 1, 2, LIT("k"), { value, LARGE } };
	struct msg_confirm confirm;
	struct kp_buf reply;
	struct serve *s;
	int pair[2];

	(void)state;
	kp_buf_init(&reply, 2 * LARGE);
	assert_err(msg_message_encode(&reply, &m), KP_OK);
	f.reply = kp_buf_slice(&reply);
	fake_start(&f);
	conf.socket = f.path;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_non_null(s = serve_new(&conf, false));
	room()->max = LARGE / 2;
	check_answer(request(s, pair, "GET", "/topics/t/messages?group=g", 0), UNAVAILABLE,
	    "Too many large messages");
	/* Read, but with no room for the answer. */
	room()->max = LARGE * 3 / 2;
	check_answer(request(s, pair, "GET", "/topics/t/messages?group=g", 0), UNAVAILABLE,
	    "Too many large messages");
	room()->max = room_max;
	check_answer(request(s, pair, "GET", "/topics/t/messages?group=g", 0), "Status: 200",
	    "\"partition\": 1");
	assert_int_equal(room()->used, 0);
	serve_free(s);
	fake_stop(&f);
	assert_int_equal(f.conns, 2);
	assert_int_equal(f.n_seen, 5);
	assert_int_equal(f.seen[2].type, MSG_CONFIRM_OFFER);
	assert_err(msg_confirm_decode(kp_buf_slice(&f.seen[2].body), &confirm), KP_OK);
	assert_true(confirm.offer == 77 && !confirm.delivered);
	assert_err(msg_confirm_decode(kp_buf_slice(&f.seen[4].body), &confirm), KP_OK);
	assert_true(confirm.delivered);
	fake_free(&f);
	close(pair[0]);
	close(pair[1]);
	kp_buf_free(&reply);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_a_body_without_room_is_told_so_and_the_connection_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_message_without_room_is_not_taken, setup,
		    teardown),
	};

	http_is_fastcgi();
	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
