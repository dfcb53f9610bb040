/* The option table, and the loader that reads it from file, environment and
 * command line. To add an option: a field in struct conf, a row here. */
#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/utf8.h"

#define LINE_BYTES 4096
#define X_BYTES (LINE_BYTES - 64)

#define L CONF_LAUNCHER
#define H CONF_HELPER
#define R CONF_RESPONDER

enum kind { STR, NUM, ENUM, FLAG, LIST };

static const char *const coordinations[] = { "zookeeper", "local", "kafka", NULL };
const char *const conf_durabilities[] = { "fsync", "os", "memory", NULL };
static const char *const initials[] = { "newest", "oldest", NULL };
static const char *const isolations[] = { "read_committed", "read_uncommitted", NULL };
static const char *const olds[] = { "now", "dead", NULL };
static const char *const levels[] = { "error", "warn", "info", "debug", NULL };

static const struct option {
	const char *name;
	unsigned programs;
	enum kind kind;
	size_t field;
	const char *value;		/* the default */
	const char *const *choices;	/* ENUM */
	uint64_t min, max;		/* NUM */
	const char *help;
} options[] = {
#define FIELD(f) offsetof(struct conf, f)
	{ "kafkaPeers", L | H, STR, FIELD(kafka_peers), "localhost:9092", NULL, 0, 0,
	    "Kafka brokers, host[:port],...; \"embedded\": a broker in memory, to try things out" },
	{ "zookeeperPeers", L | H, STR, FIELD(zookeeper_peers), "localhost:2181", NULL, 0, 0,
	    "ZooKeeper servers, host[:port],...[/chroot], IPv6 in brackets" },
	{ "tcpAddr", L, STR, FIELD(tcp_addr), "0.0.0.0:19092", NULL, 0, 0,
	    "TCP address to serve HTTP on" },
	{ "unixAddr", L, STR, FIELD(unix_addr), "", NULL, 0, 0,
	    "Unix socket to serve HTTP on as well" },
	{ "pidFile", L, STR, FIELD(pid_file), "", NULL, 0, 0,
	    "file to write the process id to" },
	{ "coordination", L | H, ENUM, FIELD(coordination), "zookeeper", coordinations, 0, 0,
	    "who divides partitions among hosts; kafka: the brokers; local: this host alone "
	    "takes all" },
	{ "durability", L | H, ENUM, FIELD(durability), "fsync", conf_durabilities, 0, 0,
	    "what a 200 to async produce survives: power loss, the process, nothing" },
	{ "initialOffset", L | H, ENUM, FIELD(initial_offset), "newest", initials, 0, 0,
	    "where a new consumer group starts" },
	{ "isolationLevel", L | H, ENUM, FIELD(isolation_level), "read_committed", isolations, 0, 0,
	    "whether messages of transactions are given once these are committed, or at once and "
	    "also when they are aborted" },
	{ "store", L | H, STR, FIELD(store), "", NULL, 0, 0,
	    "file of messages that Kafka does not have yet (default: "
	    "/var/lib/kafka-pixy/store.db for root, else ~/.local/state/kafka-pixy/store.db)" },
	{ "storeMaxBytes", L | H, NUM, FIELD(store_max_bytes), "1073741824", NULL,
	    1 << 20, UINT64_MAX / 2,
	    "most bytes kept in the store; async produce gets 503 past it" },
	{ "storeMinFreeBytes", L | H, NUM, FIELD(store_min_free_bytes), "67108864", NULL,
	    0, UINT64_MAX / 2,
	    "room that the store leaves on its disk; async produce gets 503 below it" },
	{ "maxMessageBytes", L | H | R, NUM, FIELD(max_message_bytes), "1000000", NULL,
	    1, 64 << 20, "largest message accepted; 413 past it" },
	{ "onOldTimestamp", L | H, ENUM, FIELD(on_old_timestamp), "now", olds, 0, 0,
	    "a message whose time brokers refuse is sent with the present one, or refused" },
	{ "syncTimeoutMs", L | H | R, NUM, FIELD(sync_timeout_ms), "10000", NULL,
	    100, 300000, "longest wait of a sync produce" },
	{ "ackTimeout", L | H, NUM, FIELD(ack_timeout_s), "300", NULL, 1, 86400,
	    "seconds after which a message that was not acknowledged is offered again" },
	{ "consumeMaxBytes", L | H, NUM, FIELD(consume_max_bytes), "67108864", NULL,
	    4 << 20, UINT64_MAX / 2,
	    "memory for messages that are read ahead, out, or wait to be acknowledged" },
	{ "kafkaVersion", L | H, STR, FIELD(kafka_version), "", NULL, 0, 0,
	    "version of brokers older than 0.10, which cannot be asked: 0.8.2.2, 0.9.0.1" },
	{ "X", L | H, LIST, FIELD(x), "", NULL, 0, 0,
	    "property=value for librdkafka, repeatable; producer.… and consumer.… for one side; "
	    "a secret such as sasl.password=@FILE is read from a file of mode 0600" },
	{ "socket", H | R, STR, FIELD(socket), "/run/kafka-pixy/helper.sock", NULL, 0, 0,
	    "Unix socket between responders and helper" },
	{ "socketGroup", H, STR, FIELD(socket_group), "", NULL, 0, 0,
	    "group that may connect to the helper's socket" },
	{ "socketUsers", L | H, STR, FIELD(socket_users), "", NULL, 0, 0,
	    "users that the helper serves, name,...; root and its own user always are" },
	{ "user", L, STR, FIELD(user), "", NULL, 0, 0,
	    "user to become when started as root" },
	{ "responders", L, NUM, FIELD(responders), "2", NULL, 1, 16,
	    "number of responder processes" },
	{ "threads", L | R, NUM, FIELD(threads), "256", NULL, 4, 400,
	    "most threads of a responder process" },
	{ "logLevel", L | H | R, ENUM, FIELD(log_level), "info", levels, 0, 0,
	    "how much to log" },
	{ "config", L | H | R, STR, FIELD(config), "", NULL, 0, 0,
	    "file of options, a line each: name = value" },
	{ "help", L | H | R, FLAG, FIELD(help), NULL, NULL, 0, 0, "print this and exit" },
	{ "version", L | H | R, FLAG, FIELD(version), NULL, NULL, 0, 0,
	    "print the version and exit" },
#undef FIELD
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

#define fail(...) kp_err_say(KP_EBADREQ, __VA_ARGS__)

static const struct option *
find(const char *name, size_t n)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
			return &options[i];
	return NULL;
}

