/* The text of the status byte for byte, and the sentence that names what is down. */
#include "common/status_json.h"

#include "tests/unit/unit.h"

#define NOW_MS 1769860800000		/* 2026-01-31T12:00:00Z */

static const struct msg_status sample = {
	.version = LIT("0.1.0"), .librdkafka = LIT("2.8.0"), .started_ms = NOW_MS - 90500,
	.durability = LIT("fsync"),
	.accepted = 1234567, .delivered = 1234000, .pending = 560, .dead = 6, .dropped = 1,
	.oldest_ms = NOW_MS - 61999, .delivered_per_s = 120, .store_bytes = 4096,
	.store_max_bytes = 1 << 30, .store_free_bytes = 77,
	.kafka = { PART_DOWN, NOW_MS - 1000, NOW_MS, LIT("Connection \"refused\"") },
	.zookeeper = { PART_UNUSED, NOW_MS, 0, LIT("") },
	.store = { PART_UP, NOW_MS, NOW_MS - 5000, LIT("disk full") },
	.groups_troubled = 20, .n_groups = 2,
	.groups = { { LIT("g\"1"), LIT("t"), NOW_MS - 9000, LIT("partition 3 has no leader") },
	    { LIT("g"), LIT("u"), 0, LIT("") } },
};

static void
check_status(const struct msg_status *m, int64_t now_ms, const char *want)
{
	struct kp_buf b;

	kp_buf_init(&b, 8192);
	status_json(&b, m, now_ms);
	assert_false(b.failed);
	kp_buf_putc(&b, '\0');
	assert_string_equal((char *)b.p, want);
	kp_buf_free(&b);
}

static void
test_a_part_is_down(void **state)
{
	(void)state;
	check_status(&sample, NOW_MS, "{\n"
	    "  \"error\": \"Kafka is down since 2026-01-31T11:59:59Z: "
	    "Connection \\\"refused\\\"\",\n"
	    "  \"version\": \"0.1.0\",\n  \"librdkafka\": \"2.8.0\",\n"
	    "  \"uptime\": 90,\n  \"durability\": \"fsync\",\n"
	    "  \"embedded\": false,\n  \"accepted\": 1234567,\n  \"delivered\": 1234000,\n"
	    "  \"pending\": 560,\n  \"dead\": 6,\n  \"dropped\": 1,\n  \"bytes\": 4096,\n"
	    "  \"maxBytes\": 1073741824,\n  \"freeBytes\": 77,\n  \"oldestAge\": 61,\n"
	    "  \"deliveredPerSecond\": 120,\n"
	    "  \"kafka\": {\n    \"state\": \"down\",\n    \"since\": \"2026-01-31T11:59:59Z\",\n"
	    "    \"lastError\": \"Connection \\\"refused\\\"\",\n"
	    "    \"lastErrorTime\": \"2026-01-31T12:00:00Z\"\n  },\n"
	    "  \"zookeeper\": {\n    \"state\": \"unused\",\n"
	    "    \"since\": \"2026-01-31T12:00:00Z\",\n"
	    "    \"lastError\": null,\n    \"lastErrorTime\": null\n  },\n"
	    "  \"store\": {\n    \"state\": \"up\",\n    \"since\": \"2026-01-31T12:00:00Z\",\n"
	    "    \"lastError\": \"disk full\",\n    \"lastErrorTime\": \"2026-01-31T11:59:55Z\"\n"
	    "  },\n  \"troubledTopics\": 20,\n  \"troubles\": [\n"
	    "    {\n      \"group\": \"g\\\"1\",\n      \"topic\": \"t\",\n"
	    "      \"since\": \"2026-01-31T11:59:51Z\",\n"
	    "      \"error\": \"partition 3 has no leader\"\n    },\n"
	    "    {\n      \"group\": \"g\",\n      \"topic\": \"u\",\n"
	    "      \"since\": null,\n      \"error\": \"\"\n    }\n  ]\n}");
}

