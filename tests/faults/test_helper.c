/*
 * The helper's program below the same faults: a disk that is full, SIGKILL inside
 * SQLite, and no descriptors left.
 */
#include "common/clock.h"
#include "tests/it/mock.h"
#include "tests/it/peer.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/faults/run.h"
#include "tests/faults/smalldisk.h"
#include "tests/faults/workload.h"
#include "tests/unit/unit.h"

#define MIB (1024 * 1024)
#define BODY 100000			/* of a message that fills a disk */
#define PARTITIONS 6			/* the mock keeps 5 MiB of each */
#define TRIES 400
#define AT_ONCE 40
#define KEPT_MAX 20000

static struct helper helper;
static struct peer peer;
static bool mounts;

/* The messages that were answered 200, by number. */
static uint8_t kept[KEPT_MAX];
static unsigned sent;
static unsigned number[KEPT_MAX];	/* by request */
static size_t n_kept;

static int
setup(void **state)
{
	(void)state;
	mock_up(&mock);
	helper_init(&helper);
	memset(kept, 0, sizeof(kept));
	sent = 0;
	n_kept = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	helper_stop(&helper, STOP_MS);
	if (mounts)
		smalldisk_unmount("small");
	return 0;
}

/* What the helper finds in its environment when it starts. */
static void
preload(const char *library)
{
	const char *build = getenv("KP_BUILD"), *asan = getenv("ASAN_OPTIONS");
	char text[PATH_MAX];

	snprintf(text, sizeof(text), "%s/%s", build ? build : "build", library);
	setenv("LD_PRELOAD", text, 1);
	snprintf(text, sizeof(text), "%s:verify_asan_link_order=0", asan ? asan : "");
	setenv("ASAN_OPTIONS", text, 1);
}

static void
shim(const char *dir, const char *name, const char *value)
{
	preload("shim.so");
	setenv("KP_SHIM_DIR", run_absolute(dir), 1);
	setenv(name, value, 1);
}

static void
no_shim(const char *name)
{
	unsetenv("LD_PRELOAD");
	unsetenv("KP_SHIM_DIR");
	unsetenv(name);
}

/* ---- messages with a number and a body ---- */

/* The next message, async. */
static void
ask(const char *topic, size_t bytes, uint32_t deadline_ms)
{
	static char value[BODY + 1];
	unsigned n = sent++;

	assert_true(n < KEPT_MAX && bytes <= BODY);
	memset(value, 'x', bytes);
	value[snprintf(value, bytes, "%u", n)] = ' ';
	value[bytes] = '\0';
	number[peer_ask_produce(&peer, &(struct msg_produce){ kp_slice_str(topic), { 0 },
	    kp_slice_str(value), false }, deadline_ms) % KEPT_MAX] = n;
}

/* Of any of those asked for. KP_EGONE: the helper has gone. Who is told to come
 * again is told when. */
static enum kp_err
answer(void)
{
	struct wire_frame f;
	struct msg_error e;
	unsigned n;

	if (!peer_recv(&peer, &f, PEER_WAIT_MS))
		return KP_EGONE;
	n = number[f.id % KEPT_MAX];
	if (f.type != MSG_ERROR) {
		assert_false(kept[n]);
		kept[n] = 1;
		n_kept++;
		return KP_OK;
	}
	assert_err(msg_error_decode(f.body, &e), KP_OK);
	if (e.err == KP_EFULL || e.err == KP_EUNAVAIL)
		assert_true(e.retry_after_s > 0);
	return e.err;
}

static enum kp_err
produce(const char *topic, size_t bytes)
{
	ask(topic, bytes, 1000);
	return answer();
}

/* Every message that was kept is in the topic. */
static unsigned
count_lost(const char *topic)
{
	struct mock_records r;
	int64_t until = clock_mono_ms() + 2 * PEER_WAIT_MS;
	unsigned lost;

	do {
		static uint8_t there[KEPT_MAX];

		mock_read(&mock, topic, n_kept, 1000, &r);
		memset(there, 0, sizeof(there));
		for (size_t i = 0; i < r.n; i++) {
			unsigned long n = strtoul(r.v[i].value, NULL, 10);

			assert_true(n < sent);
			there[n] = 1;
		}
		mock_records_free(&r);
		lost = 0;
		for (unsigned n = 0; n < sent; n++)
			lost += kept[n] && !there[n];
	} while (lost && clock_mono_ms() < until);
	return lost;
}

/* ---- a full disk ---- */

static void
put_ballast(const char *path, size_t bytes)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t n = 0; n < bytes; n++)
		putc('x', f);
	assert_int_equal(fclose(f), 0);
}

