/* The helper's socket: what may be replaced at its path, who may connect from
 * the first moment, and deadlines that hold whatever the other side does. */
#include "common/clock.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH "test.sock"
#define NO_GID ((gid_t)-1)
#define AGES_MS 5000		/* longer than anything that is expected to end by itself */

static int
setup(void **state)
{
	(void)state;
	unlink(PATH);
	rmdir(PATH);
	return 0;
}

static int64_t
in_ms(int64_t ms)
{
	return clock_mono_ms() + ms;
}

/* A socket file at PATH that is bound, and listens when backlog >= 0. */
static int
plant_socket(int type, int backlog)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static ino_t
inode(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static void
assert_listen_refused(const char *path)
{
	ino_t before = inode(path);
	int fd = -1;

	assert_err(sock_listen(path, NO_GID, &fd), KP_ECONFLICT);
	assert_int_equal(fd, -1);
	assert_true(inode(path) == before);
}

static void
test_listen_and_connect(void **state)
{
	int listener, client, server;

	(void)state;
	assert_err(sock_listen(PATH, NO_GID, &listener), KP_OK);
	assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
	assert_err(sock_connect(PATH, in_ms(AGES_MS), &client), KP_OK);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	close(server);
	close(client);
	close(listener);
}

static void
test_stale_socket_is_replaced(void **state)
{
	int fd, client;

	(void)state;
	close(plant_socket(SOCK_STREAM, 1));	/* as a killed helper leaves it */
	assert_err(sock_listen(PATH, NO_GID, &fd), KP_OK);
	assert_err(sock_connect(PATH, in_ms(AGES_MS), &client), KP_OK);
	close(client);
	close(fd);
}

/* Many start at once where a dead one was: one of them has the path, and listens there. */
static void *
listen_at_once(void *arg)
{
	enum kp_err err = sock_listen(PATH, NO_GID, arg);

	return (void *)(intptr_t)err;
}

static void
test_one_of_many_takes_it(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		pthread_t threads[8];
		int fds[8], taken = 0, fd = -1, client;

		unlink(PATH);
		close(plant_socket(SOCK_STREAM, 1));
		for (size_t i = 0; i < COUNT(threads); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, listen_at_once, &fds[i]),
			    0);
		for (size_t i = 0; i < COUNT(threads); i++) {
			void *err;

			pthread_join(threads[i], &err);
			if ((intptr_t)err == KP_OK) {
				fd = fds[i];
				taken++;
			} else {
				assert_err((enum kp_err)(intptr_t)err, KP_ECONFLICT);
			}
		}
		assert_int_equal(taken, 1);
		assert_err(sock_connect(PATH, in_ms(AGES_MS), &client), KP_OK);
		close(client);
		close(fd);
	}
}

/* Whoever has it for long, such as another user, holds nobody up. */
static void
test_lock_of_a_path(void **state)
{
	int64_t start = clock_mono_ms();
	int lock = sock_lock(PATH), fd;

	(void)state;
	assert_true(lock >= 0);
	assert_err(sock_listen("other.sock", NO_GID, &fd), KP_OK);
	close(fd);
	unlink("other.sock");
	assert_true(clock_mono_ms() - start < 500);
	assert_err(sock_listen(PATH, NO_GID, &fd), KP_OK);
	assert_in_range(clock_mono_ms() - start, 900, AGES_MS);
	close(fd);
	sock_unlock(lock);
	start = clock_mono_ms();
	assert_err(sock_listen(PATH, NO_GID, &fd), KP_OK);
	assert_true(clock_mono_ms() - start < 500);
	close(fd);
	sock_unlock(-1);
}

static void
test_live_socket_is_refused(void **state)
{
	int fd = plant_socket(SOCK_STREAM, 5);

	(void)state;
	assert_listen_refused(PATH);
	close(fd);
	unlink(PATH);
	fd = plant_socket(SOCK_DGRAM, -1);
	assert_listen_refused(PATH);
	close(fd);
}

