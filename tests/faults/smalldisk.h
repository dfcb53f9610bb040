/*
 * A disk of a few MiB: a tmpfs in a mount namespace of the test's own. Where
 * nobody may have one, the shim's quota does instead.
 */
#ifndef KP_FAULTS_SMALLDISK_H
#define KP_FAULTS_SMALLDISK_H

#include <stdbool.h>
#include <stddef.h>

/* Once, before there are threads. False: the shim must do. */
bool smalldisk_allowed(void);
/* An empty disk at the folder, which is made. Fails the running test if it cannot. */
void smalldisk_mount(const char *dir, size_t bytes);
/* Others have made room. */
void smalldisk_resize(const char *dir, size_t bytes);
void smalldisk_unmount(const char *dir);

#endif
