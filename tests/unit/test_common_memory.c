/* What a burst in another thread leaves behind goes back to the system. */
#include "common/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define BLOCKS 32768
#define BLOCK_BYTES 1024
#define BURST_KB (BLOCKS * (BLOCK_BYTES / 1024))

/* Every so many lives on, and keeps the rest from going back by itself. */
#define KEPT_EACH 512

static char *blocks[BLOCKS];

static long
resident_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	fclose(f);
	return kb;
}

static void *
burst(void *arg)
{
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		if (blocks[i])
			memset(blocks[i], 1, BLOCK_BYTES);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (i % KEPT_EACH != KEPT_EACH - 1)
			free(blocks[i]);
	return arg;
}

static void
test_a_burst_is_given_back(void **state)
{
	pthread_t thread;
	long before, after;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();			/* these have a malloc of their own */
#endif
	assert_int_equal(pthread_create(&thread, NULL, burst, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	before = resident_kb();
	memory_tidy();
	after = resident_kb();
	if (before - after < BURST_KB / 2)
		fail_msg("%ld KiB before, %ld after", before, after);
	for (int i = KEPT_EACH - 1; i < BLOCKS; i += KEPT_EACH)
		free(blocks[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_burst_is_given_back),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
