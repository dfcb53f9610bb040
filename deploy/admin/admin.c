/* The table of commands, and the reading of their options. */
#include "deploy/admin/admin.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/admin/commands.h"
#include "deploy/admin/print.h"
#include "deploy/admin/reach.h"

enum option_bit {
	O_HELP = 1, O_SOCKET = 2, O_JSON = 4, O_TOPIC = 8, O_LIMIT = 16, O_ALL = 32, O_YES = 64,
	O_DEAD = 128, O_PENDING = 256,
};

static const struct option {
	enum option_bit bit;
	const char *name;
	const char *value;		/* NULL: it takes none */
	const char *help;
} options[] = {
	{ O_TOPIC, "topic", "T", "only those of this topic" },
	{ O_LIMIT, "limit", "N", "so many at most (default 20)" },
	{ O_ALL, "all", NULL, "all dead letters" },
	{ O_DEAD, "dead", NULL, "dead letters (the default)" },
	{ O_PENDING, "pending", NULL, "what Kafka does not have yet" },
	{ O_YES, "yes", NULL, "do not ask" },
	{ O_JSON, "json", NULL, "as JSON" },
	{ O_SOCKET, "socket", "PATH", "the helper's socket, when several gateways run here" },
	{ O_HELP, "help", NULL, "print this and exit" },
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static const struct command {
	const char *name;
	const char *ids;		/* NULL: it takes none */
	unsigned options;
	enum admin_exit (*run)(struct admin *a);
	const char *help;
} commands[] = {
	{ "status", NULL, O_JSON, command_status,
	    "counters, and the state of Kafka, ZooKeeper and store; exit status 1 when one is "
	    "down" },
	{ "pending", NULL, O_TOPIC | O_LIMIT | O_JSON, command_pending,
	    "messages that Kafka does not have yet, oldest first" },
	{ "dead", NULL, O_TOPIC | O_LIMIT | O_JSON, command_dead,
	    "dead letters: messages that Kafka refused for good, and why" },
	{ "retry", "ID", O_ALL | O_TOPIC, command_retry,
	    "sends dead letters to Kafka again" },
	{ "drop", "ID", O_ALL | O_TOPIC | O_YES, command_drop,
	    "deletes dead letters for good" },
	{ "export", NULL, O_DEAD | O_PENDING | O_TOPIC, command_export,
	    "writes messages with their bodies, a line of JSON each" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void
admin_help(void)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  kafka-pixy %-8s %s\n", commands[i].name, commands[i].help);
	printf("  kafka-pixy COMMAND -help\n");
}

static enum admin_exit
command_help(const struct command *c)
{
	printf("kafka-pixy %s: %s.\n\n  kafka-pixy %s%s [options]\n\n"
	    "Options, with one dash or two, as --name value or --name=value:\n", c->name, c->help,
	    c->name, c->ids ? " ID... | --all" : "");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];

		if (!(o->bit & (c->options | O_HELP | O_SOCKET)))
			continue;
		printf("  --%s%s%s\n        %s\n", o->name, o->value ? " " : "",
		    o->value ? o->value : "", o->help);
	}
	return fflush(stdout) == 0 ? ADMIN_OK : ADMIN_BAD;
}

static enum admin_exit __attribute__((format(printf, 2, 3)))
wrong_use(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "kafka-pixy %s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; kafka-pixy %s -help tells more\n", c->name);
	return ADMIN_USAGE;
}

