/* Lanes: topics that nobody needs are forgotten, and one too many finds no room. */
#include <stdio.h>
#include <string.h>

#include "helper/produce/sender_state.h"
#include "tests/unit/unit.h"

#define LONG_AGO_MS (60 * 60 * 1000)
#define FAR 1000000

static struct sender s;

static int
setup(void **state)
{
	(void)state;
	s = (struct sender){ .loop = loop_new(), .waves.request_messages = 10 };
	STAILQ_INIT(&s.waves.ready);
	return s.loop ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	lanes_end(&s);
	assert_int_equal(s.lanes.by_name.n, 0);
	loop_free(s.loop);
	return 0;
}

static struct lane *
find(unsigned topic)
{
	char name[32];

	snprintf(name, sizeof(name), "topic-%u", topic);
	return lane_find(&s, kp_slice_str(name));
}

/* One for each reason why it is still needed, one that was used just now, and others. */
static void
test_those_that_are_idle_are_forgotten(void **state)
{
	struct lane *lane[200], *old = NULL;

	(void)state;
	for (unsigned i = 0; i < COUNT(lane); i++)
		lane[i] = find(i);
	lane[0]->entries = 1;
	lane[1]->backlog = true;
	lane[2]->loading = true;
	lane[3]->appending = 1;
	lane[4]->ready = true;
	lanes_forget(&s);
	assert_int_equal(s.lanes.by_name.n, COUNT(lane));
	while ((old = lanes_next(&s, old)) != NULL)
		old->used_ms -= LONG_AGO_MS;
	assert_ptr_equal(find(5), lane[5]);
	lanes_forget(&s);
	assert_int_equal(s.lanes.by_name.n, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_ptr_equal(find(i), lane[i]);
	assert_int_equal(s.lanes.by_name.n, 6);
}

/* Those that are needed keep their places; one that is not makes room, however new. */
static void
test_one_too_many_finds_no_room(void **state)
{
	struct lane *first = find(0);
	unsigned n;

	(void)state;
	first->entries = 1;
	for (n = 1; n < FAR; n++) {
		struct lane *lane = find(n);

		if (lane == NULL)
			break;
		lane->backlog = true;
	}
	assert_int_equal(n, s.lanes.by_name.n);
	assert_true(n < FAR);
	assert_null(find(n));
	assert_ptr_equal(find(0), first);
	assert_non_null(find(n - 1));
	find(7)->backlog = false;
	assert_non_null(find(n));
	assert_int_equal(s.lanes.by_name.n, n);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_those_that_are_idle_are_forgotten),
		T(test_one_too_many_finds_no_room),
	};

	unit_filter();
	return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}
