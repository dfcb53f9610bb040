/* The client against a helper that dies, lies and hangs at chosen points. */
#include "common/clock.h"
#include "fcgi/client.h"

#include "tests/unit/fake_helper.h"
#include "tests/unit/unit.h"

static const struct msg_produce message = { LIT("t"), LIT("k"), LIT("value"), false };
static const struct msg_consume poll_t = { .topic = LIT("t"), .group = LIT("g") };
static const struct msg_topic_group group = { LIT("t"), LIT("g") };

static struct kp_buf
produced(void)
{
	struct kp_buf b;

	kp_buf_init(&b, 4096);
	msg_produced_encode(&b, &(struct msg_produced){ 3, 42, 7 });
	return b;
}

/* One produce; what the helper saw stays in *f. */
static struct msg_error
produce_with(struct fake *f, enum kp_err want)
{
	struct kp_buf reply = produced();
	struct msg_produced r = { 0 };
	struct msg_error e = { 0 };
	struct client *c;

	f->reply_type = MSG_PRODUCED;
	f->reply = kp_buf_slice(&reply);
	fake_start(f);
	c = client_new(f->path);
	assert_err(client_produce(c, &message, 500, &r), want);
	if (want)
		e = *client_error(c);
	else
		assert_true(r.partition == 3 && r.offset == 42 && r.id == 7);
	client_free(c);
	fake_stop(f);
	kp_buf_free(&reply);
	return e;
}

static bool
says(struct msg_error e, const char *part)
{
	return memmem(e.text.p, e.text.n, part, strlen(part)) != NULL;
}

static void
test_a_produce_arrives_as_it_was_given(void **state)
{
	struct fake f = { 0 };
	struct msg_produce m;

	(void)state;
	produce_with(&f, KP_OK);
	assert_int_equal(f.n_seen, 1);
	assert_int_equal(f.seen[0].type, MSG_PRODUCE);
	assert_in_range(f.seen[0].deadline_ms, 4900, 5000);
	assert_err(msg_produce_decode(kp_buf_slice(&f.seen[0].body), &m), KP_OK);
	assert_true(kp_slice_eq(m.key, message.key) && kp_slice_eq(m.value, message.value));
	fake_free(&f);
}

static void
test_a_produce_that_was_sent_whole_is_not_sent_again(void **state)
{
	static const enum fake_act scripts[] = { FAKE_DIE, FAKE_DIE_HALF, FAKE_WRONG_ID,
	    FAKE_WRONG_TYPE };

	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct fake f = { .script = &scripts[i], .n_script = 1 };
		struct msg_error e = produce_with(&f, KP_EUNAVAIL);

		assert_true(says(e, "may or may not have been kept"));
		assert_int_equal(f.n_seen, 1);
		fake_free(&f);
	}
}

static void
test_another_version_is_told(void **state)
{
	static const enum fake_act script[] = { FAKE_WRONG_VERSION };
	struct fake f = { .script = script, .n_script = 1 };

	(void)state;
	assert_true(says(produce_with(&f, KP_EVERSION), "restart both"));
	fake_free(&f);
}

static void
test_a_sync_produce_is_waited_for_and_a_second_more(void **state)
{
	static const enum fake_act script[] = { FAKE_SILENT };
	struct fake f = { .script = script, .n_script = 1 };
	struct msg_produce sync = message;
	int64_t begin_ms, took_ms;
	struct msg_produced r;
	struct client *c;

	(void)state;
	sync.sync = true;
	fake_start(&f);
	c = client_new(f.path);
	begin_ms = clock_mono_ms();
	assert_err(client_produce(c, &sync, 200, &r), KP_EUNAVAIL);
	took_ms = clock_mono_ms() - begin_ms;
	assert_in_range(took_ms, 1150, 2500);
	assert_true(says(*client_error(c), "may or may not"));
	client_free(c);
	fake_stop(&f);
	assert_in_range(f.seen[0].deadline_ms, 100, 200);
	assert_true(f.gave_up);
	fake_free(&f);
}

