/*
 * Files that librdkafka reads again for each handle: certificates and keys. Here they are
 * read once, and librdkafka is given the path of a copy in memory: so it does not matter to a
 * service that runs when one is replaced, cannot be read any more, or hangs with its disk.
 */
#ifndef KP_KAFKA_FILE_H
#define KP_KAFKA_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* All zero: none. */
struct kafka_file {
	int fd;
	char path[32];			/* empty: none, or librdkafka reads it itself */
};

/* `name` (n bytes) as in -X: "producer." and "consumer." may stand before it. */
bool kafka_file_is(const char *name, size_t n);
/*
 * A folder (of authorities, each in a file named by its hash) and "probe" are left to
 * librdkafka. KP_EBADREQ: it cannot be read; `why` holds a line that says why. Ended by
 * kafka_file_close(), also after an error.
 */
enum kp_err kafka_file_load(struct kafka_file *f, const char *path, char *why, size_t cap);
void kafka_file_close(struct kafka_file *f);

#endif
