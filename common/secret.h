/*
 * Secrets among the properties of librdkafka: which of them are, and how they are read
 * from files.
 *
 * A secret may be given as it is, as "@/path/of/a/file", or, when it begins with a '@'
 * itself, with that doubled. Other properties are taken as they are.
 */
#ifndef KP_SECRET_H
#define KP_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define SECRET_MAX 16384		/* bytes, with the NUL */

/* `name` (n bytes) as in -X: "producer." and "consumer." may stand before it. */
bool secret_is(const char *name, size_t n);

/*
 * The value of secret `name` that was given as `given`: into *out, which the caller
 * ends with secret_free(). A file must be a regular one, no symbolic link, ours, of mode
 * 0600 or 0400; newlines at its end are not part of it, and inside only those of a PEM
 * are. KP_EBADREQ: `why` holds one line that says what is wrong, without the value.
 * KP_ENOMEM.
 */
enum kp_err secret_load(const char *name, const char *given, char **out, char *why, size_t cap);
/* Wiped first. NULL is allowed. */
void secret_free(char *secret);

/* In a command line: puts stars in place of each secret that -X gives as it is, since
 * everybody can read it. True when there was one. */
bool secret_hide_args(int argc, char **argv);
#define SECRET_SHOWN "a secret on the command line is seen by all users of this machine: " \
    "put it into a file of mode 0600, and give @FILE"

#endif