static void
test_harmless_requests_are_sent_again(void **state)
{
	static const enum fake_act script[] = { FAKE_DIE, FAKE_DIE_HALF };
	struct fake f = { .script = script, .n_script = 2, .reply_type = MSG_DONE };
	struct client *c;

	(void)state;
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_ping(c), KP_OK);
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 3);
	assert_int_equal(f.conns, 3);
	fake_free(&f);
}

static void
test_but_not_for_ever(void **state)
{
	static const enum fake_act script[] = { FAKE_DIE, FAKE_DIE, FAKE_DIE, FAKE_DIE, FAKE_DIE };
	struct fake f = { .script = script, .n_script = 5, .reply_type = MSG_DONE };
	struct client *c;

	(void)state;
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_ping(c), KP_EUNAVAIL);
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 3);
	fake_free(&f);
}

/* The helper that dies while it is waited for, and is there again at once: nothing is left
 * of the time that it could be given. */
static void
test_nor_after_its_deadline(void **state)
{
	static const enum fake_act script[] = { FAKE_DIE_LATE };
	struct fake f = { .script = script, .n_script = 1, .reply_type = MSG_DONE };
	struct client *c;

	(void)state;
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_ping(c), KP_EUNAVAIL);
	assert_true(says(*client_error(c), "did not answer in time"));
	assert_err(client_ping(c), KP_OK);
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 2);
	assert_in_range(f.seen[1].deadline_ms, 1900, 2000);
	fake_free(&f);
}

static void
test_setting_offsets_is_not_sent_again(void **state)
{
	static const enum fake_act script[] = { FAKE_DIE };
	struct fake f = { .script = script, .n_script = 1, .reply_type = MSG_DONE };
	struct client *c;

	(void)state;
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_set_offsets(c, &(struct msg_offsets){ .topic = LIT("t"),
	    .group = LIT("g") }), KP_EUNAVAIL);
	assert_true(says(*client_error(c), "may or may not have been set"));
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 1);
	fake_free(&f);
}

/* Between two requests the helper was restarted: the second must not notice. */
static void
test_a_stale_connection_is_replaced(void **state)
{
	static const enum fake_act script[] = { FAKE_ANSWER_CLOSE };
	struct fake f = { .script = script, .n_script = 1, .reply_type = MSG_PRODUCED };
	struct kp_buf reply = produced();
	struct msg_produced r;
	struct client *c;

	(void)state;
	f.reply = kp_buf_slice(&reply);
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_produce(c, &message, 500, &r), KP_OK);
	fake_await(&f);
	assert_err(client_produce(c, &message, 500, &r), KP_OK);
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 2);
	assert_int_equal(f.conns, 2);
	fake_free(&f);
	kp_buf_free(&reply);
}

/* An answer too many must never be taken for the next request's. */
static void
test_unasked_bytes_end_the_connection(void **state)
{
	static const enum fake_act script[] = { FAKE_ANSWER, FAKE_ANSWER_TWICE };
	struct fake f = { .script = script, .n_script = 2, .reply_type = MSG_DONE };
	struct client *c;

	(void)state;
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_ping(c), KP_OK);
	/* Whether both come in one read or in two, this one or the next reconnects. */
	client_ping(c);
	fake_await(&f);
	assert_err(client_ping(c), KP_OK);
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.conns, 2);
	fake_free(&f);
}

static void
test_what_the_helper_said_before_it_closed_is_heard(void **state)
{
	static const enum fake_act script[] = { FAKE_REFUSE_BODY };
	struct fake f = { .script = script, .n_script = 1 };
	size_t n = 8u * 1024 * 1024;	/* more than a socket holds */
	struct msg_produce large = message;
	uint8_t *bytes = calloc(1, n);
	struct msg_produced r;
	struct client *c;

	(void)state;
	large.value = (struct kp_slice){ bytes, n };
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_produce(c, &large, 500, &r), KP_ETOOBIG);
	assert_true(says(*client_error(c), "refused at the door"));
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 1);
	fake_free(&f);
	free(bytes);
}