/* A live helper that hangs, its queue full: it is asked, but not waited for. */
static void
test_live_socket_with_a_full_queue(void **state)
{
	int listener = plant_socket(SOCK_STREAM, 0), fd[16], n = 0;
	int64_t start = clock_mono_ms();

	(void)state;
	while (n < 16 && sock_connect(PATH, 0, &fd[n]) == KP_OK)
		n++;
	assert_in_range(n, 1, 15);
	alarm(10);
	assert_listen_refused(PATH);
	alarm(0);
	assert_true(clock_mono_ms() - start < AGES_MS);
	while (n > 0)
		close(fd[--n]);
	close(listener);
}

static void
test_other_files_are_left_alone(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	fd = open(PATH, O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_listen_refused(PATH);
	assert_int_equal(stat(PATH, &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(st.st_mode & 0777, 0640);
	unlink(PATH);

	assert_int_equal(mkdir(PATH, 0700), 0);
	assert_listen_refused(PATH);
	rmdir(PATH);

	assert_int_equal(mkfifo(PATH, 0600), 0);
	assert_listen_refused(PATH);
	unlink(PATH);
}

/* Not followed: neither to a stale socket, nor to nothing, where it would be made. */
static void
test_symlinks_are_left_alone(void **state)
{
	int fd;

	(void)state;
	close(plant_socket(SOCK_STREAM, 1));
	assert_int_equal(rename(PATH, "target.sock"), 0);
	assert_int_equal(symlink("target.sock", PATH), 0);
	assert_listen_refused(PATH);
	assert_true(inode("target.sock") != 0);
	unlink("target.sock");
	assert_listen_refused(PATH);
	assert_int_equal(lstat("target.sock", &(struct stat){ 0 }), -1);
	unlink(PATH);
	fd = -1;
	assert_err(sock_listen("nowhere/test.sock", NO_GID, &fd), KP_EIO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(fd, -1);
}

static void
test_path_at_its_limit(void **state)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	char *name = path + 2;
	int fd, client;

	(void)state;
	memset(path, 'p', sizeof(path));
	memcpy(path, "./", 2);
	path[sizeof(path) - 1] = '\0';
	assert_err(sock_listen(path, NO_GID, &fd), KP_ETOOBIG);
	assert_err(sock_connect(path, 0, &fd), KP_ETOOBIG);
	assert_err(sock_listen("", NO_GID, &fd), KP_ETOOBIG);
	path[sizeof(path) - 2] = '\0';
	unlink(name);
	assert_err(sock_listen(path, NO_GID, &fd), KP_OK);
	assert_err(sock_connect(path, in_ms(AGES_MS), &client), KP_OK);
	close(client);
	close(fd);
	unlink(name);
}

/* ---- the mode, seen by somebody who looks all the time ---- */

struct watcher {
	pthread_t thread;
	_Atomic int stop;
	mode_t seen[64];
	size_t n;
};

static void *
watch_mode(void *arg)
{
	struct watcher *w = arg;
	struct stat st;

	while (!w->stop)
		if (lstat(PATH, &st) == 0 && w->n < COUNT(w->seen) &&
		    (w->n == 0 || w->seen[w->n - 1] != (st.st_mode & 0777)))
			w->seen[w->n++] = st.st_mode & 0777;
	return NULL;
}

/* Listens many times under a watcher: no mode but these two may ever show. */
static void
check_modes(gid_t gid, mode_t last, mode_t also)
{
	struct watcher w = { .stop = 0 };
	struct stat st;

	assert_int_equal(pthread_create(&w.thread, NULL, watch_mode, &w), 0);
	for (int i = 0; i < 300; i++) {
		int fd;

		unlink(PATH);
		assert_err(sock_listen(PATH, gid, &fd), KP_OK);
		assert_int_equal(lstat(PATH, &st), 0);
		assert_int_equal(st.st_mode & 0777, last);
		close(fd);
	}
	w.stop = 1;
	pthread_join(w.thread, NULL);
	for (size_t i = 0; i < w.n; i++)
		assert_true(w.seen[i] == last || w.seen[i] == also);
}

static void
test_mode_from_the_first_moment(void **state)
{
	mode_t mask = umask(0);

	(void)state;
	check_modes(NO_GID, 0600, 0600);
	check_modes(getegid(), 0660, 0600);
	assert_int_equal(umask(mask), 0);	/* as it was */
}

static void
test_group_that_cannot_be_given(void **state)
{
	int fd = -1;

	uid_t uid = geteuid();
	enum kp_err err;

	(void)state;
	/* root may give any group: be somebody else meanwhile */
	if (uid == 0) {
		assert_int_equal(chmod(".", 0777), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	err = sock_listen(PATH, 54321, &fd);	/* not one of ours */
	assert_int_equal(seteuid(uid), 0);
	assert_err(err, KP_EIO);
	assert_int_equal(fd, -1);
	assert_int_equal(access(PATH, F_OK), -1);	/* nothing is left behind */
}

/* ---- deadlines ---- */

static void
test_connect_deadline(void **state)
{
	int64_t start = clock_mono_ms();
	int fd;

	(void)state;
	assert_err(sock_connect(PATH, in_ms(100), &fd), KP_EUNAVAIL);
	assert_in_range(clock_mono_ms() - start, 100, 1000);
	start = clock_mono_ms();
	assert_err(sock_connect(PATH, 0, &fd), KP_EUNAVAIL);
	assert_true(clock_mono_ms() - start < 100);
}

/* So late that the other thread waits already: nothing tells when it begins to. */
#define LATER_US (100 * 1000)

static void *
listen_later(void *arg)
{
	usleep(LATER_US);
	sock_listen(PATH, NO_GID, arg);
	return NULL;
}

static void
test_connect_waits_for_the_listener(void **state)
{
	pthread_t thread;
	int listener, fd;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, listen_later, &listener), 0);
	assert_err(sock_connect(PATH, in_ms(AGES_MS), &fd), KP_OK);
	pthread_join(thread, NULL);
	close(fd);
	close(listener);
}

static void
make_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static void
test_write_to_a_closed_peer(void **state)
{
	size_t sent = 99;
	int fd[2];

	(void)state;
	make_pair(fd);
	close(fd[1]);
	/* and no SIGPIPE, which would end the process */
	assert_err(sock_write(fd[0], "abc", 3, in_ms(AGES_MS), &sent), KP_EGONE);
	assert_int_equal(sent, 0);
	assert_err(sock_write(fd[0], "abc", 3, in_ms(AGES_MS), NULL), KP_EGONE);
	assert_err(sock_write(fd[0], "", 0, 0, &sent), KP_OK);
	close(fd[0]);
}

static void *
close_later(void *arg)
{
	usleep(LATER_US);
	close(*(int *)arg);
	return NULL;
}

static void
test_write_to_a_peer_that_does_not_read(void **state)
{
	static char bytes[4 * 1024 * 1024];
	int64_t start = clock_mono_ms();
	size_t sent = 0;
	pthread_t thread;
	int fd[2];

	(void)state;
	make_pair(fd);
	assert_err(sock_write(fd[0], bytes, sizeof(bytes), in_ms(100), &sent), KP_ETIMEDOUT);
	assert_in_range(clock_mono_ms() - start, 100, 1500);
	assert_in_range(sent, 1, sizeof(bytes) - 1);
	/* and one that goes away in the middle: how much it was given is told */
	assert_int_equal(pthread_create(&thread, NULL, close_later, &fd[1]), 0);
	sent = 99;
	assert_err(sock_write(fd[0], bytes, sizeof(bytes), in_ms(AGES_MS), &sent), KP_EGONE);
	assert_int_equal(sent, 0);
	pthread_join(thread, NULL);
	close(fd[0]);
}

static void
test_read(void **state)
{
	int64_t start;
	bool hungup;
	char got[8];
	size_t n;
	int fd[2];

	(void)state;
	make_pair(fd);
	start = clock_mono_ms();
	assert_err(sock_read(fd[0], got, sizeof(got), in_ms(100), -1, &n, &hungup), KP_ETIMEDOUT);
	assert_in_range(clock_mono_ms() - start, 100, 1500);
	assert_int_equal(n, 0);
	assert_int_equal(write(fd[1], "0123456789", 10), 10);
	/* what is there is read, even with no time left */
	assert_err(sock_read(fd[0], got, sizeof(got), 0, -1, &n, &hungup), KP_OK);
	assert_int_equal(n, 8);
	assert_memory_equal(got, "01234567", 8);
	close(fd[1]);
	assert_err(sock_read(fd[0], got, sizeof(got), 0, -1, &n, &hungup), KP_OK);
	assert_int_equal(n, 2);
	assert_err(sock_read(fd[0], got, sizeof(got), in_ms(AGES_MS), -1, &n, &hungup), KP_EGONE);
	assert_false(hungup);
	close(fd[0]);
}

/* The web server's side hangs up while the helper's is awaited. */
static void
test_read_sees_the_other_hang_up(void **state)
{
	int64_t start = clock_mono_ms();
	int fd[2], other[2];
	pthread_t thread;
	bool hungup;
	char got[8];
	size_t n;

	(void)state;
	make_pair(fd);
	make_pair(other);
	/* bytes on the other side are nothing to act on, and no reason to spin */
	assert_int_equal(write(other[1], "x", 1), 1);
	assert_err(sock_read(fd[0], got, sizeof(got), in_ms(50), other[0], &n, &hungup),
	    KP_ETIMEDOUT);
	assert_false(hungup);
	assert_int_equal(pthread_create(&thread, NULL, close_later, &other[1]), 0);
	assert_err(sock_read(fd[0], got, sizeof(got), in_ms(AGES_MS), other[0], &n, &hungup),
	    KP_OK);
	assert_true(hungup);
	assert_int_equal(n, 0);
	assert_true(clock_mono_ms() - start < AGES_MS);
	pthread_join(thread, NULL);
	/* a reply that is there goes first */
	assert_int_equal(write(fd[1], "abc", 3), 3);
	assert_err(sock_read(fd[0], got, sizeof(got), in_ms(AGES_MS), other[0], &n, &hungup),
	    KP_OK);
	assert_false(hungup);
	assert_int_equal(n, 3);
	close(other[0]);
	close(fd[0]);
	close(fd[1]);
}

/* A half-closed other side counts as gone too: it has nothing more to ask. */
static void
test_read_sees_the_other_shut_down(void **state)
{
	int fd[2], other[2];
	bool hungup;
	char got[8];
	size_t n;

	(void)state;
	make_pair(fd);
	make_pair(other);
	shutdown(other[1], SHUT_WR);
	assert_err(sock_read(fd[0], got, sizeof(got), in_ms(AGES_MS), other[0], &n, &hungup),
	    KP_OK);
	assert_true(hungup);
	for (int i = 0; i < 2; i++) {
		close(other[i]);
		close(fd[i]);
	}
}

static void
test_what_is_left_is_never_nothing(void **state)
{
	(void)state;
	for (int ms = -3; ms < 2; ms++)
		assert_int_equal(sock_left_ms(clock_mono_ms() + ms), 1);
	assert_int_equal(sock_left_ms(0), 1);
	assert_in_range(sock_left_ms(clock_mono_ms() + 60000), 50000, 60000);
	assert_int_equal(sock_left_ms(INT64_MAX), INT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_listen_and_connect, setup),
		cmocka_unit_test_setup(test_stale_socket_is_replaced, setup),
		cmocka_unit_test_setup(test_one_of_many_takes_it, setup),
		cmocka_unit_test_setup(test_lock_of_a_path, setup),
		cmocka_unit_test_setup(test_live_socket_is_refused, setup),
		cmocka_unit_test_setup(test_live_socket_with_a_full_queue, setup),
		cmocka_unit_test_setup(test_other_files_are_left_alone, setup),
		cmocka_unit_test_setup(test_symlinks_are_left_alone, setup),
		cmocka_unit_test_setup(test_path_at_its_limit, setup),
		cmocka_unit_test_setup(test_mode_from_the_first_moment, setup),
		cmocka_unit_test_setup(test_group_that_cannot_be_given, setup),
		cmocka_unit_test(test_what_is_left_is_never_nothing),
		cmocka_unit_test_setup(test_connect_deadline, setup),
		cmocka_unit_test_setup(test_connect_waits_for_the_listener, setup),
		cmocka_unit_test_setup(test_write_to_a_closed_peer, setup),
		cmocka_unit_test_setup(test_write_to_a_peer_that_does_not_read, setup),
		cmocka_unit_test_setup(test_read, setup),
		cmocka_unit_test_setup(test_read_sees_the_other_hang_up, setup),
		cmocka_unit_test_setup(test_read_sees_the_other_shut_down, setup),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, setup, NULL);
}
