/*
 * Where the programs are that the launcher starts.
 */
#ifndef KP_LAUNCHER_FIND_H
#define KP_LAUNCHER_FIND_H

#include <stdbool.h>
#include <stddef.h>

/* One of ours: beside this binary, in ../libexec/kafka-pixy, or in PATH. */
bool find_own(const char *name, char *out, size_t cap);
/* Somebody else's: in PATH or where Debian keeps daemons. */
bool find_program(const char *name, char *out, size_t cap);

#endif
