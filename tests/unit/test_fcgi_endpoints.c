/* Requests through their handlers to a helper that answers: what it is asked, and
 * what the client is told. */
#include "fcgi/consume.h"
#include "fcgi/route.h"

#include "tests/unit/fake_helper.h"
#include "tests/unit/fcgi_vars.h"
#include "tests/unit/unit.h"

static const struct conf conf = { .max_message_bytes = 8, .sync_timeout_ms = 500 };

#define FORM "application/x-www-form-urlencoded"
#define TEXT "text/plain"
#define TOPIC_RULE "Invalid topic name: "
#define GROUP_RULE "Invalid group name: "
#define NO_FORM "add -H 'Content-Type: text/plain'"
#define ONE_GROUP(n) "One consumer group is expected, but " n " provided"
#define ID_RULE "Invalid message id: "
#define BOTH "ackPartition and ackOffset either both should be provided or neither"

/* One request to a helper that is there; false when it was not asked. */
static bool
run(struct fake *f, const char *method, const char *uri, const char *type, struct kp_slice body,
    struct res *res)
{
	const struct var vars[VARS_MAX] = { { "REQUEST_METHOD", method }, { "REQUEST_URI", uri },
	    { "CONTENT_TYPE", type } };
	const struct route *route;
	struct req req;

	res_init(res);
	fake_start(f);
	assert_err(req_parse(&req, vars_get, vars), KP_OK);
	req.conf = &conf;
	req.client = client_new(f->path);
	req.body = exact_copy(body.p, body.n);
	req.body_bytes = body.n;
	route = route_find(&req, res);
	assert_non_null(route);
	route->handle(&req, res);
	client_free(req.client);
	free(req.body);
	req_free(&req);
	fake_stop(f);
	return f->n_seen > 0;
}

