/* Threads are counted by starting them; limits are read to have a name for what failed. */
#include "helper/threads.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define GONE_TRIES 20
#define GONE_US 200

/* ---- trying ---- */

/* How many this process has. */
static long
count_own(void)
{
	FILE *f = fopen("/proc/self/stat", "re");
	char line[1024];
	const char *p = f && fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;

	if (f)
		fclose(f);
	/* It is the 18th word behind the name. */
	for (int i = 0; p && i < 18; i++)
		p = strchr(p + 1, ' ');
	return p ? strtol(p, NULL, 10) : 0;
}

static void *
wait_for_it(void *gate)
{
	pthread_mutex_lock(gate);
	pthread_mutex_unlock(gate);
	return NULL;
}

bool
threads_fit(unsigned n)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	pthread_t tried[THREADS_TRY_MAX];
	long before = count_own();
	unsigned started = 0;

	if (n > THREADS_TRY_MAX)
		n = THREADS_TRY_MAX;
	pthread_mutex_lock(&gate);
	while (started < n && pthread_create(&tried[started], NULL, wait_for_it, &gate) == 0)
		started++;
	pthread_mutex_unlock(&gate);
	for (unsigned i = 0; i < started; i++)
		pthread_join(tried[i], NULL);
	/* The kernel counts them a moment longer than we do. */
	for (int i = 0; i < GONE_TRIES && count_own() > before; i++)
		usleep(GONE_US);
	return started == n;
}

/* ---- names ---- */

/* The first number behind `name` in a file of lines; -1: there is none. */
static long long
read_number(const char *path, const char *name, int base)
{
	FILE *f = fopen(path, "re");
	size_t n = strlen(name);
	long long number = -1;
	char line[256], *end;

	while (f && number < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, name, n) == 0) {
			number = strtoll(line + n, &end, base);
			if (end == line + n)
				number = -1;	/* "max" */
		}
	if (f)
		fclose(f);
	return number;
}

/* Every group that we are in may have a limit; in the first of them that has no room. */
static bool
is_control_group(unsigned n, const char *root, char *path, char *out, size_t cap)
{
	for (;;) {
		char file[PATH_MAX];
		long long max, now;
		char *slash;

		snprintf(file, sizeof(file), "%s%s/pids.max", root, path);
		max = read_number(file, "", 10);
		snprintf(file, sizeof(file), "%s%s/pids.current", root, path);
		now = read_number(file, "", 10);
		if (max >= 0 && now + (long long)n > max) {
			snprintf(out, cap, "pids.max (TasksMax of systemd, --pids-limit of "
			    "containers) of the control group %s is %lld, and %lld are in use",
			    path[0] ? path : "/", max, now);
			return true;
		}
		slash = strrchr(path, '/');
		if (slash == NULL)
			return false;
		*slash = '\0';
	}
}

/* Version 2 has one hierarchy, "0::PATH"; version 1 one of its own for this, "N:pids:PATH". */
static bool
is_one_of_control_groups(unsigned n, char *out, size_t cap)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *path = strchr(line, '/');

		line[strcspn(line, "\n")] = '\0';
		if (path == NULL)
			continue;
		if (path[1] == '\0')
			path[0] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			found = is_control_group(n, "/sys/fs/cgroup", path, out, cap);
		else if (strstr(line, ":pids:"))
			found = is_control_group(n, "/sys/fs/cgroup/pids", path, out, cap);
	}
	if (f)
		fclose(f);
	return found;
}

/* CAP_SYS_ADMIN or CAP_SYS_RESOURCE, by which no user limit binds; nor does it root. */
static bool
is_above_user_limits(void)
{
	long long caps = read_number("/proc/self/status", "CapEff:", 16);

	return getuid() == 0 || (caps > 0 && (caps >> 21 & 1 || caps >> 24 & 1));
}

static bool
is_user_limit(char *out, size_t cap)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NPROC, &r) < 0 || r.rlim_cur == RLIM_INFINITY ||
	    is_above_user_limits())
		return false;
	snprintf(out, cap, "RLIMIT_NPROC (LimitNPROC of systemd, ulimit -u) allows %llu processes "
	    "and threads of this user", (unsigned long long)r.rlim_cur);
	return true;
}

static bool
is_memory_limit(char *out, size_t cap)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_AS, &r) < 0 || r.rlim_cur == RLIM_INFINITY)
		return false;
	snprintf(out, cap, "RLIMIT_AS (LimitAS of systemd, ulimit -v) allows %llu bytes of memory, "
	    "and each thread takes some for its stack", (unsigned long long)r.rlim_cur);
	return true;
}

void
threads_limit(unsigned n, char *out, size_t cap)
{
	if (is_one_of_control_groups(n, out, cap))
		return;
	if (is_user_limit(out, cap) || is_memory_limit(out, cap))
		return;
	snprintf(out, cap, "the kernel starts no more threads (kernel.threads-max is %lld, "
	    "kernel.pid_max %lld)", read_number("/proc/sys/kernel/threads-max", "", 10),
	    read_number("/proc/sys/kernel/pid_max", "", 10));
}
