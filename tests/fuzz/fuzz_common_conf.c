/*
 * A file of options: it is taken or refused with one line that says why, and it changes
 * nothing but the configuration. What was taken is the same after it went through the
 * command line that conf_args() makes, as it does from the launcher to its children.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"
#include "tests/fuzz/fuzz.h"

extern char **environ;

static uint64_t
hash_environment(void)
{
	uint64_t h = 14695981039346656037u;

	for (char **e = environ; *e; e++)
		for (const char *p = *e; ; p++) {
			h = (h ^ (uint8_t)*p) * 1099511628211u;
			if (*p == '\0')
				break;
		}
	return h;
}

/* A command line is no place for secrets. */
static void
check_args(const struct conf *c, enum conf_program program)
{
	char **args = conf_args(c, program, "x"), **again;
	struct conf d;
	char why[512];
	int n = 0;

	PROMISE(args != NULL);
	while (args[n]) {
		PROMISE(strncmp(args[n], "--X", 3) != 0 && strncmp(args[n], "-X", 2) != 0);
		n++;
	}
	PROMISE(conf_load(&d, program, n, args, why, sizeof(why)) == KP_OK);
	again = conf_args(&d, program, "x");
	PROMISE(again != NULL);
	for (int i = 0; i <= n; i++)
		PROMISE(args[i] == NULL ? again[i] == NULL : strcmp(args[i], again[i]) == 0);
	conf_args_free(args);
	conf_args_free(again);
	conf_free(&d);
}

static void
check_conf(const struct conf *c, enum conf_program program)
{
	PROMISE(c->n_x <= CONF_X_MAX);
	PROMISE(c->max_message_bytes >= 1 && c->max_message_bytes <= 64u << 20);
	PROMISE(c->threads >= 4 && c->threads <= 400);
	PROMISE(c->responders >= 1 && c->responders <= 16);
	PROMISE(c->log_level >= 0 && c->log_level <= 3);
	PROMISE(c->durability >= 0 && c->durability <= DURABLE_MEMORY);
	for (size_t i = 0; i < c->n_x; i++)
		PROMISE(strchr(c->x[i], '=') && strchr(c->x[i], '\n') == NULL);
	check_args(c, program);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum conf_program programs[] = { CONF_LAUNCHER, CONF_HELPER, CONF_RESPONDER };
	char option[64], program[] = "x", *argv[] = { program, option, NULL };
	int fd = memfd_create("options", MFD_CLOEXEC);
	uint64_t before = hash_environment();

	PROMISE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(option, sizeof(option), "--config=/proc/self/fd/%d", fd);
	for (size_t i = 0; i < 3; i++) {
		struct conf c;
		char why[512];
		enum kp_err err = conf_load(&c, programs[i], 2, argv, why, sizeof(why));

		PROMISE(err == KP_OK || err == KP_EBADREQ);
		if (err == KP_OK)
			check_conf(&c, programs[i]);
		else
			PROMISE(why[0] && strchr(why, '\n') == NULL);
		conf_free(&c);
	}
	PROMISE(hash_environment() == before);
	close(fd);
	return 0;
}
