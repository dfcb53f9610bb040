/* Files that a test finds where it has put them. */
#ifndef KP_FILES_H
#define KP_FILES_H

#include <fcntl.h>

#include "tests/unit/unit.h"

/* Of mode 0600, with this text in the place of what is there. */
static inline void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

#endif