/* What librdkafka has room for may be answered when Kafka has it, until the request's
 * time is over; the others are refused at once. */
static unsigned
fill_disk(const char *topic)
{
	unsigned tries = 0, full = 0;
	enum kp_err err;

	while ((err = produce(topic, BODY)) == KP_OK)
		assert_true(tries++ < TRIES);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < AT_ONCE; i++)
			ask(topic, BODY, 1000);
		for (int i = 0; i < AT_ONCE; i++) {
			err = answer();
			assert_true(err == KP_OK || err == KP_EFULL || err == KP_EUNAVAIL);
			full += err == KP_EFULL;
		}
	}
	assert_true(full > 0);
	return full;
}

static void
test_a_full_disk_and_back(void **state)
{
	const char *const options[] = { "--store", "small/store.db", "--storeMinFreeBytes", "0",
		NULL };
	struct msg_produced r;
	unsigned lost, full, tries = 0;

	(void)state;
	mock_topic(&mock, "fill", PARTITIONS);
	if (mounts) {
		smalldisk_mount("small", 14 * MIB);
	} else {
		mkdir("small", 0700);
		shim("small", "KP_SHIM_QUOTA", "14680064");
	}
	put_ballast("small/ballast", 6 * MIB);
	helper_start(&helper, mock.brokers, options);
	no_shim("KP_SHIM_QUOTA");
	peer_open(&peer, &helper);
	assert_err(produce("fill", 10), KP_OK);		/* the topic is known */
	mock_down(&mock);
	full = fill_disk("fill");
	mock_up(&mock);
	assert_err(peer_produce(&peer, "fill-sync", "k", "sync", true, &r), KP_OK);
	unlink("small/ballast");
	lost = count_lost("fill");
	/* It keeps messages again, with nobody to help. */
	mock_down(&mock);
	while (produce("fill", 100) != KP_OK) {
		assert_true(tries++ < TRIES);
		poll(NULL, 0, 20);
	}
	mock_up(&mock);
	lost += count_lost("fill");
	peer_close(&peer);
	print_message("helper on a full disk: acknowledged=%zu refused=%u lost=%u\n", n_kept, full,
	    lost);
	assert_int_equal(lost, 0);
}

/* ---- killed inside SQLite ---- */

static void
test_killed_at_the_disk(void **state)
{
	static const struct { const char *name, *kill; size_t bytes; } points[] = {
		{ "P3", "sync:-wal:30", 200 },
		{ "P10", "write:store.db:40", BODY },
		{ "P11", "rewind:-wal:1", BODY },
	};

	(void)state;
	mock_topic(&mock, "killed", PARTITIONS);
	for (size_t i = 0; i < COUNT(points); i++) {
		unsigned tries = 0, lost;
		enum kp_err err;

		shim(helper.dir, "KP_SHIM_KILL", points[i].kill);
		helper_start(&helper, mock.brokers, NULL);
		no_shim("KP_SHIM_KILL");
		peer_open(&peer, &helper);
		assert_err(produce("killed", 10), KP_OK);
		/* What comes now stays, so that the log becomes long. */
		mock_down(&mock);
		while ((err = produce("killed", points[i].bytes)) == KP_OK)
			assert_true(tries++ < TRIES);
		peer_close(&peer);
		assert_err(err, KP_EGONE);
		assert_int_equal(helper_wait(&helper, PEER_WAIT_MS), 128 + SIGKILL);
		mock_up(&mock);
		helper_start(&helper, mock.brokers, NULL);
		lost = count_lost("killed");
		print_message("helper killed at %s: acknowledged=%zu lost=%u\n", points[i].name,
		    n_kept, lost);
		assert_int_equal(lost, 0);
		helper_stop(&helper, STOP_MS);
	}
}

/* ---- descriptors ---- */

/* Does not wait: -1 when nobody takes it up. */
static int
connect_now(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", helper.socket);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static long
cpu_ms(void)
{
	char path[64], text[1024], *at;
	unsigned long user, system;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)helper.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	at = strrchr(text, ')');
	assert_non_null(at);
	assert_int_equal(sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
	    &user, &system), 2);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static void
limit_files(rlim_t n)
{
	struct rlimit now;

	assert_int_equal(prlimit(helper.pid, RLIMIT_NOFILE, NULL, &now), 0);
	now.rlim_cur = n;
	assert_int_equal(prlimit(helper.pid, RLIMIT_NOFILE, &now, NULL), 0);
}

/* That the helper has now. */
static unsigned
count_files(void)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", helper.pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;			/* "." and ".." */
}

