/* A command, what the fake helper answers it with, and what it says. */
#ifndef KP_ADMIN_FIXTURE_H
#define KP_ADMIN_FIXTURE_H

#include "common/clock.h"
#include "common/msg_admin.h"
#include "tests/unit/admin_run.h"

#define ADMIN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Bodies of replies; empty at the start of each test. */
#define BUFS 4
static struct kp_buf bufs[BUFS];
static struct said said;

static inline int
setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < BUFS; i++)
		kp_buf_init(&bufs[i], 1 << 20);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < BUFS; i++)
		kp_buf_free(&bufs[i]);
	return 0;
}

static inline struct fake_reply
reply(uint8_t type, size_t i)
{
	assert_false(bufs[i].failed);
	return (struct fake_reply){ type, kp_buf_slice(&bufs[i]) };
}

static inline void
has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static inline void
has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" is in:\n%s", part, text);
}

static inline struct msg_status
sample(uint8_t kafka)
{
	int64_t now_ms = clock_wall_ms();

	return (struct msg_status){
		.version = LIT("0.1.0"), .librdkafka = LIT("2.8.0"),
		.durability = LIT("fsync"), .started_ms = now_ms - 90000,
		.accepted = 1234567, .pending = 2401, .dead = 3, .oldest_ms = now_ms - 3700000,
		.delivered_per_s = 120, .store_bytes = 1536, .store_max_bytes = 1 << 30,
		.store_free_bytes = 5 << 20,
		.kafka = { kafka, 1769860800000, 1769860800000, LIT("evil \x1b[2J\nline") },
		.zookeeper = { PART_UNUSED, 0, 0, LIT("") },
	};
}

static inline struct msg_row
dead_row(int64_t id, struct kp_slice topic)
{
	return (struct msg_row){
		.id = id, .topic = topic, .accepted_ms = clock_wall_ms() - 61000, .attempts = 2,
		.buried_ms = 1769860800000, .reason = LIT("too\nlarge"), .value_bytes = 2048,
	};
}

#endif