/* What must be refused before the helper is asked. */
static const struct {
	const char *method, *uri, *type;
	struct kp_slice body;
	int status;
	const char *says;
} refused[] = {
	{ "POST", "/topics/a%20b/messages", TEXT, LIT("x"), 400, TOPIC_RULE },
	{ "POST", "/topics/../messages", TEXT, LIT("x"), 400, TOPIC_RULE },
	{ "POST", "/topics/a%2Fb/messages", TEXT, LIT("x"), 400, TOPIC_RULE },
	{ "POST", "/topics/a%0D%0Ab/messages", TEXT, LIT("x"), 400, TOPIC_RULE },
	{ "POST", "/topics/a%00/messages", TEXT, LIT("x"), 400, TOPIC_RULE },
	{ "POST", "/topics/t/messages", FORM, LIT("hello"), 400, NO_FORM },
	{ "POST", "/topics/t/messages", FORM, LIT(""), 400, NO_FORM },
	{ "POST", "/topics/t/messages", FORM, LIT("msg=%zz"), 400, NO_FORM },
	{ "POST", "/topics/t/messages?msg=x", FORM, LIT("a=b"), 400, NO_FORM },
	{ "POST", "/topics/t/messages", FORM, LIT("msg=123456789"), 413, "limit is 8 bytes" },
	{ "GET", "/topics/t/messages", NULL, LIT(""), 400, ONE_GROUP("0") },
	{ "GET", "/topics/t/messages?Group=a", NULL, LIT(""), 400, ONE_GROUP("0") },
	{ "GET", "/topics/t/messages?group=a&group=b", NULL, LIT(""), 400, ONE_GROUP("2") },
	{ "GET", "/topics/t/messages?group=a&group=a", NULL, LIT(""), 400, ONE_GROUP("2") },
	{ "GET", "/topics/t/messages?group=", NULL, LIT(""), 400, GROUP_RULE },
	{ "GET", "/topics/t/messages?group=a%2Fb", NULL, LIT(""), 400, GROUP_RULE },
	{ "GET", "/topics/t/messages?group=zookeeper", NULL, LIT(""), 400, GROUP_RULE },
	{ "GET", "/topics/t/messages?group=a+b", NULL, LIT(""), 400, GROUP_RULE },
	{ "GET", "/topics/t/messages?group=g&ackPartition=1", NULL, LIT(""), 400, BOTH },
	{ "GET", "/topics/t/messages?group=g&noAck&ackOffset=1", NULL, LIT(""), 400, BOTH },
	{ "GET", "/topics/t/messages?group=g&ackPartition=1&ackOffset=-1", NULL, LIT(""), 400,
	    "ackOffset is expected to be a non-negative integer" },
	{ "GET", "/topics/t/messages?group=g&ackPartition=2147483648&ackOffset=1", NULL, LIT(""),
	    400, "ackPartition is expected to be a non-negative integer" },
	{ "POST", "/topics/t/acks?group=g&partition=x&offset=9", NULL, LIT(""), 400,
	    "partition is expected to be a non-negative integer" },
	{ "POST", "/topics/t/acks?group=a%2Fb&partition=0&offset=9", NULL, LIT(""), 400,
	    GROUP_RULE },
	{ "POST", "/topics/t/acks?partition=0&offset=9", NULL, LIT(""), 400, ONE_GROUP("0") },
	{ "POST", "/topics/t/acks?group=g&offset=9", NULL, LIT(""), 400, "partition is expected" },
	{ "POST", "/topics/t/acks?group=g&partition=0", NULL, LIT(""), 400, "offset is expected" },
	{ "GET", "/topics/t/offsets", NULL, LIT(""), 400, ONE_GROUP("0") },
	{ "POST", "/topics/t/offsets", NULL, LIT("[]"), 400, ONE_GROUP("0") },
	{ "POST", "/topics/t/offsets?group=g", NULL, LIT("[{}]"), 400,
	    "Failed to parse the request: element 0" },
	{ "GET", "/topics/t/consumers?group=a&group=b", NULL, LIT(""), 400, ONE_GROUP("2") },
	{ "GET", "/_messages/0", NULL, LIT(""), 400, ID_RULE },
	{ "GET", "/_messages/-1", NULL, LIT(""), 400, ID_RULE },
	{ "GET", "/_messages/+1", NULL, LIT(""), 400, ID_RULE },
	{ "GET", "/_messages/1%00", NULL, LIT(""), 400, ID_RULE },
	{ "GET", "/_messages/0x1", NULL, LIT(""), 400, ID_RULE },
	{ "HEAD", "/_messages/x", NULL, LIT(""), 400, ID_RULE },
	{ "GET", "/_messages/9223372036854775808", NULL, LIT(""), 400, ID_RULE },
	{ "GET", "/topics/t/consumers?group=%7f", NULL, LIT(""), 400, GROUP_RULE },
};

/* A form of one `msg`, and n other fields. */
static int
status_of_form(struct fake *f, size_t n)
{
	struct kp_buf body;
	struct res res;

	kp_buf_init(&body, SIZE_MAX);
	kp_buf_puts(&body, "msg=x");
	for (size_t i = 0; i < n; i++)
		kp_buf_puts(&body, "&a");
	run(f, "POST", "/topics/t/messages", FORM, kp_buf_slice(&body), &res);
	if (res.status != 200)
		assert_non_null(memmem(res.body.p, res.body.len, "Too many parameters", 19));
	kp_buf_free(&body);
	res_free(&res);
	fake_free(f);
	return res.status;
}

static void
test_a_form_has_a_limit_of_fields(void **state)
{
	struct kp_buf reply;

	(void)state;
	kp_buf_init(&reply, 4096);
	msg_produced_encode(&reply, &(struct msg_produced){ 3, 42, 7 });
	for (size_t n = 0; n < 2; n++) {
		struct fake f = { .reply_type = MSG_PRODUCED, .reply = kp_buf_slice(&reply) };

		assert_int_equal(status_of_form(&f, URL_PAIRS_MAX - 1 + n), n ? 400 : 200);
	}
	kp_buf_free(&reply);
}

