/* Built trees have all programs side by side, installed ones have bin/ and
 * libexec/; both can be moved, so the search starts at this very binary. */
#include "deploy/launcher/find.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SBIN "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/nginx/sbin"

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool
find_in(const char *dirs, const char *name, char *out, size_t cap)
{
	while (dirs && *dirs) {
		size_t n = strcspn(dirs, ":");
		int len = snprintf(out, cap, "%.*s/%s", (int)n, dirs, name);

		/* An empty or relative entry would mean the current directory. */
		if (dirs[0] == '/' && len > 0 && (size_t)len < cap && is_program(out))
			return true;
		dirs += n + (dirs[n] == ':');
	}
	return false;
}

bool
find_own(const char *name, char *out, size_t cap)
{
	char self[PATH_MAX], dirs[2 * PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		snprintf(dirs, sizeof(dirs), "%s:%s/../libexec/kafka-pixy", self, self);
		if (find_in(dirs, name, out, cap))
			return true;
	}
	return find_in(getenv("PATH"), name, out, cap);
}

bool
find_program(const char *name, char *out, size_t cap)
{
	return find_in(getenv("PATH"), name, out, cap) || find_in(SBIN, name, out, cap);
}
