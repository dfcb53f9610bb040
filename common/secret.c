/* Files of secrets, and the names of the properties that are secret. */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What librdkafka itself keeps out of its log, and a private key. */
static const char *const secrets[] = {
	"sasl.password",
	"sasl.oauthbearer.client.secret",
	"sasl.oauthbearer.config",
	"ssl.key.password",
	"ssl.key.pem",
	"ssl.keystore.password",
};

#define fail(...) kp_err_say(KP_EBADREQ, __VA_ARGS__)

static size_t
side_length(const char *name, size_t n)
{
	return n > 9 && (memcmp(name, "producer.", 9) == 0 || memcmp(name, "consumer.", 9) == 0) ?
	    9 : 0;
}

bool
secret_is(const char *name, size_t n)
{
	size_t side = side_length(name, n);

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (strlen(secrets[i]) == n - side &&
		    memcmp(secrets[i], name + side, n - side) == 0)
			return true;
	return false;
}

/* O_NONBLOCK: a pipe that nobody writes to would hold us up for ever. */
static enum kp_err
open_file(const char *path, int *fd, char *why, size_t cap)
{
	struct stat st;
	const char *what = NULL;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 || fstat(*fd, &st) < 0)
		return fail(why, cap, "cannot read %s: %s", path, errno == ELOOP ?
		    "it is a symbolic link; name the file itself" : strerror(errno));
	if (!S_ISREG(st.st_mode))
		what = "it is no regular file";
	else if (st.st_uid != geteuid())
		what = "it belongs to another user than the helper's";
	else if (st.st_mode & 07177)
		what = "others may read it: chmod 600";
	else if (st.st_size == 0)
		what = "it is empty";
	else if (st.st_size >= SECRET_MAX)
		what = "it is too large for a secret";
	return what ? fail(why, cap, "will not read %s: %s", path, what) : KP_OK;
}

static enum kp_err
read_all(int fd, const char *path, char *out, size_t *n, char *why, size_t cap)
{
	ssize_t got;

	*n = 0;
	do {
		got = read(fd, out + *n, SECRET_MAX - *n);
		if (got < 0)
			return fail(why, cap, "cannot read %s: %s", path, strerror(errno));
		*n += (size_t)got;
	} while (got > 0 && *n < SECRET_MAX);
	if (*n == SECRET_MAX)
		return fail(why, cap, "will not read %s: it is too large for a secret", path);
	return KP_OK;
}

/* Ends the text where the newlines at its end begin. */
static enum kp_err
check_text(const char *name, const char *path, char *s, size_t n, char *why, size_t cap)
{
	size_t side = side_length(name, strlen(name));

	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		n--;
	s[n] = '\0';
	if (n == 0)
		return fail(why, cap, "will not read %s: it is empty", path);
	if (strlen(s) != n)
		return fail(why, cap, "will not read %s: it has a NUL in it", path);
	if (strcmp(name + side, "ssl.key.pem") != 0 && strpbrk(s, "\r\n"))
		return fail(why, cap, "will not read %s: it has more than one line", path);
	return KP_OK;
}

static enum kp_err
load_file(const char *name, const char *path, char *out, char *why, size_t cap)
{
	enum kp_err err;
	size_t n = 0;
	int fd;

	err = open_file(path, &fd, why, cap);
	if (err == KP_OK)
		err = read_all(fd, path, out, &n, why, cap);
	if (fd >= 0)
		close(fd);
	return err ? err : check_text(name, path, out, n, why, cap);
}

enum kp_err
secret_load(const char *name, const char *given, char **out, char *why, size_t cap)
{
	enum kp_err err = KP_OK;

	*out = NULL;
	if (given[0] != '@' || given[1] == '@') {
		*out = strdup(given + (given[0] == '@'));
		return *out ? KP_OK : KP_ENOMEM;
	}
	*out = calloc(1, SECRET_MAX);
	if (*out == NULL)
		return KP_ENOMEM;
	err = load_file(name, given + 1, *out, why, cap);
	if (err) {
		explicit_bzero(*out, SECRET_MAX);
		free(*out);
		*out = NULL;
	}
	return err;
}

void
secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static bool
hide(char *property)
{
	char *eq = strchr(property, '=');
	bool named = eq && (eq[1] == '\0' || (eq[1] == '@' && eq[2] != '@'));

	if (eq == NULL || named || !secret_is(property, (size_t)(eq - property)))
		return false;
	memset(eq + 1, '*', strlen(eq + 1));
	return true;
}

bool
secret_hide_args(int argc, char **argv)
{
	bool found = false;

	for (int i = 1; i < argc; i++) {
		char *word = argv[i] + (argv[i][0] == '-');

		word += word > argv[i] && word[0] == '-';
		if (word == argv[i] || word[0] != 'X')
			continue;
		if (word[1] == '=')
			found |= hide(word + 2);
		else if (word[1] == '\0' && i + 1 < argc)
			found |= hide(argv[++i]);
	}
	return found;
}