static void *
field_of(const struct conf *c, const struct option *o)
{
	return (char *)(uintptr_t)c + o->field;
}

static enum kp_err
set_number(struct conf *c, const struct option *o, const char *value, char *why, size_t cap)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end || errno || n < o->min || n > o->max)
		return fail(why, cap, "--%s takes a whole number from %llu to %llu, not \"%s\"",
		    o->name, (unsigned long long)o->min, (unsigned long long)o->max, value);
	*(uint64_t *)field_of(c, o) = n;
	return KP_OK;
}

static enum kp_err
set_choice(struct conf *c, const struct option *o, const char *value, char *why, size_t cap)
{
	char all[128] = "";

	for (int i = 0; o->choices[i]; i++) {
		if (strcmp(o->choices[i], value) == 0) {
			*(int *)field_of(c, o) = i;
			return KP_OK;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
		    o->choices[i]);
	}
	return fail(why, cap, "--%s takes one of %s, not \"%s\"", o->name, all, value);
}

static enum kp_err
set_property(struct conf *c, const char *value, char *why, size_t cap)
{
	size_t n = strlen(value);

	if (strchr(value, '=') == NULL || value[0] == '=')
		return fail(why, cap, "-X takes property=value");
	/* It may have to go through a line of a file: see conf_save_properties(). */
	if (strcspn(value, "\r\n") != n || isspace((unsigned char)value[n - 1]) || n > X_BYTES)
		return fail(why, cap, "-X %.*s: the value is too long, or has a newline in it or "
		    "a blank at its end; read a secret from a file: @FILE",
		    (int)strcspn(value, "="), value);
	if (c->n_x == CONF_X_MAX)
		return fail(why, cap, "-X is given more than %d times", CONF_X_MAX);
	c->x[c->n_x] = strdup(value);
	return c->x[c->n_x++] ? KP_OK : KP_ENOMEM;
}

