/* --tcpAddr: what is taken, what nginx is told, and whether an address is free. */
#include "deploy/launcher/address.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "common/sock.h"

static const struct {
	const char *text, *host, *port;
} good[] = {
	{ "0.0.0.0:19092", "0.0.0.0", "19092" },
	{ "localhost:1", "localhost", "1" },
	{ "[::]:19092", "::", "19092" },
	{ "[fe80::1]:65535", "fe80::1", "65535" },
	{ ":8080", "", "8080" },
	{ "*:8080", "", "8080" },
	{ "host:00080", "host", "80" },
};

static const char *const bad[] = {
	"", ":", "host", "host:", "host:0", "host:65536", "host:99999", "host:100000",
	"host:-1", "host:+1", "host: 1", "host:1x", "::1:80", "[::1]", "[host]:80", "[::1:80",
	"::1]:80", "a b:80", "a\n:80", "a;b\x7f:80",
};

static void
test_parse(void **state)
{
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(address_parse(good[i].text, &a), KP_OK);
		assert_string_equal(a.host, good[i].host);
		assert_string_equal(a.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(address_parse(bad[i], &a), KP_EBADREQ);
}

static void
test_parse_rejects_a_host_that_is_too_long(void **state)
{
	char text[ADDRESS_HOST_MAX + 8];
	struct address a;

	(void)state;
	memset(text, 'h', sizeof(text));
	strncpy(text + ADDRESS_HOST_MAX - 1, ":80", 4);
	assert_int_equal(address_parse(text, &a), KP_OK);
	text[ADDRESS_HOST_MAX - 1] = 'h';
	strncpy(text + ADDRESS_HOST_MAX, ":80", 4);
	assert_int_equal(address_parse(text, &a), KP_EBADREQ);
}

static void
listen_text(const char *text, char *out)
{
	struct sockaddr_storage s;
	struct address a;
	char why[128];

	assert_int_equal(address_parse(text, &a), KP_OK);
	assert_int_equal(address_resolve(&a, &s, why, sizeof(why)), KP_OK);
	address_listen_text(&s, out, ADDRESS_LISTEN_MAX);
}

static void
test_listen_text(void **state)
{
	char out[ADDRESS_LISTEN_MAX];

	(void)state;
	listen_text("127.0.0.1:19092", out);
	assert_string_equal(out, "127.0.0.1:19092");
	listen_text("0.0.0.0:80", out);
	assert_string_equal(out, "0.0.0.0:80");
	listen_text("[::1]:80", out);
	assert_string_equal(out, "[::1]:80");
	listen_text("[::]:80", out);
	assert_string_equal(out, "[::]:80 ipv6only=off");
	listen_text("localhost:80", out);
	assert_string_equal(out, "127.0.0.1:80");
	/* Both families, or IPv4 where there is no other. */
	listen_text(":80", out);
	assert_true(strcmp(out, "[::]:80 ipv6only=off") == 0 || strcmp(out, "0.0.0.0:80") == 0);
}

static void
test_resolve_says_why_not(void **state)
{
	struct address a = { "no such host", "80" };
	struct sockaddr_storage s;
	char why[128] = "";

	(void)state;
	assert_int_equal(address_resolve(&a, &s, why, sizeof(why)), KP_ENOTFOUND);
	assert_true(strlen(why) > 0);
}

static void
test_free_and_taken(void **state)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&s;
	socklen_t n = sizeof(s);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&s, sizeof(*in)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&s, &n), 0);
	assert_int_equal(address_is_free(&s), KP_ECONFLICT);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	assert_int_equal(address_is_free(&s), KP_OK);
	in->sin_addr.s_addr = inet_addr("192.0.2.1");
	assert_int_equal(address_is_free(&s), KP_EIO);
	assert_int_equal(errno, EADDRNOTAVAIL);
}

/* A dead socket is removed, a live one and anything else is not touched. */
static void
test_unix_free_and_taken(void **state)
{
	char dir[] = "/tmp/kp-unit-XXXXXX", path[64], target[64];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(target, sizeof(target), "%s/file", dir);
	assert_int_equal(address_unix_is_free(path), KP_OK);
	assert_int_equal(access(path, F_OK), -1);

	assert_int_equal(sock_listen(path, (gid_t)-1, &fd), KP_OK);
	assert_int_equal(address_unix_is_free(path), KP_ECONFLICT);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	assert_int_equal(address_unix_is_free(path), KP_OK);
	assert_int_equal(access(path, F_OK), -1);

	close(open(target, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(address_unix_is_free(path), KP_ECONFLICT);
	assert_int_equal(address_unix_is_free(target), KP_ECONFLICT);
	assert_int_equal(access(target, F_OK), 0);
	unlink(path);
	unlink(target);
	rmdir(dir);
}

static void
test_unix_path_too_long(void **state)
{
	char path[256];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	assert_int_equal(address_unix_is_free(path), KP_ETOOBIG);
	assert_int_equal(errno, ENAMETOOLONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_rejects_a_host_that_is_too_long),
		cmocka_unit_test(test_listen_text),
		cmocka_unit_test(test_resolve_says_why_not),
		cmocka_unit_test(test_free_and_taken),
		cmocka_unit_test(test_unix_free_and_taken),
		cmocka_unit_test(test_unix_path_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
