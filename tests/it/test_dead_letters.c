/* What an operator may do with dead letters, and who is one. */
#include <sys/fsuid.h>
#include <sys/syscall.h>

#include "tests/it/kept.h"
#include "tests/unit/unit.h"

#define NOBODY 65534

static void
test_retry_comes_behind_what_waits(void **state)
{
	static const char *const order[] = { "known", "waits", "waits", "waits", "bad0", "bad1",
		"after" };
	struct mock_records r;
	struct msg_receipt got;
	int64_t ids[2];

	(void)state;
	kept_topic("behind", 1);
	kept_bury("behind", "bad", 2, ids);
	mock_down(&mock);
	for (int i = 0; i < 3; i++)
		kept_accept("behind", "k", "waits");
	assert_int_equal(kept_act(MSG_RETRY_DEAD, ids, 2, NULL), 2);
	kept_find(ids[0], RECEIPT_PENDING, &got);
	kept_accept("behind", "k", "after");
	/* it survives as what it is */
	stand_kill();
	kept_find(ids[0], RECEIPT_PENDING, &got);
	kept_find(ids[1], RECEIPT_PENDING, &got);
	mock_up(&mock);
	mock_read(&mock, "behind", COUNT(order), PEER_WAIT_MS, &r);
	assert_int_equal(r.n, COUNT(order));
	for (size_t i = 0; i < r.n; i++)
		assert_string_equal(r.v[i].value, order[i]);
	mock_records_free(&r);
	kept_find(ids[1], RECEIPT_DELIVERED, &got);
	assert_int_equal(got.partition, 0);
	assert_int_equal(got.offset, 5);
}

static void
test_retried_and_refused_again(void **state)
{
	struct msg_list m = { .dead = true, .limit = 10 };
	struct msg_receipt got;
	struct msg_rows r;
	int64_t id;

	(void)state;
	kept_topic("again", 1);
	kept_bury("again", "bad", 1, &id);
	for (unsigned attempts = 2; attempts < 4; attempts++) {
		mock_down(&mock);
		assert_int_equal(kept_act(MSG_RETRY_DEAD, &id, 1, NULL), 1);
		kept_find(id, RECEIPT_PENDING, &got);
		kept_refuse(20);
		kept_find(id, RECEIPT_DEAD, &got);
		kept_refuse_no_more();
		assert_err(peer_list(&peer, &m, &r), KP_OK);
		assert_int_equal(r.n, 1);
		assert_int_equal(r.v[0].id, id);
		assert_int_equal(r.v[0].attempts, attempts);
		msg_rows_free(&r);
		kept_expect(1, 0, 1, 0);
		stand_kill();
	}
	assert_int_equal(kept_act(MSG_RETRY_DEAD, &id, 1, NULL), 1);
	kept_find(id, RECEIPT_DELIVERED, &got);
	kept_expect(1, 0, 0, 0);
}

static void
test_drop_and_ids_that_are_none(void **state)
{
	struct msg_act all = { .all = true, .topic = LIT("drop2") };
	int64_t ids[4], other[3], list[6], missing[6];
	struct msg_acted r;

	(void)state;
	kept_topic("drop", 1);
	kept_topic("drop2", 1);
	kept_bury("drop", "bad", 4, ids);
	kept_bury("drop2", "worse", 3, other);
	memcpy(list, (int64_t[]){ ids[0], 1, ids[1], INT64_MAX, ids[3] + 100000, ids[2] },
	    sizeof(list));
	assert_int_equal(kept_act(MSG_DROP_DEAD, list, 6, missing), 3);
	assert_int_equal(missing[0], 1);
	assert_int_equal(missing[1], INT64_MAX);
	assert_int_equal(missing[2], ids[3] + 100000);
	kept_find_nothing(ids[0]);
	assert_int_equal(kept_act(MSG_RETRY_DEAD, ids, 3, missing), 0);
	assert_int_equal(kept_act(MSG_DROP_DEAD, ids, 3, missing), 0);
	kept_expect(7, 0, 4, 3);
	assert_err(peer_act(&peer, MSG_DROP_DEAD, &all, &r), KP_OK);
	assert_int_equal(r.done, 3);
	assert_int_equal(r.next, 0);
	msg_acted_free(&r);
	kept_expect(7, 0, 1, 6);
	stand_kill();
	kept_expect(7, 0, 1, 6);
	kept_find_nothing(ids[0]);
}

/* What is pending is nobody's to drop or to send twice; nor is what was retried. */
static void
test_only_dead_letters_are_acted_on(void **state)
{
	int64_t ids[2], missing[2];

	(void)state;
	kept_topic("only", 1);
	kept_bury("only", "bad", 1, &ids[0]);
	mock_down(&mock);
	ids[1] = kept_accept("only", "k", "waits");
	assert_int_equal(kept_act(MSG_RETRY_DEAD, ids, 1, NULL), 1);
	assert_int_equal(kept_act(MSG_DROP_DEAD, ids, 2, missing), 0);
	assert_int_equal(kept_act(MSG_RETRY_DEAD, ids, 2, missing), 0);
	kept_expect(2, 2, 0, 0);
	mock_up(&mock);
	kept_expect(2, 0, 0, 0);
	assert_int_equal(kept_act(MSG_DROP_DEAD, ids, 2, missing), 0);
	kept_expect(2, 0, 0, 0);
}

/* Connects as a user who is nobody here, and still finds the way to the socket. By the
 * system call, as the C library would interrupt all threads, and the mock ends then. */
static void
open_as_nobody(struct peer *p)
{
	assert_int_equal(syscall(SYS_setresuid, -1, NOBODY, -1), 0);
	setfsuid(0);
	peer_open(p, &helper);
	assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
}

static void
test_others_may_only_ask(void **state)
{
	static const char *const with_nobody[] = { "--socketUsers", "nobody", NULL };
	struct msg_list list = { .dead = true, .limit = 10 };
	struct msg_receipt receipt;
	struct msg_status status;
	struct msg_acted acted;
	struct msg_rows rows;
	struct peer p;
	int64_t id;

	(void)state;
	if (geteuid() != 0)
		skip();
	stand_restart(with_nobody);
	kept_topic("others", 1);
	kept_bury("others", "bad", 1, &id);
	open_as_nobody(&p);
	assert_err(peer_status(&p, &status), KP_OK);
	assert_int_equal(status.dead, 1);
	assert_err(peer_find(&p, id, &receipt), KP_OK);
	assert_err(peer_list(&p, &list, &rows), KP_EDENIED);
	msg_rows_free(&rows);
	for (uint8_t type = MSG_RETRY_DEAD; type <= MSG_DROP_DEAD; type++) {
		assert_err(peer_act(&p, type, &(struct msg_act){ .ids = &id, .n = 1 }, &acted),
		    KP_EDENIED);
		assert_err(peer_act(&p, type, &(struct msg_act){ .all = true }, &acted),
		    KP_EDENIED);
	}
	peer_close(&p);
	kept_expect(1, 0, 1, 0);
}

#define TEST(name) STAND_TEST(name, NULL)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_retry_comes_behind_what_waits),
		TEST(test_retried_and_refused_again),
		TEST(test_drop_and_ids_that_are_none),
		TEST(test_only_dead_letters_are_acted_on),
		TEST(test_others_may_only_ask),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
