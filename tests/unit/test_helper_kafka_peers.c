/* Which of --kafkaPeers are asked, and what is said of the others. */
#include "helper/kafka/kafka_peers.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static void
expect_list(struct kafka_peers *p, const char *want)
{
	char *list = kafka_peers_list(p);

	assert_string_equal(list, want);
	free(list);
}

static void
test_a_list_is_taken_apart(void **state)
{
	static const char *const lists[] = { "a:1,[::1]:2,c", "a:1, [::1]:2 ,c",
		",a:1,,[::1]:2,c," };

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct kafka_peers *p = kafka_peers_new(lists[i]);

		assert_int_equal(kafka_peers_count(p), 3);
		assert_string_equal(kafka_peers_name(p, 1), "[::1]:2");
		expect_list(p, "a:1,[::1]:2,c");
		kafka_peers_free(p);
	}
}

static void
test_a_list_of_nothing(void **state)
{
	struct kafka_peers *p = kafka_peers_new("");

	(void)state;
	assert_int_equal(kafka_peers_count(p), 0);
	assert_false(kafka_peers_none(p));
	expect_list(p, "");
	kafka_peers_free(p);
}

static void
test_who_is_left_out_is_not_asked(void **state)
{
	struct kafka_peers *p = kafka_peers_new("a:1,b:2,c:3");
	char text[200];

	(void)state;
	assert_false(kafka_peers_trouble(p, text, sizeof(text)));
	assert_string_equal(text, "");
	assert_false(kafka_peers_leave_out(p, 1, false));
	assert_int_equal(kafka_peers_generation(p), 0);
	assert_true(kafka_peers_leave_out(p, 1, true));
	assert_false(kafka_peers_leave_out(p, 1, true));
	assert_int_equal(kafka_peers_generation(p), 1);
	expect_list(p, "a:1,c:3");
	assert_true(kafka_peers_trouble(p, text, sizeof(text)));
	assert_string_equal(text, "b:2 in --kafkaPeers is no broker: left out");
	assert_true(kafka_peers_leave_out(p, 0, true));
	assert_true(kafka_peers_trouble(p, text, sizeof(text)));
	assert_string_equal(text, "a:1,b:2 in --kafkaPeers are no brokers: left out");
	assert_true(kafka_peers_leave_out(p, 1, false));
	expect_list(p, "b:2,c:3");
	kafka_peers_free(p);
}

/* Somebody has to be asked. */
static void
test_none_is_left(void **state)
{
	struct kafka_peers *p = kafka_peers_new("a:1,b:2");
	char text[200];

	(void)state;
	kafka_peers_leave_out(p, 0, true);
	assert_false(kafka_peers_none(p));
	kafka_peers_leave_out(p, 1, true);
	assert_true(kafka_peers_none(p));
	expect_list(p, "a:1,b:2");
	assert_true(kafka_peers_trouble(p, text, sizeof(text)));
	assert_string_equal(text,
	    "a:1,b:2 in --kafkaPeers are no brokers: name brokers there, not controllers");
	kafka_peers_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_is_taken_apart),
		cmocka_unit_test(test_a_list_of_nothing),
		cmocka_unit_test(test_who_is_left_out_is_not_asked),
		cmocka_unit_test(test_none_is_left),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