static void
test_errors_of_the_helper_are_passed_on(void **state)
{
	const struct msg_error told = { KP_EFULL, 9, LIT("no room") };
	struct fake f = { .reply_type = MSG_ERROR };
	struct msg_offsets r;
	struct kp_buf reply;
	struct client *c;

	(void)state;
	kp_buf_init(&reply, 4096);
	msg_error_encode(&reply, &told);
	f.reply = kp_buf_slice(&reply);
	fake_start(&f);
	c = client_new(f.path);
	for (int i = 0; i < 2; i++) {
		assert_err(client_get_offsets(c, &group, &r), KP_EFULL);
		assert_int_equal(client_error(c)->retry_after_s, 9);
		assert_true(says(*client_error(c), "no room"));
		msg_offsets_free(&r);
	}
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.conns, 1);	/* an error is an answer */
	fake_free(&f);
	kp_buf_free(&reply);
}

static void
test_nonsense_in_a_reply_is_an_error(void **state)
{
	struct fake f = { .reply_type = MSG_OFFSETS, .reply = LIT("xyz") };
	struct msg_offsets r;
	struct client *c;

	(void)state;
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_get_offsets(c, &group, &r), KP_EUNAVAIL);
	msg_offsets_free(&r);
	client_free(c);
	fake_stop(&f);
	fake_free(&f);
}

static void
test_status_and_receipts_may_be_asked_twice(void **state)
{
	static const enum fake_act script[] = { FAKE_DIE, FAKE_ANSWER };
	struct fake f = { .script = script, .n_script = 2, .reply_type = MSG_STATUS };
	struct fake g = { .script = script, .n_script = 2, .reply_type = MSG_RECEIPT };
	struct msg_receipt receipt;
	struct msg_status status;
	struct kp_buf a, b;
	struct msg_find m;
	struct client *c;

	(void)state;
	kp_buf_init(&a, 4096);
	kp_buf_init(&b, 4096);
	msg_status_encode(&a, &(struct msg_status){ .version = LIT("1"), .pending = 9 });
	msg_receipt_encode(&b, &(struct msg_receipt){ 7, RECEIPT_DELIVERED, 3, 42, LIT("") });
	f.reply = kp_buf_slice(&a);
	g.reply = kp_buf_slice(&b);
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_get_status(c, &status), KP_OK);
	assert_true(status.pending == 9 && kp_slice_eq(status.version, LIT("1")));
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.n_seen, 2);
	assert_int_equal(f.seen[1].type, MSG_GET_STATUS);
	assert_int_equal(f.seen[1].body.len, 0);
	fake_start(&g);
	c = client_new(g.path);
	assert_err(client_find_message(c, &(struct msg_find){ 7 }, &receipt), KP_OK);
	assert_true(receipt.id == 7 && receipt.partition == 3 && receipt.offset == 42);
	client_free(c);
	fake_stop(&g);
	assert_int_equal(g.n_seen, 2);
	assert_err(msg_find_decode(kp_buf_slice(&g.seen[1].body), &m), KP_OK);
	assert_true(m.id == 7);
	fake_free(&f);
	fake_free(&g);
	kp_buf_free(&a);
	kp_buf_free(&b);
}

struct hangup {
	struct fake *helper;
	int fd;
	int64_t at_ms;
	pthread_t thread;
};

static void *
hang_up(void *arg)
{
	struct hangup *h = arg;

	fake_await(h->helper);
	h->at_ms = clock_mono_ms();
	close(h->fd);
	return NULL;
}

