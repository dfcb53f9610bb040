/* kafka-pixy status: what it prints, and how it ends. */
#include "tests/unit/admin_fixture.h"

static void
status_with(const struct msg_status *m, struct said *s, const char *option)
{
	struct fake f = { .reply_type = MSG_STATUS };

	kp_buf_reset(&bufs[0]);
	msg_status_encode(&bufs[0], m);
	f.reply = kp_buf_slice(&bufs[0]);
	fake_start(&f);
	run_command(s, f.path, "status", option);
	fake_stop(&f);
	assert_int_equal(f.seen[0].type, MSG_GET_STATUS);
	fake_free(&f);
}

static void
test_status_for_people(void **state)
{
	struct msg_status m = sample(PART_UP);

	(void)state;
	status_with(&m, &said, NULL);
	assert_int_equal(said.status, ADMIN_OK);
	has(said.out, "Kafka-Pixy 0.1.0, librdkafka 2.8.0, up 1 min 30 s, durability fsync\n");
	has(said.out, "accepted          1,234,567\n");
	has(said.out, "pending               2,401  the oldest for 1 h 1 min; 120 a second are "
	    "delivered, so all in 21 s\n");
	has(said.out, "dead                      3  see kafka-pixy dead\n");
	has(said.out, "in store            1.5 KiB  of 1.0 GiB; 5.0 MiB are free on its disk\n");
	has(said.out, "kafka      up      since 2026-01-31T12:00:00Z  last error "
	    "2026-01-31T12:00:00Z: evil \\x1b[2J\\x0aline\n");
	has(said.out, "zookeeper  unused\n");
	m.delivered_per_s = 0;
	m.store_max_bytes = 0;
	status_with(&m, &said, NULL);
	has(said.out, "the oldest for 1 h 1 min; none is delivered now\n");
	has(said.out, "in store           no store\n");
}

static void
test_status_ends_with_1_when_a_part_is_down(void **state)
{
	struct msg_status m = sample(PART_DOWN);

	(void)state;
	status_with(&m, &said, NULL);
	assert_int_equal(said.status, ADMIN_BAD);
	has(said.out, "kafka      down    since");
	status_with(&m, &said, "--json");
	assert_int_equal(said.status, ADMIN_BAD);
	has(said.out, "{\n  \"error\": \"Kafka is down since 2026-01-31T12:00:00Z: evil");
	m.kafka.state = PART_UP;
	status_with(&m, &said, "-json");
	assert_int_equal(said.status, ADMIN_OK);
	has(said.out, "{\n  \"version\": \"0.1.0\",\n");
	assert_string_equal(said.out + strlen(said.out) - 3, "\n}\n");
}

static void
test_status_names_groups_that_get_nothing(void **state)
{
	struct msg_status m = sample(PART_UP);

	(void)state;
	m.groups_troubled = 19;
	m.n_groups = 2;
	m.groups[0] = (struct msg_group_trouble){ LIT("g"), LIT("t"), 1769860800000,
	    LIT("partition 3 has no leader since 2026-01-31T12:00:00Z") };
	m.groups[1] = (struct msg_group_trouble){ LIT("h"), LIT("u"), 0, LIT("evil \x1b[2J") };
	status_with(&m, &said, NULL);
	assert_int_equal(said.status, ADMIN_OK);
	has(said.out, "\ngroup g, topic t: partition 3 has no leader since 2026-01-31T12:00:00Z\n"
	    "group h, topic u: evil ");
	has_not(said.out, "\x1b");
	has(said.out, "and 17 more topics of groups\n");
	status_with(&m, &said, "--json");
	has(said.out, "\"troubledTopics\": 19,\n  \"troubles\": [\n    {\n      \"group\": \"g\",");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_status_for_people),
		ADMIN_TEST(test_status_ends_with_1_when_a_part_is_down),
		ADMIN_TEST(test_status_names_groups_that_get_nothing),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