static void
test_bad_requests_never_reach_the_helper(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		struct fake f = { .reply_type = MSG_DONE };
		struct res res;

		assert_false(run(&f, refused[i].method, refused[i].uri, refused[i].type,
		    refused[i].body, &res));
		if (res.status != refused[i].status || memmem(res.body.p, res.body.len,
		    refused[i].says, strlen(refused[i].says)) == NULL)
			fail_msg("%s: %d %.*s", refused[i].uri, res.status, (int)res.body.len,
			    (char *)res.body.p);
		res_free(&res);
		fake_free(&f);
	}
}

static const struct {
	const char *uri, *type;
	struct kp_slice body, key, value;
	bool sync;
} produced[] = {
	{ "/topics/t/messages", TEXT, LIT("v"), { NULL, 0 }, LIT("v"), false },
	{ "/topics/t/messages", NULL, LIT(""), { NULL, 0 }, LIT(""), false },
	{ "/topics/t/messages?key=", TEXT, LIT("\0\xff"), LIT(""), LIT("\0\xff"), false },
	{ "/topics/t/messages?key=a+%2B%00&key=b", TEXT, LIT("v"), LIT("a +\0"), LIT("v"), false },
	{ "/topics/t/messages?sync", TEXT, LIT("v"), { NULL, 0 }, LIT("v"), true },
	{ "/topics/t/messages?sync=false", TEXT, LIT("v"), { NULL, 0 }, LIT("v"), true },
	{ "/topics/t/messages?Sync&key=%zz", TEXT, LIT("v"), { NULL, 0 }, LIT("v"), false },
	{ "/topics/t/messages", TEXT, LIT("msg=a+b"), { NULL, 0 }, LIT("msg=a+b"), false },
	{ "/topics/t/messages", FORM, LIT("msg=a+b%00"), { NULL, 0 }, LIT("a b\0"), false },
	{ "/topics/t/messages", FORM, LIT("msg=&key=k&sync"), LIT("k"), LIT(""), true },
	{ "/topics/t/messages?key=q&sync", FORM, LIT("msg=1&msg=2"), LIT("q"), LIT("1"), true },
	{ "/topics/t/messages?key=q", FORM, LIT("key=f&msg=1"), LIT("f"), LIT("1"), false },
	{ "/topics/t/messages", FORM "; charset=x", LIT("msg=12345678"), { NULL, 0 },
	    LIT("12345678"), false },
};

static void
check_produce(size_t i, struct kp_slice reply)
{
	struct fake f = { .reply_type = MSG_PRODUCED, .reply = reply };
	struct msg_produce m;
	struct res res;

	assert_true(run(&f, "POST", produced[i].uri, produced[i].type, produced[i].body, &res));
	assert_int_equal(res.status, 200);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body), produced[i].sync ?
	    LIT("{\n  \"partition\": 3,\n  \"offset\": 42\n}") : LIT("{}")));
	assert_err(msg_produce_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
	assert_true(kp_slice_eq(m.topic, LIT("t")));
	assert_int_equal(m.key.p == NULL, produced[i].key.p == NULL);
	assert_true(kp_slice_eq(m.key, produced[i].key));
	assert_true(kp_slice_eq(m.value, produced[i].value));
	assert_int_equal(m.sync, produced[i].sync);
	assert_int_equal(res.message_id, produced[i].sync ? 0 : 7);
	res_free(&res);
	fake_free(&f);
}

static void
test_produce_takes_key_value_and_sync_as_given(void **state)
{
	struct kp_buf reply;

	(void)state;
	kp_buf_init(&reply, 4096);
	msg_produced_encode(&reply, &(struct msg_produced){ 3, 42, 7 });
	for (size_t i = 0; i < COUNT(produced); i++)
		check_produce(i, kp_buf_slice(&reply));
	kp_buf_free(&reply);
}

