/* Directories of a run: where they may be, who can take their place, which of them are
 * swept away. */
#include "deploy/launcher/rundir.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/log.h"
#include "common/sock.h"

#define NOBODY 65534

static char base[] = "/tmp/kp-rundir-XXXXXX";

static int
setup(void **state)
{
	(void)state;
	memcpy(strrchr(base, '-') + 1, "XXXXXX", 6);
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0711), 0);
	setenv("XDG_RUNTIME_DIR", base, 1);
	return 0;
}

static int
teardown(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		execl("/bin/rm", "rm", "-rf", base, NULL);
	waitpid(pid, NULL, 0);
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static const char *
below(const char *name)
{
	static char path[4][128];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", base, name);
	return path[i];
}

static void
make_dir(const char *path, mode_t mode)
{
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static bool
there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
test_it_is_ours_alone(void **state)
{
	struct rundir d;
	struct stat st;
	char path[RUNDIR_MAX + 32];

	(void)state;
	for (int pass = 0; pass <= 1; pass++) {
		assert_int_equal(rundir_make(pass, &d), KP_OK);
		assert_memory_equal(d.path, base, strlen(base));
		assert_int_equal(stat(d.path, &st), 0);
		assert_int_equal(st.st_mode & 0777, pass ? 0711 : 0700);
		assert_true(fcntl(d.lock, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(rundir_write(d.path, "file", LIT("text")), KP_OK);
		assert_int_equal(rundir_write(d.path, "file", LIT("text")), KP_EIO);
		snprintf(path, sizeof(path), "%s/sub", d.path);
		make_dir(path, 0700);
		assert_int_equal(rundir_write(path, "file", LIT("")), KP_OK);
		snprintf(path, sizeof(path), "%s", d.path);
		rundir_remove(&d);
		assert_false(there(path));
		rundir_remove(&d);
	}
}

static void
test_a_long_path_is_passed_over(void **state)
{
	char name[100];
	struct rundir d;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	make_dir(below(name), 0700);
	setenv("XDG_RUNTIME_DIR", below(name), 1);
	setenv("TMPDIR", "relative", 1);
	assert_int_equal(rundir_make(false, &d), KP_OK);
	unsetenv("TMPDIR");
	assert_true(strncmp(d.path, "/run/", 5) == 0 ||
	    strncmp(d.path, "/tmp/" RUNDIR_PREFIX, 5 + sizeof(RUNDIR_PREFIX) - 1) == 0);
	rundir_remove(&d);
}

/* ---- places ---- */

static bool
is_place(const char *path)
{
	const char *places[RUNDIR_PLACES];

	setenv("XDG_RUNTIME_DIR", path, 1);
	rundir_places(places);
	return places[0] != NULL;
}

static void
test_places_that_others_may_write_to(void **state)
{
	(void)state;
	make_dir(below("a"), 0755);
	make_dir(below("a/b"), 0700);
	assert_true(is_place(below("a/b")));
	assert_true(is_place(below("a/./b/../b")));
	assert_false(is_place(below("none")));
	assert_false(is_place("tmp"));
	for (mode_t other = 020; other; other = other == 020 ? 002 : 0) {
		assert_int_equal(chmod(below("a/b"), 0755 | other), 0);
		assert_false(is_place(below("a/b")));
		/* Others may add to it and take away what is theirs. */
		assert_int_equal(chmod(below("a/b"), S_ISVTX | 0755 | other), 0);
		assert_true(is_place(below("a/b")));
		assert_int_equal(chmod(below("a/b"), 0700), 0);
		assert_int_equal(chmod(below("a"), 0755 | other), 0);
		assert_false(is_place(below("a/b")));
		assert_int_equal(chmod(below("a"), 0755), 0);
	}
}

/* su and sudo -E leave root with somebody else's $XDG_RUNTIME_DIR. */
static void
test_places_of_another_user(void **state)
{
	struct rundir d;

	(void)state;
	if (geteuid() != 0)
		skip();
	make_dir(below("a"), 0700);
	make_dir(below("a/b"), 0700);
	assert_int_equal(chown(below("a/b"), NOBODY, NOBODY), 0);
	assert_false(is_place(below("a/b")));
	assert_int_equal(chown(below("a/b"), 0, 0), 0);
	assert_int_equal(chown(below("a"), NOBODY, NOBODY), 0);
	assert_false(is_place(below("a/b")));
	assert_int_equal(rundir_make(true, &d), KP_OK);
	assert_null(strstr(d.path, base));
	rundir_remove(&d);
	/* He is let to have his own, below what is root's. */
	assert_int_equal(chmod(base, 0711), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_true(is_place(below("a")));
	assert_int_equal(seteuid(0), 0);
}

/* As /run/user/0: our own, and closed to the user of nginx's workers. */
static void
test_places_that_are_closed_to_others(void **state)
{
	struct rundir d;

	(void)state;
	make_dir(below("a"), 0700);
	make_dir(below("a/b"), 0755);
	setenv("XDG_RUNTIME_DIR", below("a/b"), 1);
	for (int pass = 0; pass <= 1; pass++) {
		assert_int_equal(rundir_make(pass, &d), KP_OK);
		assert_int_equal(strstr(d.path, base) == NULL, pass);
		rundir_remove(&d);
	}
	assert_int_equal(chmod(below("a"), 0711), 0);
	assert_int_equal(rundir_make(true, &d), KP_OK);
	assert_non_null(strstr(d.path, base));
	rundir_remove(&d);
}

/* What he may turn around later is not used: the place is where it leads to now. */
static void
test_links_are_followed_once(void **state)
{
	const char *places[RUNDIR_PLACES];

	(void)state;
	make_dir(below("a"), 0700);
	assert_int_equal(symlink("a", below("link")), 0);
	assert_true(is_place(below("link")));
	rundir_places(places);
	assert_string_equal(places[0], below("a"));
}

/* ---- sweeping ---- */

/* A run directory as a launcher leaves it that was killed; its path. */
static const char *
leave_one(void)
{
	static char path[4][RUNDIR_MAX];
	static unsigned i;
	struct rundir d;
	char sub[RUNDIR_MAX + 32];
	int fd;

	i = (i + 1) % 4;
	assert_int_equal(rundir_make(true, &d), KP_OK);
	assert_int_equal(rundir_write(d.path, RUNDIR_NGINX, LIT("#")), KP_OK);
	snprintf(sub, sizeof(sub), "%s/" RUNDIR_TEMP, d.path);
	make_dir(sub, 0700);
	assert_int_equal(rundir_write(sub, "0000000001", LIT("body")), KP_OK);
	snprintf(sub, sizeof(sub), "%s/" RUNDIR_SOCKET, d.path);
	assert_int_equal(sock_listen(sub, (gid_t)-1, &fd), KP_OK);
	close(fd);
	close(d.lock);
	memcpy(path[i], d.path, sizeof(path[i]));
	return path[i];
}

static void
test_only_those_of_dead_launchers_go(void **state)
{
	struct rundir alive;
	const char *dead;

	(void)state;
	assert_int_equal(rundir_make(true, &alive), KP_OK);
	dead = leave_one();
	assert_true(there(dead));
	rundir_sweep();
	assert_false(there(dead));
	assert_true(there(alive.path));
	rundir_remove(&alive);
}

/* A helper drains after its launcher was killed; or the launcher is an old one. */
static void
test_one_that_is_served_stays(void **state)
{
	const char *names[] = { RUNDIR_SOCKET, RUNDIR_RESPONDERS };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *dead = leave_one();
		char path[RUNDIR_MAX + 32];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dead, names[i]);
		assert_int_equal(sock_listen(path, (gid_t)-1, &fd), KP_OK);
		rundir_sweep();
		assert_true(there(path));
		close(fd);
		rundir_sweep();
		assert_false(there(dead));
	}
}

static void
test_what_is_no_run_directory_stays(void **state)
{
	const char *dead = leave_one();
	char path[RUNDIR_MAX + 32];

	(void)state;
	assert_int_equal(rundir_write(dead, "precious", LIT("")), KP_OK);
	make_dir(below("kafka-pixy.longer1"), 0700);
	make_dir(below("kafka-pixy.x"), 0700);
	make_dir(below("other"), 0700);
	assert_int_equal(symlink("other", below("kafka-pixy.a-link")), 0);
	assert_int_equal(rundir_write(base, "kafka-pixy.a-file", LIT("")), KP_OK);
	rundir_sweep();
	snprintf(path, sizeof(path), "%s/" RUNDIR_NGINX, dead);
	assert_true(there(path));
	assert_true(there(below("kafka-pixy.longer1")));
	assert_true(there(below("kafka-pixy.x")));
	assert_true(there(below("kafka-pixy.a-link")));
	assert_true(there(below("kafka-pixy.a-file")));
	assert_true(there(below("other")));
}

static void
test_those_of_other_users_stay(void **state)
{
	const char *dead = leave_one();

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(dead, NOBODY, NOBODY), 0);
	rundir_sweep();
	assert_true(there(dead));
}

/* nginx's user can put a link where its temporary files are. */
static void
test_links_in_it_are_not_followed(void **state)
{
	const char *dead = leave_one();
	char path[RUNDIR_MAX + 32];

	(void)state;
	make_dir(below("other"), 0700);
	assert_int_equal(rundir_write(below("other"), "precious", LIT("")), KP_OK);
	snprintf(path, sizeof(path), "%s/" RUNDIR_TEMP "/1", dead);
	assert_int_equal(symlink(below("other"), path), 0);
	rundir_sweep();
	assert_false(there(dead));
	assert_true(there(below("other/precious")));
}

/* Many launchers start, are killed, and sweep, all at once: each has its own until it ends. */
static void
start_and_die(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		char path[RUNDIR_MAX + 32];
		struct rundir d;

		if (i % 4 == 0)
			rundir_sweep();
		if (rundir_make(true, &d) != KP_OK ||
		    rundir_write(d.path, RUNDIR_NGINX, LIT("#")) != KP_OK)
			_exit(1);
		snprintf(path, sizeof(path), "%s/" RUNDIR_NGINX, d.path);
		rundir_sweep();
		if (!there(path))
			_exit(2);
		if (i % 2)
			rundir_remove(&d);
		else
			close(d.lock);
	}
	_exit(0);
}

static void
test_many_at_once(void **state)
{
	struct rundir d;
	pid_t pids[4];
	struct dirent *e;
	DIR *left;

	(void)state;
	for (size_t i = 0; i < COUNT(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			start_and_die(unit_rounds(50, 1000));
	}
	for (size_t i = 0; i < COUNT(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	rundir_sweep();
	assert_int_equal(rundir_make(true, &d), KP_OK);
	rundir_remove(&d);
	left = opendir(base);
	while ((e = readdir(left)) != NULL)
		assert_int_equal(e->d_name[0], '.');
	closedir(left);
}

/* On a disk, in a place that does not depend on the environment. */
static void
test_spool(void **state)
{
	struct rundir d;
	char path[RUNDIR_MAX];

	(void)state;
	if (rundir_make_spool(true, &d) != KP_OK)
		skip();
	assert_memory_equal(d.path, "/var/tmp/" RUNDIR_PREFIX,
	    sizeof("/var/tmp/" RUNDIR_PREFIX) - 1);
	snprintf(path, sizeof(path), "%s", d.path);
	rundir_sweep();
	assert_true(there(path));
	close(d.lock);
	rundir_sweep();
	assert_false(there(path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_it_is_ours_alone),
		TEST(test_a_long_path_is_passed_over),
		TEST(test_places_that_others_may_write_to),
		TEST(test_places_of_another_user),
		TEST(test_places_that_are_closed_to_others),
		TEST(test_links_are_followed_once),
		TEST(test_only_those_of_dead_launchers_go),
		TEST(test_one_that_is_served_stays),
		TEST(test_what_is_no_run_directory_stays),
		TEST(test_those_of_other_users_stay),
		TEST(test_links_in_it_are_not_followed),
		TEST(test_many_at_once),
		TEST(test_spool),
	};

	unit_filter();
	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