static enum kp_err
set(struct conf *c, const struct option *o, const char *value, char *why, size_t cap)
{
	char **str;

	switch (o->kind) {
	case NUM:
		return set_number(c, o, value, why, cap);
	case ENUM:
		return set_choice(c, o, value, why, cap);
	case LIST:
		return set_property(c, value, why, cap);
	case FLAG:
		*(bool *)field_of(c, o) = true;
		return KP_OK;
	case STR:
		break;
	}
	str = field_of(c, o);
	free(*str);
	*str = strdup(value);
	return *str ? KP_OK : KP_ENOMEM;
}

static enum kp_err
load_defaults(struct conf *c, char *why, size_t cap)
{
	enum kp_err err = KP_OK;

	*c = (struct conf){ 0 };
	for (size_t i = 0; i < N_OPTIONS && err == KP_OK; i++)
		if (options[i].kind != FLAG && options[i].kind != LIST)
			err = set(c, &options[i], options[i].value, why, cap);
	return err;
}

static char *
trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

/* One file may serve all programs, so an option of another one is no error. */
static enum kp_err
load_file(struct conf *c, unsigned program, const char *path, char *why, size_t cap)
{
	char line[LINE_BYTES], *name, *value;
	enum kp_err err = KP_OK;
	FILE *f = fopen(path, "re");
	int no = 0;

	if (f == NULL)
		return fail(why, cap, "cannot read --config %s: %s", path, strerror(errno));
	while (err == KP_OK && fgets(line, sizeof(line), f)) {
		const struct option *o;

		no++;
		if (strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n') {
			err = fail(why, cap, "%s line %d: the line is too long", path, no);
			break;
		}
		name = trim(line + (no == 1 ? utf8_bom((const uint8_t *)line, strlen(line)) : 0));
		if (*name == '\0' || *name == '#')
			continue;
		value = strchr(name, '=');
		if (value)
			*value++ = '\0';
		name = trim(name);
		o = find(name, strlen(name));
		/* One file, not a chain: and `path` is the value of "config". */
		if (o == NULL || value == NULL || o->kind == FLAG ||
		    o->field == offsetof(struct conf, config))
			err = fail(why, cap, "%s line %d: expected \"option = value\"", path, no);
		else if (o->programs & program)
			err = set(c, o, trim(value), why, cap);
	}
	if (err == KP_OK && ferror(f))
		err = fail(why, cap, "cannot read --config %s: %s", path, strerror(errno));
	fclose(f);
	return err;
}

/* kafkaPeers -> KAFKA_PIXY_KAFKA_PEERS */
static void
env_name(const struct option *o, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "KAFKA_PIXY_");

	for (const char *p = o->name; *p && n + 3 < cap; p++) {
		if (isupper((unsigned char)*p) && p != o->name)
			out[n++] = '_';
		out[n++] = (char)toupper((unsigned char)*p);
	}
	out[n] = '\0';
}

static enum kp_err
load_env(struct conf *c, unsigned program, char *why, size_t cap)
{
	enum kp_err err = KP_OK;

	for (size_t i = 0; i < N_OPTIONS && err == KP_OK; i++) {
		const struct option *o = &options[i];
		const char *value;
		char name[64];

		if (!(o->programs & program) || o->kind == FLAG || o->kind == LIST)
			continue;
		env_name(o, name, sizeof(name));
		value = getenv(name);
		if (value)
			err = set(c, o, value, why, cap);
	}
	return err;
}

/* What is wrong with argv[i], without a value in it: a mistyped -X may well
 * carry a password, before or after its '='. */
static enum kp_err
unknown(char **argv, int i, char *why, size_t cap)
{
	int n = (int)strcspn(argv[i], "=");

	if (argv[i][0] == '-')
		return fail(why, cap, "unknown option \"%.*s\"; -help lists the options", n,
		    argv[i]);
	return fail(why, cap, "argument %d is not an option; -help lists the options", i);
}

/* Go's flag syntax: one dash or two, "-name value" or "-name=value". With
 * `only`, sets that option and passes over the rest. */