static void
test_consume_offers_what_it_answers(void **state)
{
	struct fake f = { .reply_type = MSG_MESSAGE };
	struct kp_buf reply;
	struct res res;

	(void)state;
	kp_buf_init(&reply, 4096);
	msg_message_encode(&reply, &(struct msg_message){ 99, 1, 5, { NULL, 0 }, LIT("v") });
	f.reply = kp_buf_slice(&reply);
	assert_true(run(&f, "GET", "/topics/t/messages?group=g", NULL, LIT(""), &res));
	assert_int_equal(res.status, 200);
	assert_true(res.offered && res.offer == 99);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body), LIT("{\n  \"key\": null,\n"
	    "  \"value\": \"dg==\",\n  \"partition\": 1,\n  \"offset\": 5\n}")));
	res_free(&res);
	fake_free(&f);
	kp_buf_free(&reply);
}

/* What of the query reaches the helper. */
static void
test_acknowledgements_as_they_are_asked_for(void **state)
{
	static const struct {
		const char *query;
		struct msg_consume m;
	} cases[] = {
		{ "", { .no_ack = false } },
		{ "&noAck", { .no_ack = true } },
		{ "&noAck=false", { .no_ack = true } },
		{ "&ackPartition=2147483647&ackOffset=9223372036854775807",
		    { .ack = true, .ack_partition = INT32_MAX, .ack_offset = INT64_MAX } },
		{ "&ackOffset=5&noAck&ackPartition=1",
		    { .no_ack = true, .ack = true, .ack_partition = 1, .ack_offset = 5 } },
	};
	struct kp_buf reply;

	(void)state;
	kp_buf_init(&reply, 4096);
	msg_message_encode(&reply, &(struct msg_message){ 99, 1, 5, { NULL, 0 }, LIT("v") });
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake f = { .reply_type = MSG_MESSAGE, .reply = kp_buf_slice(&reply) };
		char target[256];
		struct msg_consume m;
		struct res res;

		snprintf(target, sizeof(target), "/topics/t/messages?group=g%s", cases[i].query);
		assert_true(run(&f, "GET", target, NULL, LIT(""), &res));
		assert_err(msg_consume_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
		assert_int_equal(m.no_ack, cases[i].m.no_ack);
		assert_int_equal(m.ack, cases[i].m.ack);
		assert_int_equal(m.ack_partition, cases[i].m.ack_partition);
		assert_int_equal(m.ack_offset, cases[i].m.ack_offset);
		res_free(&res);
		fake_free(&f);
	}
	kp_buf_free(&reply);
}

static void
test_post_acks(void **state)
{
	struct fake f = { .reply_type = MSG_DONE };
	struct msg_ack m;
	struct res res;

	(void)state;
	assert_true(run(&f, "POST", "/topics/t/acks?group=g&partition=3&offset=9", NULL, LIT(""),
	    &res));
	assert_int_equal(res.status, 200);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body), LIT("{}")));
	assert_err(msg_ack_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
	assert_true(m.partition == 3 && m.offset == 9);
	res_free(&res);
	fake_free(&f);
}

static void
test_an_error_reply_becomes_a_status(void **state)
{
	static const struct msg_error none = { KP_ENOMSG, 0, LIT("") };
	struct fake f = { .reply_type = MSG_ERROR };
	struct kp_buf reply;
	struct res res;

	(void)state;
	kp_buf_init(&reply, 4096);
	msg_error_encode(&reply, &none);
	f.reply = kp_buf_slice(&reply);
	assert_true(run(&f, "GET", "/topics/t/messages?group=g", NULL, LIT(""), &res));
	assert_int_equal(res.status, 408);
	assert_false(res.offered);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body),
	    LIT("{\n  \"error\": \"long polling timeout\"\n}")));
	res_free(&res);
	fake_free(&f);
	kp_buf_free(&reply);
}

