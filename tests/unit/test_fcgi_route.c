/* Every path with every method, and from variables of CGI to a route. */
#include "fcgi/route.h"

#include "tests/unit/fcgi_vars.h"
#include "tests/unit/unit.h"

#define G REQ_GET
#define H REQ_HEAD
#define P REQ_POST

static const char *const method_names[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS",
    "get", "" };

/* Which handler a method gets; NULL everywhere: 404. */
static const struct {
	const char *uri;
	void (*get)(const struct req *, struct res *);
	void (*head)(const struct req *, struct res *);
	void (*post)(const struct req *, struct res *);
	const char *allow;
	const char *arg;
} paths[] = {
	{ "/topics/foo/messages", handle_consume, NULL, handle_produce, "GET, POST", "foo" },
	{ "/topics/foo/acks", NULL, NULL, handle_ack, "POST", "foo" },
	{ "/topics/foo/offsets", handle_get_offsets, handle_get_offsets, handle_set_offsets,
	    "GET, HEAD, POST", "foo" },
	{ "/topics/foo/consumers?group=x", handle_consumers, handle_consumers, NULL,
	    "GET, HEAD", "foo" },
	{ "/_ping", handle_ping, handle_ping, NULL, "GET, HEAD", NULL },
	{ "/_ping?x", handle_ping, handle_ping, NULL, "GET, HEAD", NULL },
	{ "http://host:1/_ping", handle_ping, handle_ping, NULL, "GET, HEAD", NULL },
	{ "/_status", handle_status, handle_status, NULL, "GET, HEAD", NULL },
	{ "/_messages/12", handle_receipt, handle_receipt, NULL, "GET, HEAD", "12" },
	{ "/_messages/a%2Fb", handle_receipt, handle_receipt, NULL, "GET, HEAD", "a/b" },
	{ "/topics/a%2Fb/acks", NULL, NULL, handle_ack, "POST", "a/b" },
	{ "/topics/a+b%20c/acks", NULL, NULL, handle_ack, "POST", "a+b c" },
	{ "/topics/%2e%2E/acks", NULL, NULL, handle_ack, "POST", ".." },
	{ "/t%6Fpics/foo/ack%73", NULL, NULL, handle_ack, "POST", "foo" },
	{ "/topics/%7B%7D/acks", NULL, NULL, handle_ack, "POST", "{}" },
	{ "/", NULL, NULL, NULL, NULL, NULL },
	{ "*", NULL, NULL, NULL, NULL, NULL },
	{ "_ping", NULL, NULL, NULL, NULL, NULL },
	{ "/_ping/", NULL, NULL, NULL, NULL, NULL },
	{ "//_ping", NULL, NULL, NULL, NULL, NULL },
	{ "/_PING", NULL, NULL, NULL, NULL, NULL },
	{ "/_status/", NULL, NULL, NULL, NULL, NULL },
	{ "/_messages", NULL, NULL, NULL, NULL, NULL },
	{ "/_messages/", NULL, NULL, NULL, NULL, NULL },
	{ "/_messages/1/2", NULL, NULL, NULL, NULL, NULL },
	{ "/topics", NULL, NULL, NULL, NULL, NULL },
	{ "/topics/foo", NULL, NULL, NULL, NULL, NULL },
	{ "/topics/foo/messages/", NULL, NULL, NULL, NULL, NULL },
	{ "/topics//messages", NULL, NULL, NULL, NULL, NULL },
	{ "/topics/foo/messages/1", NULL, NULL, NULL, NULL, NULL },
	{ "/topics/foo/messages/1/2/3/4", NULL, NULL, NULL, NULL, NULL },
	{ "/topics/foo%2Fmessages", NULL, NULL, NULL, NULL, NULL },
	{ "/topics/{}/nothing", NULL, NULL, NULL, NULL, NULL },
};

static void
check_route(size_t i, const char *method)
{
	const struct var vars[VARS_MAX] = { { "REQUEST_METHOD", method },
	    { "REQUEST_URI", paths[i].uri } };
	const struct route *route;
	struct req req;
	struct res res;

	res_init(&res);
	assert_err(req_parse(&req, vars_get, vars), KP_OK);
	route = route_find(&req, &res);
	if (route) {
		assert_ptr_equal(route->handle, req.method == G ? paths[i].get :
		    req.method == H ? paths[i].head : req.method == P ? paths[i].post : NULL);
		if (paths[i].arg)
			assert_true(kp_slice_eq(req.arg[0], kp_slice_str(paths[i].arg)));
	} else {
		assert_true((req.method == G ? paths[i].get : req.method == H ? paths[i].head :
		    req.method == P ? paths[i].post : NULL) == NULL);
		assert_int_equal(res.status, paths[i].allow ? 405 : 404);
		assert_string_equal(res.allow, paths[i].allow ? paths[i].allow : "");
	}
	req_free(&req);
	res_free(&res);
}

