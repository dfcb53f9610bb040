/* See store_disk.h. */
#include "helper/store/store_disk.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/log.h"

const char *
disk_beside(const char *path, const char *suffix, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s%s", path, suffix);
	return out;
}

static int
open_beside(const char *path, const char *suffix, int flags)
{
	char name[PATH_MAX];

	return open(disk_beside(path, suffix, name), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool
disk_make_reserve(const char *path)
{
	int fd = open_beside(path, "-reserve", O_RDWR | O_CREAT);
	struct stat st;
	bool whole;

	if (fd < 0)
		return false;
	whole = fstat(fd, &st) == 0 && st.st_blocks * INT64_C(512) >= DISK_RESERVE_BYTES;
	if (!whole) {
		whole = posix_fallocate(fd, 0, DISK_RESERVE_BYTES) == 0;
		/* A part of it would only make the disk fuller. */
		if (!whole && ftruncate(fd, 0) < 0)
			whole = false;
	}
	close(fd);
	return whole;
}

bool
disk_release_reserve(const char *path)
{
	int fd = open_beside(path, "-reserve", O_RDWR);
	struct stat st;
	bool was = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && st.st_blocks > 0)
		was = ftruncate(fd, 0) == 0;
	close(fd);
	if (was)
		log_warn("store reserve given up path=%s: the disk is full", path);
	return was;
}

/* The disk may have failed: a mark that cannot be made is tried no further. */
void
disk_mark_suspect(const char *path)
{
	int fd = open_beside(path, "-suspect", O_WRONLY | O_CREAT);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
	disk_sync_folder(path);
}

void
disk_clear_suspect(const char *path)
{
	char name[PATH_MAX];

	unlink(disk_beside(path, "-suspect", name));
}

bool
disk_is_suspect(const char *path)
{
	char name[PATH_MAX];
	struct stat st;

	return lstat(disk_beside(path, "-suspect", name), &st) == 0;
}

/* The first bytes of SQLite's header, most of them; or our mark at its place. */
bool
disk_looks_like_ours(const char *path)
{
	static const char magic[] = "SQLite format 3", mark[] = { 0x4b, 0x50, 0x78, 0x79 };
	char head[72] = "", name[PATH_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), same = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	struct stat st;

	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < sizeof(magic); i++)
		same += head[i] == magic[i];
	return (n >= 16 && same >= 12) || (n == sizeof(head) && memcmp(head + 68, mark, 4) == 0) ||
	    lstat(disk_beside(path, "-reserve", name), &st) == 0;
}

int64_t
disk_free_bytes(const char *path)
{
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return -1;
	return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

enum kp_err
disk_sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return KP_EIO;
	rc = fsync(fd);
	close(fd);
	return rc == 0 ? KP_OK : KP_EIO;
}
