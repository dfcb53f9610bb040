/* What a child says becomes lines of our log, whole, in order, and not too many. */
#include "common/clock.h"
#include "deploy/launcher/words.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "common/sock.h"

static struct words w;
static int file, terminal;
static char text[1 << 20];

static int
setup(void **state)
{
	(void)state;
	file = memfd_create("log", MFD_CLOEXEC);
	dup2(file, STDERR_FILENO);
	assert_int_equal(words_open(&w, "child"), KP_OK);
	return 0;
}

static void
write_all(const char *s)
{
	assert_int_equal(write(w.in, s, strlen(s)), strlen(s));
}

/* What the log has when the child has ended. */
static const char *
log_text(void)
{
	ssize_t n;

	words_close(&w);
	assert_true(log_flush(5000));
	n = pread(file, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(file);
	dup2(terminal, STDERR_FILENO);
	return text;
}

static unsigned
count(const char *in, const char *part)
{
	unsigned n = 0;

	while ((in = strstr(in, part)) != NULL) {
		in += strlen(part);
		n++;
	}
	return n;
}

static void
test_lines(void **state)
{
	const char *log, *first;

	(void)state;
	write_all("one\ntw");
	write_all("o\n\nthr\x1b" "ee");
	log = log_text();
	first = strstr(log, "Z error test[");
	assert_non_null(first);
	first = strstr(first, ": child: one\n");
	assert_non_null(first);
	first = strstr(first, ": child: two\n");
	assert_non_null(first);
	assert_non_null(strstr(first, ": child: thr\\x1bee\n"));
	assert_int_equal(count(log, "\n"), 3);
	words_close(&w);
}

/* However long, and without an end. */
static void
test_long_lines(void **state)
{
	char line[301] = "";

	(void)state;
	memset(line, 'x', 300);
	for (int i = 0; i < 30; i++)
		write_all(line);
	write_all("\nafter\n");
	assert_true(strstr(log_text(), ": child: after\n") != NULL);
	assert_in_range(count(text, "\n"), 2, 9000 / LOG_LINE_MAX + 2);
}

static void
test_a_flood_is_bounded_and_counted(void **state)
{
	int64_t begin_ms = clock_mono_ms();
	unsigned seconds;

	(void)state;
	for (int i = 0; i < 10000; i++)
		write_all("flood\n");
	log_text();
	seconds = (unsigned)((clock_mono_ms() - begin_ms) / 1000) + 2;
	assert_in_range(count(text, ": child: flood\n"), LOG_RATE_MAX, seconds * LOG_RATE_MAX);
}

/* A process that the child has left behind does not hold us up. */
static void
test_the_other_end_is_open_still(void **state)
{
	int64_t begin_ms = clock_mono_ms();
	int other = dup(w.in);

	(void)state;
	write_all("last words\n");
	assert_non_null(strstr(log_text(), ": child: last words\n"));
	assert_true(clock_mono_ms() - begin_ms < 5000);
	close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_long_lines, setup),
		cmocka_unit_test_setup(test_a_flood_is_bounded_and_counted, setup),
		cmocka_unit_test_setup(test_the_other_end_is_open_still, setup),
	};

	terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	stderr = fdopen(terminal, "w");		/* cmocka's */
	unit_filter();
	log_init("test", LOG_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