static void
test_every_path_with_every_method(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++)
		for (size_t k = 0; k < COUNT(method_names); k++)
			check_route(i, method_names[k]);
}

static const struct {
	struct var vars[VARS_MAX];
	int status;			/* 0: /_ping is found */
} requests[] = {
	{ { { "REQUEST_URI", "/k/_ping" }, { "KAFKA_PIXY_PREFIX", "/k" } }, 0 },
	{ { { "REQUEST_URI", "/k/_ping" }, { "KAFKA_PIXY_PREFIX", "/k/" } }, 0 },
	{ { { "REQUEST_URI", "/_ping" }, { "KAFKA_PIXY_PREFIX", "/k" } }, 0 },
	{ { { "REQUEST_URI", "/kk/_ping" }, { "KAFKA_PIXY_PREFIX", "/k" } }, 404 },
	{ { { "SCRIPT_NAME", "" }, { "PATH_INFO", "/_ping" } }, 0 },
	{ { { "SCRIPT_NAME", "/_ping" } }, 0 },
	{ { { "SCRIPT_NAME", "/x.cgi" }, { "PATH_INFO", "/_ping" },
	    { "KAFKA_PIXY_PREFIX", "/x.cgi" } }, 0 },
	{ { { "SCRIPT_NAME", "/" }, { "PATH_INFO", "%5Fping" } }, 404 },
	{ { { "REQUEST_URI", "/%5Fping" }, { "PATH_INFO", "/other" } }, 0 },
	{ { { "REQUEST_URI", "" }, { "PATH_INFO", "/_ping" } }, 0 },
	{ { { "REQUEST_METHOD", "GET" } }, 404 },
	{ { { "REQUEST_URI", "/%zz" } }, 400 },
	{ { { "REQUEST_URI", "/topics/%/messages" } }, 400 },
	{ { { "REQUEST_URI", "/topics/%4/messages" } }, 400 },
};

static void
test_path_comes_from_where_the_server_gives_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		struct var vars[VARS_MAX];
		const struct route *route;
		struct req req;
		struct res res;

		memcpy(vars, requests[i].vars, sizeof(vars));
		vars[VARS_MAX - 1] = (struct var){ "REQUEST_METHOD", "GET" };
		for (size_t k = 0; k < VARS_MAX; k++)
			if (vars[k].name == NULL)
				vars[k].name = "UNUSED";
		res_init(&res);
		assert_err(req_parse(&req, vars_get, vars), KP_OK);
		route = route_find(&req, &res);
		assert_int_equal(route != NULL, requests[i].status == 0);
		if (route == NULL)
			assert_int_equal(res.status, requests[i].status);
		req_free(&req);
		res_free(&res);
	}
}

static const struct {
	const char *type;
	bool is_form;
} types[] = {
	{ "application/x-www-form-urlencoded", true },
	{ "Application/X-WWW-Form-Urlencoded", true },
	{ " application/x-www-form-urlencoded; charset=utf-8", true },
	{ "application/x-www-form-urlencoded ;x", true },
	{ "application/x-www-form-urlencodedx", false },
	{ "application/x-www-form", false },
	{ "text/plain", false },
	{ "", false },
	{ NULL, false },
};

static void
test_forms_are_known_by_their_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		const struct var vars[VARS_MAX] = { { "REQUEST_URI", "/" },
		    { "CONTENT_TYPE", types[i].type } };
		struct req req;

		assert_err(req_parse(&req, vars_get, vars), KP_OK);
		assert_int_equal(req.is_form, types[i].is_form);
		req_free(&req);
	}
}

static const struct {
	const char *type, *encoding;
	const char *says;		/* NULL: the body is taken */
} kinds[] = {
	{ NULL, NULL, NULL }, { "text/plain", "", NULL }, { "text/plain", " ", NULL },
	{ "text/plain", "identity", NULL }, { "text/plain", " Identity ", NULL },
	{ "multipart/mixed; boundary=b", NULL, NULL }, { "multipart/form-datax", NULL, NULL },
	{ "text/plain", "gzip", "Content-Encoding" }, { NULL, "GZIP", "Content-Encoding" },
	{ "application/x-www-form-urlencoded", "br", "Content-Encoding" },
	{ "text/plain", "identity, gzip", "Content-Encoding" },
	{ "multipart/form-data; boundary=b", NULL, "multipart/form-data" },
	{ "Multipart/Form-Data", "identity", "multipart/form-data" },
};

static void
test_bodies_that_would_be_stored_as_something_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const struct var vars[VARS_MAX] = { { "REQUEST_URI", "/" },
		    { "CONTENT_TYPE", kinds[i].type },
		    { "HTTP_CONTENT_ENCODING", kinds[i].encoding } };
		const char *says = kinds[i].says;
		struct req req;
		struct res res;

		res_init(&res);
		assert_err(req_parse(&req, vars_get, vars), KP_OK);
		assert_int_equal(req_body_is_plain(&req, &res), says == NULL);
		assert_int_equal(res.status, says ? 415 : 200);
		if (says)
			assert_non_null(memmem(res.body.p, res.body.len, says, strlen(says)));
		res_free(&res);
		req_free(&req);
	}
}

