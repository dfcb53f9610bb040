/* The configuration of the launcher's nginx: its numbers, its quoting, its errors. */
#include "deploy/launcher/nginx_conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct nginx_conf
usual(void)
{
	return (struct nginx_conf){
		.run_dir = "/run/kafka-pixy.abcdef", .spool_dir = "/var/tmp/kafka-pixy.ghijkl",
		.listen = "0.0.0.0:19092",
		.unix_addr = "", .user = "", .max_message_bytes = 1000000,
		.responders = 2, .threads = 256, .workers = 2, .files_max = 8448,
	};
}

/* The text; valid until the next call. */
static const char *
text_of(const struct nginx_conf *n)
{
	static char text[65536];
	struct kp_buf b;

	kp_buf_init(&b, sizeof(text) - 1);
	assert_int_equal(nginx_conf_put(n, &b), KP_OK);
	memcpy(text, b.p, b.len);
	text[b.len] = '\0';
	kp_buf_free(&b);
	return text;
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("the configuration lacks: %s", part);
}

static void
test_usual(void **state)
{
	struct nginx_conf n = usual();
	const char *text = text_of(&n);

	(void)state;
	assert_has(text, "pid \"/run/kafka-pixy.abcdef/nginx.pid\";");
	assert_has(text, "listen 0.0.0.0:19092 backlog=1024;");
	assert_has(text, "server \"unix:/run/kafka-pixy.abcdef/responder.sock\" max_fails=0;");
	assert_has(text, "keepalive 64;");
	assert_has(text, "worker_connections 4096;");
	assert_has(text, "fastcgi_next_upstream off;");
	assert_has(text, "return 413 \"{\\n  \\\"error\\\": \\\"Message is too large\\\"\\n}\";");
	assert_null(strstr(text, "user "));
	assert_null(strstr(text, "listen \"unix:"));
}

/* That a client has gone matters where it would take a message with it, and only there. */
static void
test_long_polls_alone_end_with_their_client(void **state)
{
	struct nginx_conf n = usual();
	const char *text = text_of(&n), *poll;

	(void)state;
	assert_has(text, "\tfastcgi_ignore_client_abort on;\n");
	assert_has(text, "\t\t\"~^GET:.*/messages$\" 1;\n");
	poll = strstr(text, "\t\tlocation = /_nginx/poll {\n\t\t\tinternal;\n");
	assert_non_null(poll);
	assert_has(poll, "\t\t\tfastcgi_ignore_client_abort off;\n");
	assert_ptr_equal(strstr(text, "abort off"), strstr(poll, "abort off"));
}

static void
test_user_and_unix_socket(void **state)
{
	struct nginx_conf n = usual();
	const char *text;

	(void)state;
	n.user = "www-data";
	n.unix_addr = "/tmp/a \"b\\c;{}$d.sock";
	text = text_of(&n);
	assert_has(text, "\nuser www-data;\n");
	assert_has(text, "listen \"unix:/tmp/a \\\"b\\\\c;{}$d.sock\" backlog=1024;");
}

/* A newline would be a way to add directives. */
static void
test_control_characters_are_refused(void **state)
{
	const char *const paths[] = { "/tmp/a\nuser root;", "/tmp/\x01", "/tmp/\x7f", "/\t" };
	struct nginx_conf n = usual();
	struct kp_buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		kp_buf_init(&b, 65536);
		n.unix_addr = paths[i];
		assert_int_equal(nginx_conf_put(&n, &b), KP_EBADREQ);
		kp_buf_free(&b);
	}
}

/* Kept connections never take half of the threads that there are. */
static void
test_keepalive_leaves_threads(void **state)
{
	struct nginx_conf n = usual();

	(void)state;
	for (n.responders = 1; n.responders <= 16; n.responders++)
		for (n.threads = 4; n.threads <= 400; n.threads++)
			for (n.workers = 1; n.workers <= 4; n.workers++)
				assert_true(n.workers * nginx_conf_keepalive(&n) <
				    n.responders * n.threads / 2);
}

static void
test_no_keepalive_at_all(void **state)
{
	struct nginx_conf n = usual();

	(void)state;
	n.responders = 1;
	n.threads = 4;
	n.workers = 4;
	assert_int_equal(nginx_conf_keepalive(&n), 0);
	assert_null(strstr(text_of(&n), "\tkeepalive "));
}

/* A form of the largest message fits, and so does a list of all offsets. */
static void
test_body_max(void **state)
{
	struct nginx_conf n = usual();

	(void)state;
	assert_true(nginx_conf_body_max(&n) > 3 * 1000000);
	assert_has(text_of(&n), "client_max_body_size 3262144;");
	n.max_message_bytes = 1;
	assert_int_equal(nginx_conf_body_max(&n), 1 << 20);
	n.max_message_bytes = 64 << 20;
	assert_true(nginx_conf_body_max(&n) > 3ull * (64 << 20));
}

/* What goes to the disk is bounded as a whole: so many at a time, of the largest size. */
static void
test_spool(void **state)
{
	struct nginx_conf n = usual();
	const char *text = text_of(&n);

	(void)state;
	assert_has(text, "\tclient_body_temp_path \"/var/tmp/kafka-pixy.ghijkl/tmp\";\n");
	assert_has(text, "\tfastcgi_max_temp_file_size 0;\n");
	assert_has(text, "\tlimit_conn_zone $spooled zone=spooled:64k;\n");
	assert_has(text, "\t\tlimit_conn spooled 329;\n");
	for (n.max_message_bytes = 1; n.max_message_bytes <= 64 << 20; n.max_message_bytes *= 2) {
		assert_true(nginx_conf_spooled_max(&n) >= 5);
		assert_true(nginx_conf_spooled_max(&n) * nginx_conf_body_max(&n) <=
		    NGINX_SPOOL_BYTES);
	}
}

/* Two descriptors a connection, so that there is one left for the responder. */
static void
test_few_descriptors(void **state)
{
	struct nginx_conf n = usual();

	(void)state;
	n.files_max = 1024;
	assert_has(text_of(&n), "worker_rlimit_nofile 1024;");
	assert_has(text_of(&n), "worker_connections 512;");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual),
		cmocka_unit_test(test_long_polls_alone_end_with_their_client),
		cmocka_unit_test(test_user_and_unix_socket),
		cmocka_unit_test(test_control_characters_are_refused),
		cmocka_unit_test(test_keepalive_leaves_threads),
		cmocka_unit_test(test_no_keepalive_at_all),
		cmocka_unit_test(test_body_max),
		cmocka_unit_test(test_spool),
		cmocka_unit_test(test_few_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