static void
test_set_offsets_asks_for_what_was_posted(void **state)
{
	struct fake f = { .reply_type = MSG_DONE };
	struct msg_offsets m;
	struct res res;

	(void)state;
	assert_true(run(&f, "POST", "/topics/t/offsets?group=g", FORM,
	    LIT("[{\"partition\":1,\"offset\":-1,\"metadata\":\"m\"}]"), &res));
	assert_int_equal(res.status, 200);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body), LIT("{}")));
	assert_err(msg_offsets_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
	assert_true(m.n == 1 && m.v[0].partition == 1 && m.v[0].offset == -1);
	assert_true(kp_slice_eq(m.v[0].metadata, LIT("m")));
	assert_true(kp_slice_eq(m.topic, LIT("t")) && kp_slice_eq(m.group, LIT("g")));
	msg_offsets_free(&m);
	res_free(&res);
	fake_free(&f);
}

static void
test_consumers_of_all_groups_or_one(void **state)
{
	static const struct {
		const char *uri;
		struct kp_slice group;
	} rows[] = {
		{ "/topics/t/consumers", LIT("") },
		{ "/topics/t/consumers?group=", LIT("") },
		{ "/topics/t/consumers?group=g", LIT("g") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake f = { .reply_type = MSG_CONSUMERS, .reply = LIT("\0\0\0\0") };
		struct msg_topic_group m;
		struct res res;

		assert_true(run(&f, "GET", rows[i].uri, NULL, LIT(""), &res));
		assert_true(kp_slice_eq(kp_buf_slice(&res.body), LIT("{}")));
		assert_err(msg_topic_group_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
		assert_true(kp_slice_eq(m.group, rows[i].group));
		res_free(&res);
		fake_free(&f);
	}
}

static void
test_ping_is_plain_text(void **state)
{
	struct fake f = { .reply_type = MSG_DONE };
	struct res res;

	(void)state;
	assert_true(run(&f, "GET", "/_ping", NULL, LIT(""), &res));
	assert_int_equal(res.status, 200);
	assert_string_equal(res.type, "text/plain");
	assert_true(kp_slice_eq(kp_buf_slice(&res.body), LIT("pong")));
	res_free(&res);
	fake_free(&f);
}

/* One GET, answered by the encoded reply in *b, which is freed. */
static void
run_with(uint8_t type, struct kp_buf *b, const char *method, const char *uri, struct res *res)
{
	struct fake f = { .reply_type = type, .reply = kp_buf_slice(b) };

	assert_false(b->failed);
	assert_true(run(&f, method, uri, NULL, LIT(""), res));
	fake_free(&f);
	kp_buf_free(b);
}

static void
test_receipts_of_messages(void **state)
{
	static const struct msg_error unknown = { KP_ENOTFOUND, 0, LIT("never heard of it") };
	const char *const uris[] = { "/_messages/7", "/_messages/007" };
	struct kp_buf b;
	struct res res;

	(void)state;
	kp_buf_init(&b, 4096);
	for (size_t i = 0; i < COUNT(uris); i++) {
		msg_receipt_encode(&b, &(struct msg_receipt){ 7, RECEIPT_DEAD, -1, -1, LIT("no") });
		run_with(MSG_RECEIPT, &b, "GET", uris[i], &res);
		assert_int_equal(res.status, 200);
		assert_true(kp_slice_eq(kp_buf_slice(&res.body), LIT("{\n  \"id\": \"7\",\n"
		    "  \"state\": \"dead\",\n  \"reason\": \"no\"\n}")));
		res_free(&res);
	}
	msg_error_encode(&b, &unknown);
	run_with(MSG_ERROR, &b, "HEAD", "/_messages/9223372036854775807", &res);
	assert_int_equal(res.status, 404);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body),
	    LIT("{\n  \"error\": \"never heard of it\"\n}")));
	res_free(&res);
}