static const struct {
	const char *text;
	int64_t want;			/* -2: refused */
} lengths[] = {
	{ NULL, -1 }, { "", -1 }, { "0", 0 }, { "007", 7 }, { "1000000", 1000000 },
	{ "9223372036854775807", INT64_MAX }, { "9223372036854775808", INT64_MAX },
	{ "99999999999999999999999", INT64_MAX }, { "-1", -2 }, { "+1", -2 }, { " 1", -2 },
	{ "1 ", -2 }, { "0x10", -2 }, { "1.0", -2 }, { "1,1", -2 }, { "abc", -2 },
};

static void
test_content_length_is_digits_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		const struct var vars[VARS_MAX] = { { "REQUEST_URI", "/" },
		    { "CONTENT_LENGTH", lengths[i].text } };
		struct req req;
		struct res res;
		int64_t n = -3;

		res_init(&res);
		assert_err(req_parse(&req, vars_get, vars), KP_OK);
		assert_int_equal(req_content_length(&req, &res, &n), lengths[i].want != -2);
		if (lengths[i].want == -2)
			assert_non_null(memmem(res.body.p, res.body.len,
			    "Invalid Content-Length header: ", 31));
		else
			assert_true(n == lengths[i].want);
		req_free(&req);
		res_free(&res);
	}
}

static void
test_integers(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(req_integer(LIT("2147483647"), INT32_MAX, &n));
	assert_true(n == INT32_MAX);
	assert_false(req_integer(LIT("2147483648"), INT32_MAX, &n));
	assert_true(req_integer(LIT("0"), 0, &n));
	assert_false(req_integer(LIT("1"), 0, &n));
	assert_false(req_integer(LIT(""), 9, &n));
	assert_false(req_integer((struct kp_slice){ 0 }, 9, &n));
	assert_false(req_integer(LIT("-1"), 9, &n));
	assert_false(req_integer(LIT("1\0"), 99, &n));
	assert_false(req_integer(LIT("18446744073709551616"), UINT64_MAX, &n));
	assert_true(req_integer(LIT("18446744073709551615"), UINT64_MAX, &n));
}

static void
test_head_of_a_response(void **state)
{
	struct kp_buf b;
	struct res res;

	(void)state;
	kp_buf_init(&b, 4096);
	res_init(&res);
	res_fail(&res, KP_EBUSY, "Too many requests");
	res_head(&res, &b);
	kp_buf_putc(&b, '\0');
	assert_string_equal((char *)b.p, "Status: 429 Too Many Requests\r\n"
	    "Content-Type: application/json\r\nContent-Length: 34\r\nRetry-After: 1\r\n\r\n");
	kp_buf_reset(&b);
	res_fail_method(&res, "GET, POST");
	res_head(&res, &b);
	kp_buf_putc(&b, '\0');
	assert_string_equal((char *)b.p, "Status: 405 Method Not Allowed\r\n"
	    "Content-Type: application/json\r\nContent-Length: 55\r\nAllow: GET, POST\r\n\r\n");
	kp_buf_free(&b);
	res_free(&res);
}

static void
test_the_id_of_a_message_goes_into_the_head(void **state)
{
	struct kp_buf b;
	struct res res;

	(void)state;
	kp_buf_init(&b, 4096);
	res_init(&res);
	res.message_id = INT64_MAX;
	res_head(&res, &b);
	kp_buf_putc(&b, '\0');
	assert_string_equal((char *)b.p, "Status: 200 OK\r\nContent-Type: application/json\r\n"
	    "Content-Length: 0\r\nX-Kafka-Pixy-Id: 9223372036854775807\r\n\r\n");
	kp_buf_reset(&b);
	res_fail(&res, KP_ENOMEM, "none");
	res_head(&res, &b);
	assert_null(memmem(b.p, b.len, "X-Kafka-Pixy-Id", 15));
	kp_buf_free(&b);
	res_free(&res);
}

static void
test_a_body_that_did_not_fit_becomes_an_error(void **state)
{
	struct res res;

	(void)state;
	res_init(&res);
	kp_buf_puts(&res.body, "half of a rep");
	res.body.failed = true;
	res_finish(&res);
	assert_int_equal(res.status, 500);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body),
	    LIT("{\n  \"error\": \"out of memory\"\n}")));
	res_free(&res);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_path_with_every_method),
		cmocka_unit_test(test_path_comes_from_where_the_server_gives_it),
		cmocka_unit_test(test_forms_are_known_by_their_type),
		cmocka_unit_test(test_bodies_that_would_be_stored_as_something_else),
		cmocka_unit_test(test_content_length_is_digits_only),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_head_of_a_response),
		cmocka_unit_test(test_the_id_of_a_message_goes_into_the_head),
		cmocka_unit_test(test_a_body_that_did_not_fit_becomes_an_error),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
