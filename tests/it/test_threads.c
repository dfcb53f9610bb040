/*
 * A host that allows few threads: as many groups as fit are served, the others are told
 * what is missing, and nobody waits for them.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/sock.h"
#include "tests/it/stand.h"
#include "tests/unit/unit.h"

#define ALLOWED 100
#define ALLOWED_TEXT "100"
#define TOO_FEW_TEXT "30"
#define GROUPS 60
#define POLL_MS 3000
#define IDLE_MS "1000"
#define PING_MS 3000			/* one that waits for librdkafka waits for a minute */
#define OWN 2

/* A user of its own, of whose threads there are no others, also while this program runs
 * twice; it may still go through the folders of whoever runs the test. Root itself is not bound
 * by that limit. */
static char user[16];
#define FIRST_USER 1000000
#define BEFORE(threads) { "setpriv", "--reuid", user, "--regid", user, "--clear-groups", \
	"--inh-caps", "-all,+dac_override", "--ambient-caps", "-all,+dac_override", \
	"--pdeathsig", "KILL", "prlimit", "--nproc=" threads, NULL }
static const char *const before[] = BEFORE(ALLOWED_TEXT);
static const char *const before_too_few[] = BEFORE(TOO_FEW_TEXT);

static int
setup(void **state)
{
	(void)state;
	helper_init(&helper);
	helper.before = before;
	snprintf(user, sizeof(user), "%d", FIRST_USER + (int)getpid());
	if (geteuid() == 0)
		assert_int_equal(chown(helper.dir, (uid_t)atoi(user), (gid_t)atoi(user)), 0);
	return 0;
}

static void
start(const char *brokers)
{
	if (geteuid() != 0)
		skip();			/* it has no second user */
	helper_start_faulty(&helper, brokers, NULL, "KP_GROUP_IDLE_MS", IDLE_MS);
}

static void
ask_groups(struct peer *p, const char *prefix, unsigned n, uint32_t deadline_ms)
{
	char name[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%u", prefix, i);
		peer_ask_consume(p, "topic", name, deadline_ms);
	}
}

/* Who is not served has the reason. */
static bool
is_served(const struct wire_frame *f)
{
	struct msg_error e;

	assert_int_equal(f->type, MSG_ERROR);
	assert_err(msg_error_decode(f->body, &e), KP_OK);
	if (e.err == KP_ENOMSG)
		return true;
	assert_err(e.err, KP_EUNAVAIL);
	assert_non_null(memmem(e.text.p, e.text.n, "RLIMIT_NPROC", 12));
	assert_non_null(memmem(e.text.p, e.text.n, ALLOWED_TEXT, 3));
	return false;
}

static void
check_ping(struct peer *p)
{
	int64_t begin = clock_mono_ms();

	assert_err(peer_ping(p), KP_OK);
	assert_true(clock_mono_ms() - begin < PING_MS);
}

/* All replies, with pings between them; how many were served. */
static unsigned
await_groups(struct peer *p, unsigned n)
{
	int64_t until = clock_mono_ms() + 3 * POLL_MS;
	unsigned served = 0;
	struct wire_frame f;
	struct peer pings;

	peer_open(&pings, &helper);
	while (n > 0) {
		check_ping(&pings);
		if (peer_recv(p, &f, 50)) {
			served += is_served(&f);
			n--;
		}
		assert_true(clock_mono_ms() < until);
	}
	peer_close(&pings);
	return served;
}

/* So many groups fit, once the threads of others have ended, which no line tells. */
static void
await_room(struct peer *p, const char *prefix, unsigned n)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;

	while (ask_groups(p, prefix, n, POLL_MS), await_groups(p, n) < n) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 200);
	}
}

static void
check_serves(const char *group)
{
	struct msg_message m;
	struct peer p;

	mock_put(&mock, "topic", 0, "k", "v");
	peer_open(&p, &helper);
	assert_err(peer_consume(&p, "topic", group, PEER_WAIT_MS, &m), KP_OK);
	peer_confirm(&p, m.offer, true);
	peer_close(&p);
}

static void
test_groups_that_fit_are_served(void **state)
{
	unsigned at_once;
	struct peer p;

	(void)state;
	mock_topic(&mock, "topic", 1);
	start(mock.brokers);
	peer_open(&p, &helper);
	ask_groups(&p, "g", GROUPS, POLL_MS);
	at_once = await_groups(&p, GROUPS);
	print_message("%u of %d groups fit into %d threads\n", at_once, GROUPS, ALLOWED);
	assert_true(at_once > 3 && at_once < ALLOWED / 4);
	assert_true(helper_logged(&helper, "RLIMIT_NPROC") > 0);
	/* One after the other, too. */
	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "one-by-one%d", i);
		peer_ask_consume(&p, "topic", name, 100);
		await_groups(&p, 1);
	}
	/* Others, once those have left; the helper has more threads of its own by now. */
	await_room(&p, "h", at_once - OWN);
	check_serves("h0");
	peer_close(&p);
}

/* Two of three brokers are heard of later: their threads are among those that fit. */
static void
test_threads_that_come_later_are_counted(void **state)
{
	char first[64];
	struct mock three;
	struct peer p;
	unsigned n;

	(void)state;
	mock_open_brokers(&three, 3);
	mock_topic(&three, "topic", 3);
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(three.brokers, ","), three.brokers);
	start(first);
	helper_wait_logged(&helper, "health part=kafka state=up");
	peer_open(&p, &helper);
	ask_groups(&p, "g", GROUPS, POLL_MS);
	n = await_groups(&p, GROUPS);
	print_message("%u of %d groups fit into %d threads with three brokers\n", n, GROUPS,
	    ALLOWED);
	assert_true(n > 1);
	/* A trial may be in the way of one for an instant; it is started with the next metadata.
	 * When they are not counted, each group misses two. */
	assert_in_range(helper_logged(&helper, "Unable to create"), 0, 4);
	peer_close(&p);
	helper_stop(&helper, STOP_MS);
	mock_close(&three);
}

static void
test_too_few_to_start(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	helper.before = before_too_few;
	assert_int_equal(helper_run(&helper, mock.brokers, NULL), 1);
	assert_true(helper_logged(&helper, "RLIMIT_NPROC") > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, stand_teardown_helper)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_groups_that_fit_are_served),
		TEST(test_threads_that_come_later_are_counted),
		TEST(test_too_few_to_start),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, mock_group_setup, mock_group_teardown);
}