/* 200 unless a part is down; one that is not used does not count. */
static void
test_status_is_that_of_the_parts(void **state)
{
	static const struct {
		uint8_t kafka, zookeeper, store;
		int status;
		const char *says;
	} rows[] = {
		{ PART_UP, PART_UP, PART_UP, 200, "{\n  \"version\": \"1\"" },
		{ PART_UP, PART_UNUSED, PART_UNUSED, 200, "{\n  \"version\": \"1\"" },
		{ PART_DOWN, PART_UP, PART_UP, 503, "{\n  \"error\": \"Kafka is down" },
		{ PART_UP, PART_DOWN, PART_UP, 503, "{\n  \"error\": \"ZooKeeper is down" },
		{ PART_UP, PART_UP, PART_DOWN, 503, "{\n  \"error\": \"The store is down" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kp_buf b;
		struct res res;

		kp_buf_init(&b, 4096);
		msg_status_encode(&b, &(struct msg_status){ .version = LIT("1"),
		    .kafka.state = rows[i].kafka, .zookeeper.state = rows[i].zookeeper,
		    .store.state = rows[i].store });
		run_with(MSG_STATUS, &b, i % 2 ? "HEAD" : "GET", "/_status", &res);
		assert_int_equal(res.status, rows[i].status);
		assert_int_equal(res.retry_after_s > 0, rows[i].status == 503);
		assert_memory_equal(res.body.p, rows[i].says, strlen(rows[i].says));
		res_free(&res);
	}
}

/* A poll in a thread of its own, for as long as the helper is silent. */
static void *
poll_in_background(void *arg)
{
	struct client *c = client_new(arg);
	const struct req req = { .method = REQ_GET, .client = c, .conf = &conf, .peer = -1,
	    .arg = { LIT("t") }, .query = { .v = &(struct url_pair){ LIT("group"), LIT("g") },
	    .n = 1 } };
	struct res res;

	res_init(&res);
	handle_consume(&req, &res);
	res_free(&res);
	client_free(c);
	return NULL;
}

static void
test_polls_past_the_limit_are_turned_away(void **state)
{
	static const enum fake_act script[] = { FAKE_SILENT };
	struct fake busy = { .script = script, .n_script = 1 }, f = { .reply_type = MSG_DONE };
	pthread_t thread;
	struct res res;

	(void)state;
	consume_set_limit(1);
	fake_start(&busy);
	assert_int_equal(pthread_create(&thread, NULL, poll_in_background, busy.path), 0);
	fake_await(&busy);
	assert_false(run(&f, "GET", "/topics/t/messages?group=g", NULL, LIT(""), &res));
	assert_int_equal(res.status, 429);
	assert_int_equal(res.retry_after_s, 1);
	assert_true(kp_slice_eq(kp_buf_slice(&res.body),
	    LIT("{\n  \"error\": \"Too many requests\"\n}")));
	res_free(&res);
	fake_free(&f);
	pthread_join(thread, NULL);
	fake_stop(&busy);
	fake_free(&busy);
	consume_set_limit(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_requests_never_reach_the_helper),
		cmocka_unit_test(test_a_form_has_a_limit_of_fields),
		cmocka_unit_test(test_produce_takes_key_value_and_sync_as_given),
		cmocka_unit_test(test_consume_offers_what_it_answers),
		cmocka_unit_test(test_acknowledgements_as_they_are_asked_for),
		cmocka_unit_test(test_post_acks),
		cmocka_unit_test(test_an_error_reply_becomes_a_status),
		cmocka_unit_test(test_set_offsets_asks_for_what_was_posted),
		cmocka_unit_test(test_consumers_of_all_groups_or_one),
		cmocka_unit_test(test_ping_is_plain_text),
		cmocka_unit_test(test_receipts_of_messages),
		cmocka_unit_test(test_status_is_that_of_the_parts),
		cmocka_unit_test(test_polls_past_the_limit_are_turned_away),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