static void
test_a_hang_up_cancels_the_long_poll(void **state)
{
	static const enum fake_act script[] = { FAKE_SILENT };
	struct fake f = { .script = script, .n_script = 1 };
	struct msg_message r;
	struct client *c;
	struct hangup h;
	int64_t end_ms;
	bool hungup;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	h.fd = pair[1];
	h.helper = &f;
	fake_start(&f);
	c = client_new(f.path);
	assert_int_equal(pthread_create(&h.thread, NULL, hang_up, &h), 0);
	assert_err(client_consume(c, &poll_t, pair[0], &r, &hungup), KP_EGONE);
	assert_true(hungup);
	end_ms = clock_mono_ms();
	pthread_join(h.thread, NULL);
	assert_in_range(end_ms - h.at_ms, 0, 2000);
	fake_stop(&f);
	client_free(c);
	assert_true(f.gave_up);		/* while the client was still there */
	assert_int_equal(f.n_seen, 1);
	assert_in_range(f.seen[0].deadline_ms, 2900, 3000);
	fake_free(&f);
	close(pair[0]);
}

static void
test_an_offer_is_confirmed_on_the_same_connection(void **state)
{
	const struct msg_message offer = { 77, 1, 2, LIT("k"), { NULL, 0 } };
	struct fake f = { .reply_type = MSG_MESSAGE };
	struct msg_confirm m;
	struct msg_message r;
	struct kp_buf reply;
	struct client *c;
	bool hungup;

	(void)state;
	kp_buf_init(&reply, 4096);
	msg_message_encode(&reply, &offer);
	f.reply = kp_buf_slice(&reply);
	fake_start(&f);
	c = client_new(f.path);
	assert_err(client_consume(c, &poll_t, -1, &r, &hungup), KP_OK);
	assert_true(r.offer == 77 && r.value.p == NULL && kp_slice_eq(r.key, LIT("k")));
	client_confirm(c, &(struct msg_confirm){ r.offer, true });
	assert_err(client_consume(c, &poll_t, -1, &r, &hungup), KP_OK);
	client_free(c);
	fake_stop(&f);
	assert_int_equal(f.conns, 1);
	assert_int_equal(f.seen[1].type, MSG_CONFIRM_OFFER);
	assert_int_equal(f.seen[1].deadline_ms, 0);	/* nobody waits for an answer */
	assert_err(msg_confirm_decode(kp_buf_slice(&f.seen[1].body), &m), KP_OK);
	assert_true(m.offer == 77 && m.delivered);
	fake_free(&f);
	kp_buf_free(&reply);
}

static void
test_nobody_listens(void **state)
{
	int64_t begin_ms = clock_mono_ms();
	struct client *c = client_new("/tmp/kp-no-such-helper.sock");

	(void)state;
	assert_err(client_ping(c), KP_EUNAVAIL);
	assert_in_range(clock_mono_ms() - begin_ms, 950, 2000);
	assert_true(says(*client_error(c), "cannot be reached"));
	assert_false(says(*client_error(c), "/tmp"));
	client_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_produce_arrives_as_it_was_given),
		cmocka_unit_test(test_a_produce_that_was_sent_whole_is_not_sent_again),
		cmocka_unit_test(test_another_version_is_told),
		cmocka_unit_test(test_a_sync_produce_is_waited_for_and_a_second_more),
		cmocka_unit_test(test_harmless_requests_are_sent_again),
		cmocka_unit_test(test_but_not_for_ever),
		cmocka_unit_test(test_nor_after_its_deadline),
		cmocka_unit_test(test_setting_offsets_is_not_sent_again),
		cmocka_unit_test(test_a_stale_connection_is_replaced),
		cmocka_unit_test(test_unasked_bytes_end_the_connection),
		cmocka_unit_test(test_what_the_helper_said_before_it_closed_is_heard),
		cmocka_unit_test(test_errors_of_the_helper_are_passed_on),
		cmocka_unit_test(test_nonsense_in_a_reply_is_an_error),
		cmocka_unit_test(test_status_and_receipts_may_be_asked_twice),
		cmocka_unit_test(test_a_hang_up_cancels_the_long_poll),
		cmocka_unit_test(test_an_offer_is_confirmed_on_the_same_connection),
		cmocka_unit_test(test_nobody_listens),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