static enum kp_err
load_args(struct conf *c, unsigned program, int argc, char **argv, const struct option *only,
    char *why, size_t cap)
{
	enum kp_err err = KP_OK;

	for (int i = 1; i < argc && err == KP_OK; i++) {
		const char *name = argv[i], *value;
		const struct option *o;
		size_t n;

		name += name[0] == '-';
		name += name > argv[i] && name[0] == '-';
		n = strcspn(name, "=");
		o = name == argv[i] ? NULL : find(name, n);
		if (o == NULL && strcmp(name, "h") == 0)
			o = find("help", 4);
		if (o == NULL || !(o->programs & program))
			return unknown(argv, i, why, cap);
		value = name[n] == '=' ? name + n + 1 : NULL;
		if (value == NULL && o->kind != FLAG) {
			if (++i == argc)
				return fail(why, cap, "option --%s needs a value", o->name);
			value = argv[i];
		}
		if (value && o->kind == FLAG)
			return fail(why, cap, "--%s takes no value", o->name);
		if (only == NULL || o == only)
			err = set(c, o, value, why, cap);
	}
	return err;
}

enum kp_err
conf_load(struct conf *c, enum conf_program program, int argc, char **argv, char *why, size_t cap)
{
	const struct option *config = find("config", 6);
	enum kp_err err;

	snprintf(why, cap, "%s", kp_err_text(KP_ENOMEM));
	err = load_defaults(c, why, cap);
	/* The file's name comes from the later sources, its content is earlier. */
	if (err == KP_OK && getenv("KAFKA_PIXY_CONFIG"))
		err = set(c, config, getenv("KAFKA_PIXY_CONFIG"), why, cap);
	if (err == KP_OK)
		err = load_args(c, program, argc, argv, config, why, cap);
	if (err == KP_OK && c->config[0])
		err = load_file(c, program, c->config, why, cap);
	if (err == KP_OK)
		err = load_env(c, program, why, cap);
	if (err == KP_OK)
		err = load_args(c, program, argc, argv, NULL, why, cap);
	if (err == KP_OK && conf_embedded(c))
		c->coordination = COORD_LOCAL;
	return err;
}

void
conf_free(struct conf *c)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (options[i].kind == STR)
			free(*(char **)field_of(c, &options[i]));
	for (size_t i = 0; i < c->n_x; i++)
		free(c->x[i]);
	*c = (struct conf){ 0 };
}

void
conf_help(FILE *out, enum conf_program program)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];

		if (!(o->programs & program))
			continue;
		fprintf(out, "  --%s", o->name);
		for (int k = 0; o->choices && o->choices[k]; k++)
			fprintf(out, "%s%s", k ? "|" : " ", o->choices[k]);
		fprintf(out, "\n        %s", o->help);
		if (o->value && o->value[0])
			fprintf(out, " (default %s)", o->value);
		fputc('\n', out);
	}
}

bool
conf_embedded(const struct conf *c)
{
	return strcmp(c->kafka_peers, "embedded") == 0;
}

static char *
format_arg(const struct conf *c, const struct option *o)
{
	char *s = NULL;
	int n = -1;

	if (o->kind == STR)
		n = asprintf(&s, "--%s=%s", o->name, *(char **)field_of(c, o));
	else if (o->kind == NUM)
		n = asprintf(&s, "--%s=%llu", o->name,
		    (unsigned long long)*(uint64_t *)field_of(c, o));
	else if (o->kind == ENUM)
		n = asprintf(&s, "--%s=%s", o->name, o->choices[*(int *)field_of(c, o)]);
	return n < 0 ? NULL : s;
}

char **
conf_args(const struct conf *c, enum conf_program program, const char *argv0)
{
	char **args = calloc(N_OPTIONS + 2, sizeof(*args));
	size_t n = 0;

	if (args == NULL || (args[n++] = strdup(argv0)) == NULL)
		goto fail;
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];

		/* A file and the environment are already in the values. */
		if (!(o->programs & program) || o->kind == FLAG || o->kind == LIST ||
		    strcmp(o->name, "config") == 0)
			continue;
		if ((args[n++] = format_arg(c, o)) == NULL)
			goto fail;
	}
	return args;

fail:
	conf_args_free(args);
	return NULL;
}

void
conf_args_free(char **args)
{
	for (size_t i = 0; args && args[i]; i++)
		free(args[i]);
	free(args);
}

enum kp_err
conf_save_properties(const struct conf *c, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool ok = f != NULL;

	for (size_t i = 0; ok && i < c->n_x; i++)
		ok = fprintf(f, "X = %s\n", c->x[i]) > 0;
	if (f)
		ok = fclose(f) == 0 && ok;
	return ok ? KP_OK : KP_EIO;
}

const char *
conf_option_name(size_t i)
{
	return i < N_OPTIONS ? options[i].name : NULL;
}