/* A whole number from 1 to `max`. */
static bool
parse_number(const char *text, int64_t max, int64_t *n)
{
	unsigned long long v;

	if (*text == '\0' || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	v = strtoull(text, NULL, 10);
	*n = (int64_t)v;
	return errno == 0 && v >= 1 && v <= (unsigned long long)max;
}

static enum admin_exit
set_option(const struct command *c, struct admin *a, const struct option *o, const char *value)
{
	int64_t n;

	switch (o->bit) {
	case O_TOPIC:
		a->topic = kp_slice_str(value);
		if (!msg_topic_ok(a->topic))
			return wrong_use(c, "--topic takes the name of a topic");
		break;
	case O_LIMIT:
		if (!parse_number(value, INT32_MAX, &n))
			return wrong_use(c, "--limit takes a whole number from 1");
		a->limit = (uint64_t)n;
		break;
	case O_SOCKET:
		a->socket = value;
		break;
	case O_ALL:
		a->all = true;
		break;
	case O_YES:
		a->yes = true;
		break;
	case O_JSON:
		a->json = true;
		break;
	case O_DEAD:
		a->dead = true;
		break;
	case O_PENDING:
		a->pending = true;
		break;
	case O_HELP:
		a->help = true;
		break;
	}
	return ADMIN_OK;
}

static const struct option *
find_option(const struct command *c, const char *name, size_t n)
{
	if (n == 1 && *name == 'h')
		return find_option(c, "help", 4);
	for (size_t i = 0; i < N_OPTIONS; i++)
		if ((options[i].bit & (c->options | O_HELP | O_SOCKET)) &&
		    strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
			return &options[i];
	return NULL;
}

static enum admin_exit
read_arg(const struct command *c, struct admin *a, int argc, char **argv, int *i)
{
	const char *name = argv[*i], *value;
	const struct option *o;
	size_t n;

	if (name[0] != '-') {
		if (c->ids == NULL)
			return wrong_use(c, "argument %d is not an option", *i);
		if (!parse_number(name, INT64_MAX, &a->ids[a->n_ids++]))
			return wrong_use(c, "argument %d is not the id of a message", *i);
		return ADMIN_OK;
	}
	name += name[1] == '-' ? 2 : 1;
	n = strcspn(name, "=");
	o = find_option(c, name, n);
	if (o == NULL)
		return wrong_use(c, "unknown option \"%.*s\"", (int)(name + n - argv[*i]),
		    argv[*i]);
	value = name[n] ? name + n + 1 : NULL;
	if (value && o->value == NULL)
		return wrong_use(c, "--%s takes no value", o->name);
	if (o->value && value == NULL) {
		if (++*i == argc)
			return wrong_use(c, "option --%s needs a value", o->name);
		value = argv[*i];
	}
	return set_option(c, a, o, value);
}

/* What goes together. */
static enum admin_exit
check_args(const struct command *c, const struct admin *a)
{
	if (c->ids && a->all == (a->n_ids > 0))
		return wrong_use(c, a->all ? "it takes ids or --all, not both" :
		    "it takes ids, or --all");
	if (c->ids && a->topic.n && !a->all)
		return wrong_use(c, "--topic goes with --all");
	if (a->dead && a->pending)
		return wrong_use(c, "it takes --dead or --pending, not both");
	return ADMIN_OK;
}

static enum admin_exit
run_command(const struct command *c, int argc, char **argv, struct admin *a)
{
	enum admin_exit status = ADMIN_OK;

	for (int i = 1; i < argc && status == ADMIN_OK; i++)
		status = read_arg(c, a, argc, argv, &i);
	if (status == ADMIN_OK && a->help)
		return command_help(c);
	if (status == ADMIN_OK)
		status = check_args(c, a);
	if (status != ADMIN_OK)
		return status;
	status = reach_helper(a->socket, &a->ask) ? c->run(a) : ADMIN_UNREACHED;
	ask_close(&a->ask);
	return status;
}

enum admin_exit
admin_run(int argc, char **argv)
{
	const struct command *c = NULL;
	enum admin_exit status;
	struct admin a = { .command = argv[0], .limit = LIMIT_DEFAULT, .topic = LIT(""),
	    .ask.fd = -1 };

	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			c = &commands[i];
	if (c == NULL) {
		fprintf(stderr, "kafka-pixy: argument 1 is neither a command nor an option; "
		    "kafka-pixy help lists both\n");
		return ADMIN_USAGE;
	}
	/* Nobody reads any more: an error of write(2) tells, and it ends in order. */
	signal(SIGPIPE, SIG_IGN);
	a.ids = calloc((size_t)argc, sizeof(*a.ids));
	if (a.ids == NULL)
		return ADMIN_BAD;
	status = run_command(c, argc, argv, &a);
	free(a.ids);
	return status;
}

static void
complain(const struct admin *a, const char *done, struct kp_slice text)
{
	struct kp_buf b;

	kp_buf_init(&b, 8192);
	print_text(&b, text);
	fprintf(stderr, "kafka-pixy %s: %s%s%.*s\n", a->command, done ? done : "",
	    done ? "; then: " : "", (int)b.len, (const char *)b.p);
	kp_buf_free(&b);
}

static const char *
explain(enum kp_err err, uint8_t type)
{
	switch (err) {
	case KP_ETIMEDOUT:
		return "the helper did not answer in time: see its log";
	case KP_EVERSION:
		return "the helper is of another version than this command: restart the gateway";
	case KP_EBADMSG:
		return "the helper's answer makes no sense";
	case KP_EGONE:
		return type == MSG_RETRY_DEAD || type == MSG_DROP_DEAD ?
		    "the helper has gone, and may or may not have done it" : "the helper has gone";
	default:
		return kp_err_text(err);
	}
}

enum admin_exit
admin_ask(struct admin *a, uint8_t type, const void *m, int timeout_ms, struct kp_slice *body,
    const char *done)
{
	enum kp_err err = ask(&a->ask, type, m, timeout_ms, body);
	const struct msg_error *e = &a->ask.error;

	if (err) {
		complain(a, done, kp_slice_str(explain(err, type)));
		return ADMIN_UNREACHED;
	}
	if (e->err == KP_OK)
		return ADMIN_OK;
	complain(a, done, e->text.n ? e->text : kp_slice_str(kp_err_text(e->err)));
	return ADMIN_BAD;
}

enum admin_exit
admin_nonsense(const struct admin *a)
{
	complain(a, NULL, kp_slice_str(explain(KP_EBADMSG, 0)));
	return ADMIN_UNREACHED;
}