/* Until a new connection is served; it stays open. */
static void
open_until_served(void)
{
	int64_t until = clock_mono_ms() + PEER_WAIT_MS;

	for (;;) {
		struct wire_frame f;

		peer_open(&peer, &helper);
		if (peer_try_ask(&peer, MSG_PING, PEER_WAIT_MS) && peer_recv(&peer, &f, 1000))
			return;
		peer_close(&peer);
		assert_true(clock_mono_ms() < until);
	}
}

/* Holds all that can be had for a while; percent of a processor that it costs. */
static long
exhaust(unsigned files, unsigned hold_ms)
{
	static int fds[4096];
	unsigned n = 0, served = 0;
	long before;

	while (n < files + 50 && (fds[n] = connect_now()) >= 0)
		n++;
	before = cpu_ms();
	poll(NULL, 0, (int)hold_ms);		/* that it does nothing is the point */
	before = cpu_ms() - before;
	for (unsigned i = 0; i < n; i++)
		served += recv(fds[i], &(char){ 0 }, 1, MSG_PEEK) < 0 && errno == EAGAIN;
	assert_true(served < n);		/* it has no descriptors for all */
	for (int i = 0; i < 5; i++)
		(void)produce("files", 50);
	while (n)
		close(fds[--n]);
	return before * 100 / (long)hold_ms;
}

static void
test_no_descriptors_left(void **state)
{
	unsigned seed = unit_seed(), rounds = unit_rounds(5, 50), lost;
	struct rng r = rng_of(seed, 12);
	long most = 0;

	(void)state;
	mock_topic(&mock, "files", 1);
	helper_start(&helper, mock.brokers, NULL);
	peer_open(&peer, &helper);
	assert_err(produce("files", 50), KP_OK);
	for (unsigned i = 0; i < rounds; i++) {
		/* a few for its connections to Kafka, which may have to be made again */
		unsigned files = count_files() + 8 + rng_below(&r, 97);
		long cpu;

		limit_files(files);
		cpu = exhaust(files, i == 0 ? 2000 : 500);
		most = cpu > most ? cpu : most;
		peer_close(&peer);
		open_until_served();
		assert_err(produce("files", 50), KP_OK);
	}
	limit_files(4096);
	lost = count_lost("files");
	peer_close(&peer);
	print_message("no descriptors: rounds=%u acknowledged=%zu lost=%u cpu=%ld%% "
	    "log_lines=%d seed=%u\n", rounds, n_kept, lost, most,
	    helper_logged(&helper, "ipc accept"), seed);
	assert_int_equal(lost, 0);
	assert_true(most < 20);
	assert_true(helper_logged(&helper, "ipc accept") < 1000 * (int)rounds);
}

static void
test_descriptors_past_1024_work(void **state)
{
	struct rlimit now;
	static int fds[1200];
	struct msg_produced r;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_true(now.rlim_max >= 2048);
	now.rlim_cur = now.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	mock_topic(&mock, "past", 1);
	helper_start(&helper, mock.brokers, NULL);
	for (size_t i = 0; i < COUNT(fds); i++)
		while ((fds[i] = connect_now()) < 0)
			poll(NULL, 0, 1);	/* its queue is full: it has to take some */
	peer_open(&peer, &helper);
	assert_err(peer_ping(&peer), KP_OK);
	assert_err(produce("past", 100), KP_OK);
	assert_err(peer_produce(&peer, "past-sync", "k", "m", true, &r), KP_OK);
	assert_int_equal(count_lost("past"), 0);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
	peer_close(&peer);
}

/* ---- a library that is known to be bad ---- */

static void
test_a_bad_librdkafka_is_warned_of(void **state)
{
	static const char warning[] = ": librdkafka version=2.5.0: it ends the helper";

	(void)state;
	helper_start(&helper, mock.brokers, NULL);
	assert_int_equal(helper_logged(&helper, ": librdkafka version="), 0);
	helper_stop(&helper, STOP_MS);
	preload("bad_librdkafka.so");
	helper_start(&helper, mock.brokers, NULL);
	unsetenv("LD_PRELOAD");
	assert_int_equal(helper_logged(&helper, warning), 1);
	helper_wait_logged(&helper, " librdkafka=2.5.0 ");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_full_disk_and_back),
		T(test_killed_at_the_disk),
		T(test_no_descriptors_left),
		T(test_descriptors_past_1024_work),
		T(test_a_bad_librdkafka_is_warned_of),
	};
	int failed;

	unit_filter();
	mounts = smalldisk_allowed();
	mock_open(&mock);
	failed = cmocka_run_group_tests_name("helper", tests, NULL, NULL);
	mock_close(&mock);
	return failed;
}
