/* Running the driver below the shim, in folders of its own. */
#ifndef KP_FAULTS_RUN_H
#define KP_FAULTS_RUN_H

#include <stdbool.h>

/* Where the parts are: $KP_BUILD/faults for the one that can break promises. */
struct run {
	bool faults;
	bool malloc_fails;		/* also preloads shim_malloc.so */
	const char *env[8][2];		/* more environment, up to a NULL */
	const char *args[6];		/* of the driver, up to a NULL */
	const char *dir;		/* the shim's; made anew, empty, unless `keep` */
	bool keep;
	const char *trace;		/* likewise */
};

/* Exit status, 128 + signal, or -1 when it did not end in time. Its standard error
 * is in `driver.log`. */
int run_driver(const struct run *r);
/* The line of driver.log that says what was wrong, or the last one. */
const char *run_log(void);
/* Absolute, without links; static. */
const char *run_absolute(const char *path);
void run_remove(const char *dir);

#endif
