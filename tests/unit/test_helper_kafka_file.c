/* Files that librdkafka is given copies of. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "helper/kafka/kafka_file.h"
#include "tests/unit/files.h"

static char dir[] = "/tmp/kafka_file.XXXXXX";

static void
in_dir(char path[64], const char *name)
{
	snprintf(path, 64, "%s/%s", dir, name);
}

static void
assert_reads(const char *path, const char *want)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char got[64] = "";

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(want));
	assert_string_equal(got, want);
	close(fd);
}

static void
test_names(void **state)
{
	static const char *const files[] = {
		"ssl.ca.location", "producer.ssl.key.location", "consumer.ssl.keystore.location",
		"ssl.certificate.location", "ssl.crl.location",
	};
	static const char *const others[] = {
		"", "ssl.ca", "ssl.ca.location.", "ssl.ca.pem", "ssl.engine.location", "producer.",
		"topic.ssl.ca.location", "producer.consumer.ssl.ca.location", "ssl.key.password",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++)
		assert_true(kafka_file_is(files[i], strlen(files[i])));
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(kafka_file_is(others[i], strlen(others[i])));
}

/* As often as it is asked for, whatever becomes of the file. */
static void
test_a_copy_stays(void **state)
{
	struct kafka_file f;
	char path[64], why[256];

	(void)state;
	in_dir(path, "file");
	write_file(path, "first");
	assert_err(kafka_file_load(&f, path, why, sizeof(why)), KP_OK);
	assert_reads(f.path, "first");
	write_file(path, "second");
	assert_reads(f.path, "first");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_reads(f.path, "first");
	kafka_file_close(&f);
	assert_int_equal(unlink(path), 0);
}

static void
test_what_is_left_to_librdkafka(void **state)
{
	const char *const left[] = { "probe", dir };
	struct kafka_file f;
	char why[256];

	(void)state;
	for (size_t i = 0; i < COUNT(left); i++) {
		assert_err(kafka_file_load(&f, left[i], why, sizeof(why)), KP_OK);
		assert_string_equal(f.path, "");
		kafka_file_close(&f);
	}
}

static void
test_what_cannot_be_read(void **state)
{
	struct kafka_file f;
	char path[3][64], why[256];
	const char *const wrong[] = { "No such file or directory", "it is no file", "it is empty" };

	(void)state;
	in_dir(path[0], "nowhere");
	in_dir(path[1], "pipe");
	in_dir(path[2], "empty");
	assert_int_equal(mkfifo(path[1], 0600), 0);
	write_file(path[2], "");
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char want[256];

		assert_err(kafka_file_load(&f, path[i], why, sizeof(why)), KP_EBADREQ);
		snprintf(want, sizeof(want), "cannot read %s: %s", path[i], wrong[i]);
		assert_string_equal(why, want);
		kafka_file_close(&f);
	}
	assert_int_equal(unlink(path[1]) + unlink(path[2]), 0);
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_a_copy_stays),
		cmocka_unit_test(test_what_is_left_to_librdkafka),
		cmocka_unit_test(test_what_cannot_be_read),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, setup, teardown);
}
