/* A copy is a memfd, opened by its path below /proc: what librdkafka can read there is what
 * it can read anywhere, with chains of certificates and keystores. */
#include "helper/kafka/kafka_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (16u * 1024 * 1024)

static const char *const names[] = {
	"ssl.ca.location",
	"ssl.crl.location",
	"ssl.certificate.location",
	"ssl.key.location",
	"ssl.keystore.location",
};

bool
kafka_file_is(const char *name, size_t n)
{
	bool side = n > 9 && (memcmp(name, "producer.", 9) == 0 ||
	    memcmp(name, "consumer.", 9) == 0);

	name += side ? 9 : 0;
	n -= side ? 9 : 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return true;
	return false;
}

/* Says what is wrong with it; NULL: nothing. */
static const char *
copy(int from, int to)
{
	size_t total = 0;
	char part[4096];
	ssize_t n;

	while ((n = read(from, part, sizeof(part))) != 0) {
		if (n < 0)
			return strerror(errno);
		total += (size_t)n;
		if (total > FILE_MAX)
			return "it is too large";
		if (write(to, part, (size_t)n) != n)
			return strerror(errno);
	}
	explicit_bzero(part, sizeof(part));
	return total ? NULL : "it is empty";
}

/* O_NONBLOCK: a pipe that nobody writes to would hold us up for ever. */
enum kp_err
kafka_file_load(struct kafka_file *f, const char *path, char *why, size_t cap)
{
	const char *wrong = NULL;
	struct stat st;
	int from;

	*f = (struct kafka_file){ 0 };
	if (strcmp(path, "probe") == 0)
		return KP_OK;
	from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (from < 0 || fstat(from, &st) < 0) {
		wrong = strerror(errno);
	} else if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
		wrong = "it is no file";
	} else if (S_ISREG(st.st_mode)) {
		f->fd = memfd_create("kafka-pixy", MFD_CLOEXEC);
		wrong = f->fd < 0 ? strerror(errno) : copy(from, f->fd);
		snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
	}
	if (wrong)
		snprintf(why, cap, "cannot read %s: %s", path, wrong);
	if (from >= 0)
		close(from);
	return wrong ? KP_EBADREQ : KP_OK;
}

void
kafka_file_close(struct kafka_file *f)
{
	if (f->path[0] && f->fd >= 0)
		close(f->fd);
	*f = (struct kafka_file){ 0 };
}