static void
test_all_serve_and_nothing_is_known(void **state)
{
	const struct msg_status none = { .version = LIT(""), .durability = LIT("memory"),
	    .embedded = true, .store_free_bytes = -1, .started_ms = NOW_MS };

	(void)state;
	/* The clock was set back since: nothing is younger than nothing. */
	check_status(&none, NOW_MS - 5000, "{\n"
	    "  \"version\": \"\",\n  \"librdkafka\": \"\",\n"
	    "  \"uptime\": 0,\n  \"durability\": \"memory\",\n"
	    "  \"embedded\": true,\n  \"accepted\": 0,\n  \"delivered\": 0,\n"
	    "  \"pending\": 0,\n  \"dead\": 0,\n  \"dropped\": 0,\n  \"bytes\": 0,\n"
	    "  \"maxBytes\": 0,\n  \"freeBytes\": null,\n  \"oldestAge\": null,\n"
	    "  \"deliveredPerSecond\": 0,\n"
	    "  \"kafka\": {\n    \"state\": \"up\",\n    \"since\": null,\n"
	    "    \"lastError\": null,\n    \"lastErrorTime\": null\n  },\n"
	    "  \"zookeeper\": {\n    \"state\": \"up\",\n    \"since\": null,\n"
	    "    \"lastError\": null,\n    \"lastErrorTime\": null\n  },\n"
	    "  \"store\": {\n    \"state\": \"up\",\n    \"since\": null,\n"
	    "    \"lastError\": null,\n    \"lastErrorTime\": null\n  },\n"
	    "  \"troubledTopics\": 0,\n  \"troubles\": []\n}");
}

static void
test_every_part_that_is_down_is_named(void **state)
{
	struct msg_status m = sample;
	struct kp_buf b;

	(void)state;
	m.zookeeper = (struct msg_part){ PART_DOWN, 0, NOW_MS, LIT("no route") };
	m.store = (struct msg_part){ PART_DOWN, NOW_MS, 0, LIT("") };
	kp_buf_init(&b, 4096);
	assert_false(status_all_serve(&m, NULL));
	assert_false(status_all_serve(&m, &b));
	assert_true(kp_slice_eq(kp_buf_slice(&b),
	    LIT("Kafka is down since 2026-01-31T11:59:59Z: Connection \"refused\"; "
	    "ZooKeeper is down: no route; The store is down since 2026-01-31T12:00:00Z")));
	kp_buf_reset(&b);
	m.kafka.state = PART_UP;
	m.zookeeper.state = m.store.state = PART_UNUSED;
	assert_true(status_all_serve(&m, &b));
	assert_int_equal(b.len, 0);
	kp_buf_free(&b);
}

static void
test_ages_at_the_ends_of_time(void **state)
{
	(void)state;
	assert_true(status_age_s(INT64_MAX, INT64_MIN) == 0);
	assert_true(status_age_s(INT64_MIN, INT64_MAX) == 0);
	assert_true(status_age_s(INT64_MAX, 0) == INT64_MAX / 1000);
	assert_true(status_age_s(1999, 1000) == 0);
	assert_true(status_age_s(2000, 1000) == 1);
	check_status(&(struct msg_status){ .version = LIT("1"), .durability = LIT("os"),
	    .store.since_ms = INT64_MAX, .kafka.since_ms = INT64_MIN, .started_ms = INT64_MIN,
	    .store_bytes = INT64_MAX },
	    INT64_MAX, "{\n"
	    "  \"version\": \"1\",\n  \"librdkafka\": \"\",\n"
	    "  \"uptime\": 0,\n  \"durability\": \"os\",\n"
	    "  \"embedded\": false,\n  \"accepted\": 0,\n  \"delivered\": 0,\n"
	    "  \"pending\": 0,\n  \"dead\": 0,\n  \"dropped\": 0,\n"
	    "  \"bytes\": 9223372036854775807,\n"
	    "  \"maxBytes\": 0,\n  \"freeBytes\": 0,\n  \"oldestAge\": null,\n"
	    "  \"deliveredPerSecond\": 0,\n"
	    "  \"kafka\": {\n    \"state\": \"up\",\n    \"since\": null,\n"
	    "    \"lastError\": null,\n    \"lastErrorTime\": null\n  },\n"
	    "  \"zookeeper\": {\n    \"state\": \"up\",\n    \"since\": null,\n"
	    "    \"lastError\": null,\n    \"lastErrorTime\": null\n  },\n"
	    "  \"store\": {\n    \"state\": \"up\",\n    \"since\": \"9999-12-31T23:59:59Z\",\n"
	    "    \"lastError\": null,\n    \"lastErrorTime\": null\n  },\n"
	    "  \"troubledTopics\": 0,\n  \"troubles\": []\n}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_part_is_down),
		cmocka_unit_test(test_all_serve_and_nothing_is_known),
		cmocka_unit_test(test_every_part_that_is_down_is_named),
		cmocka_unit_test(test_ages_at_the_ends_of_time),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
