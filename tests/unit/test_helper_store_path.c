/*
 * Where a store may be: in a folder that nobody else can write to, in a file that is
 * ours. A path that is refused is left exactly as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "helper/store/store.h"
#include "tests/unit/unit.h"

#define NOBODY 65534

static char dir[64], path[128];
static struct loop *loop;

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "path-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s.db", dir);
	loop = loop_new();
	return loop ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	loop_free(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* Opened and closed again. Without a word it must not go on with a store that fails. */
static bool
opens(void)
{
	struct store_stats stats;
	struct store *s;

	if (store_open(loop, path, DURABLE_FSYNC, &s) != KP_OK)
		return false;
	store_stats(s, &stats);
	store_finish(s);
	store_close(s);
	assert_null(stats.trouble);
	return true;
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st.st_mode & 07777;
}

static const char *
beside(const char *suffix)
{
	static char name[160];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return name;
}

static void
make_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
assert_holds(const char *name, const char *text)
{
	char found[64] = "";
	int fd = open(name, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, found, sizeof(found) - 1) >= 0);
	close(fd);
	assert_string_equal(found, text);
}

static void
test_folders_by_their_mode(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} modes[] = {
		{ 0700, true }, { 0750, true }, { 0755, true }, { 0711, true }, { 02750, true },
		{ 0720, false }, { 0770, false }, { 0775, false }, { 02770, false },
		{ 0702, false }, { 0777, false }, { 01777, false }, { 01770, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(modes); i++) {
		assert_int_equal(chmod(dir, modes[i].mode), 0);
		if (opens() != modes[i].good)
			fail_msg("mode %o", modes[i].mode);
		assert_true((access(path, F_OK) == 0) == modes[i].good);
		assert_int_equal(chmod(dir, 0700), 0);
		unlink(path);
		unlink(beside("-reserve"));
	}
}

/* Of another user's folder he can replace the file. */
static void
test_owner_of_the_folder(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(dir, NOBODY, (gid_t)-1), 0);
	assert_false(opens());
	assert_int_equal(chown(dir, 0, (gid_t)-1), 0);
	assert_true(opens());
}

static void
test_owner_of_the_files(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-reserve" };

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		assert_true(opens());
		if (access(beside(suffixes[i]), F_OK) < 0)
			make_file(beside(suffixes[i]), "");
		assert_int_equal(chown(beside(suffixes[i]), NOBODY, (gid_t)-1), 0);
		if (opens())
			fail_msg("another user's \"%s\" is taken", suffixes[i]);
		unlink(beside(suffixes[i]));
	}
}

/* Whatever the umask, and also when somebody has opened them to others since. */
static void
test_modes_of_what_is_made(void **state)
{
	static const mode_t masks[] = { 0, 022, 077 };

	(void)state;
	for (size_t i = 0; i < COUNT(masks); i++) {
		mode_t mask = umask(masks[i]);
		struct store *s;
		char folder[96];

		snprintf(folder, sizeof(folder), "%s/new%zu", dir, i);
		snprintf(path, sizeof(path), "%s/s.db", folder);
		assert_int_equal(store_open(loop, path, DURABLE_FSYNC, &s), KP_OK);
		assert_int_equal(umask(mask), masks[i]);
		assert_int_equal(mode_of(folder), 0700);
		assert_int_equal(mode_of(path), 0600);
		assert_int_equal(mode_of(beside("-wal")), 0600);
		assert_int_equal(mode_of(beside("-reserve")), 0600);
		store_finish(s);
		store_close(s);
		assert_int_equal(chmod(path, 0666), 0);
		assert_true(opens());
		assert_int_equal(mode_of(path), 0600);
	}
}

/* A link, to whatever: the file of somebody else would be written in our name. */
static void
test_symbolic_links(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-reserve" };
	char victim[96];

	(void)state;
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	make_file(victim, "precious");
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		unlink(path);
		assert_int_equal(symlink("victim", beside(suffixes[i])), 0);
		if (opens())
			fail_msg("a link as \"%s\" is followed", suffixes[i]);
		assert_holds(victim, "precious");
		unlink(beside(suffixes[i]));
	}
}

/* One that leads nowhere would make a file where it points. */
static void
test_dangling_links(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-reserve", "-suspect" };

	(void)state;
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		char target[96];
		struct stat st;

		snprintf(target, sizeof(target), "%s/target%zu", dir, i);
		unlink(path);
		unlink(beside(suffixes[i]));
		assert_int_equal(symlink(strrchr(target, '/') + 1, beside(suffixes[i])), 0);
		if (opens() || lstat(target, &st) == 0)
			fail_msg("a dangling link as \"%s\" is followed", suffixes[i]);
		unlink(beside(suffixes[i]));
	}
}

static void
test_what_is_no_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(opens());
	rmdir(path);
	/* Opened without waiting for somebody at its other end. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(opens());
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_false(opens());
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_folders_by_their_mode),
		T(test_owner_of_the_folder),
		T(test_owner_of_the_files),
		T(test_modes_of_what_is_made),
		T(test_symbolic_links),
		T(test_dangling_links),
		T(test_what_is_no_file),
	};

	log_init("test", LOG_ERROR);
	unit_filter();
	return cmocka_run_group_tests_name("store path", tests, NULL, NULL);
}
