/* The option table: spellings, precedence of the sources, limits, and what an
 * error says (and must not say). */
#include "common/conf.h"
#include "common/log.h"
#include "tests/unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#define CONF_FILE "conf_test.conf"
#define ARGV_MAX (2 * CONF_X_MAX + 8)

static char why[512];

/* Loads `program`'s options from the words after it, up to NULL. */
#define load(c, program, ...)							\
	load_words(c, program, (const char *const[]){ __VA_ARGS__, NULL })
#define HELPER(c, ...) load(c, CONF_HELPER, __VA_ARGS__)

static enum kp_err
load_words(struct conf *c, enum conf_program program, const char *const *words)
{
	char *argv[ARGV_MAX] = { (char *)(uintptr_t)"prog" };
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	why[0] = '\0';
	return conf_load(c, program, argc, argv, why, sizeof(why));
}

/* KP_EBADREQ with exactly this text. */
#define assert_refused(text, ...)						\
	do {									\
		struct conf c_;							\
		enum kp_err err_ = HELPER(&c_, __VA_ARGS__);			\
										\
		conf_free(&c_);							\
		assert_err(err_, KP_EBADREQ);					\
		assert_string_equal(why, text);					\
	} while (0)

static void
write_conf(const char *text)
{
	FILE *f = fopen(CONF_FILE, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* A field of a file that is refused, with exactly this text. */
#define assert_file_refused(text, content)					\
	do {									\
		write_conf(content);						\
		assert_refused(text, "--config", CONF_FILE);			\
	} while (0)

static int
setup(void **state)
{
	static const char *const vars[] = { "KAFKA_PEERS", "CONFIG", "LOG_LEVEL",
		"MAX_MESSAGE_BYTES", "SOCKET", "SYNC_TIMEOUT_MS" };

	(void)state;
	for (size_t i = 0; i < COUNT(vars); i++) {
		char name[64];

		snprintf(name, sizeof(name), "KAFKA_PIXY_%s", vars[i]);
		unsetenv(name);
	}
	unlink(CONF_FILE);
	return 0;
}

static void
test_defaults(void **state)
{
	struct conf c;

	(void)state;
	assert_err(load_words(&c, CONF_LAUNCHER, (const char *const[]){ NULL }), KP_OK);
	assert_string_equal(c.kafka_peers, "localhost:9092");
	assert_string_equal(c.zookeeper_peers, "localhost:2181");
	assert_string_equal(c.tcp_addr, "0.0.0.0:19092");
	assert_string_equal(c.unix_addr, "");
	assert_string_equal(c.pid_file, "");
	assert_int_equal(c.coordination, COORD_ZOOKEEPER);
	assert_int_equal(c.durability, DURABLE_FSYNC);
	assert_int_equal(c.initial_offset, INITIAL_NEWEST);
	assert_int_equal(c.isolation_level, READ_COMMITTED);
	assert_int_equal(c.on_old_timestamp, OLD_NOW);
	assert_int_equal(c.log_level, LOG_INFO);
	assert_int_equal(c.max_message_bytes, 1000000);
	assert_int_equal(c.sync_timeout_ms, 10000);
	assert_int_equal(c.ack_timeout_s, 300);
	assert_int_equal(c.n_x, 0);
	assert_false(c.help || c.version || conf_embedded(&c));
	conf_free(&c);
	conf_free(&c);		/* a freed one may be freed again */
}

static void
test_spellings(void **state)
{
	static const char *const words[][3] = {
		{ "--kafkaPeers", "a:1", NULL }, { "-kafkaPeers", "a:1", NULL },
		{ "--kafkaPeers=a:1", NULL, NULL }, { "-kafkaPeers=a:1", NULL, NULL },
	};
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		assert_err(load_words(&c, CONF_HELPER, words[i]), KP_OK);
		assert_string_equal(c.kafka_peers, "a:1");
		conf_free(&c);
	}
	/* the value is the rest, whatever it looks like */
	assert_err(HELPER(&c, "--kafkaPeers=", "--store=a=b", "--zookeeperPeers", "--help"), KP_OK);
	assert_string_equal(c.kafka_peers, "");
	assert_string_equal(c.store, "a=b");
	assert_string_equal(c.zookeeper_peers, "--help");
	assert_false(c.help);
	conf_free(&c);
	assert_err(HELPER(&c, "--logLevel", "warn", "--logLevel", "debug"), KP_OK);
	assert_int_equal(c.log_level, LOG_DEBUG);
	conf_free(&c);
}

static void
test_help_and_version(void **state)
{
	static const char *const help[] = { "-h", "--h", "-help", "--help" };
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(help); i++) {
		assert_err(HELPER(&c, help[i]), KP_OK);
		assert_true(c.help);
		assert_false(c.version);
		conf_free(&c);
	}
	assert_err(HELPER(&c, "-version"), KP_OK);
	assert_true(c.version);
	conf_free(&c);
}

static void
test_enumerations(void **state)
{
	struct conf c;

	(void)state;
	assert_err(HELPER(&c, "--coordination=local", "--durability=memory",
	    "--initialOffset=oldest", "--isolationLevel=read_uncommitted", "--logLevel=error",
	    "--onOldTimestamp=dead"), KP_OK);
	assert_int_equal(c.coordination, COORD_LOCAL);
	assert_int_equal(c.durability, DURABLE_MEMORY);
	assert_int_equal(c.initial_offset, INITIAL_OLDEST);
	assert_int_equal(c.isolation_level, READ_UNCOMMITTED);
	assert_int_equal(c.on_old_timestamp, OLD_DEAD);
	assert_int_equal(c.log_level, LOG_ERROR);
	conf_free(&c);
	assert_err(HELPER(&c, "--kafkaPeers", "embedded"), KP_OK);
	assert_true(conf_embedded(&c));
	assert_int_equal(c.coordination, COORD_LOCAL);
	conf_free(&c);
}

/* default < file < environment < command line, each for itself */
static void
test_precedence(void **state)
{
	struct conf c;

	(void)state;
	write_conf("kafkaPeers = file:1\nlogLevel = warn\nmaxMessageBytes = 11\n"
	    "syncTimeoutMs = 111\n");
	setenv("KAFKA_PIXY_KAFKA_PEERS", "env:1", 1);
	setenv("KAFKA_PIXY_MAX_MESSAGE_BYTES", "22", 1);
	assert_err(HELPER(&c, "--config", CONF_FILE, "--kafkaPeers", "argv:1"), KP_OK);
	assert_string_equal(c.kafka_peers, "argv:1");
	assert_int_equal(c.max_message_bytes, 22);
	assert_int_equal(c.log_level, LOG_WARN);
	assert_int_equal(c.sync_timeout_ms, 111);
	assert_string_equal(c.zookeeper_peers, "localhost:2181");
	conf_free(&c);
	/* the file's name may come from the environment; argv's wins there too */
	setenv("KAFKA_PIXY_CONFIG", CONF_FILE, 1);
	assert_err(HELPER(&c, "--socketUsers=u"), KP_OK);
	assert_int_equal(c.sync_timeout_ms, 111);
	conf_free(&c);
	setenv("KAFKA_PIXY_CONFIG", "/nonexistent", 1);
	assert_err(HELPER(&c, "--config", CONF_FILE), KP_OK);
	assert_int_equal(c.sync_timeout_ms, 111);
	assert_string_equal(c.config, CONF_FILE);
	conf_free(&c);
}

static void
test_file_format(void **state)
{
	struct conf c;

	(void)state;
	write_conf("# a comment = 1\n\n  \t\n   kafkaPeers=a:1,b:2   \r\n"
	    "\tstore =  /a path/with = and spaces \n"
	    "tcpAddr = another program's\nX = a.b=c=d\nX=e=\nsocketUsers =\nsocketGroup=last");
	assert_err(HELPER(&c, "--config=" CONF_FILE, "-X", "f=g"), KP_OK);
	assert_string_equal(c.kafka_peers, "a:1,b:2");
	assert_string_equal(c.store, "/a path/with = and spaces");
	assert_string_equal(c.tcp_addr, "0.0.0.0:19092");
	assert_string_equal(c.socket_users, "");
	assert_string_equal(c.socket_group, "last");
	assert_int_equal(c.n_x, 3);
	assert_string_equal(c.x[0], "a.b=c=d");
	assert_string_equal(c.x[1], "e=");
	assert_string_equal(c.x[2], "f=g");
	conf_free(&c);
}

/* Only at the beginning, where some editors put it. */
static void
test_file_with_a_byte_order_mark(void **state)
{
	static const char *const texts[] = { "\xef\xbb\xbflogLevel = debug\n",
		"\xef\xbb\xbf# a comment\nlogLevel = debug", "\xef\xbb\xbf\r\nlogLevel = debug" };
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		write_conf(texts[i]);
		assert_err(HELPER(&c, "--config", CONF_FILE), KP_OK);
		assert_int_equal(c.log_level, LOG_DEBUG);
		conf_free(&c);
	}
	assert_file_refused(CONF_FILE " line 2: expected \"option = value\"",
	    "logLevel = info\n\xef\xbb\xbflogLevel = debug\n");
}

static void
test_file_errors(void **state)
{
	char line[5000];

	(void)state;
	assert_refused("cannot read --config /nonexistent/x: No such file or directory",
	    "--config", "/nonexistent/x");
	assert_refused("cannot read --config /: Is a directory", "--config", "/");
	assert_file_refused(CONF_FILE " line 2: expected \"option = value\"",
	    "logLevel = info\nnonsense = 1\n");
	assert_file_refused(CONF_FILE " line 1: expected \"option = value\"", "kafkaPeers\n");
	assert_file_refused(CONF_FILE " line 1: expected \"option = value\"", "= x\n");
	assert_file_refused(CONF_FILE " line 1: expected \"option = value\"", "help = 1\n");
	assert_file_refused(CONF_FILE " line 1: expected \"option = value\"", "--user = u\n");
	assert_file_refused("--logLevel takes one of error, warn, info, debug, not \"loud\"",
	    "logLevel = loud\n");
	/* one file, not a chain of files */
	assert_file_refused(CONF_FILE " line 1: expected \"option = value\"",
	    "config = other.conf\nnonsense\n");
	/* the rest of a line too long must not be taken for a line of its own */
	memset(line, ' ', sizeof(line));
	memcpy(line, "store = s", 9);
	memcpy(line + 4095, "user=root\n", 11);
	assert_file_refused(CONF_FILE " line 1: the line is too long", line);
}

static void
test_errors_of_the_command_line(void **state)
{
	struct conf c;

	(void)state;
	assert_refused("unknown option \"--nope\"; -help lists the options", "--nope");
	assert_refused("unknown option \"--kafkapeers\"; -help lists the options",
	    "--kafkapeers", "x");
	assert_refused("unknown option \"---kafkaPeers\"; -help lists the options",
	    "---kafkaPeers", "x");
	assert_refused("unknown option \"--tcpAddr\"; -help lists the options", "--tcpAddr", "x");
	assert_refused("unknown option \"--\"; -help lists the options", "--");
	assert_refused("unknown option \"-\"; -help lists the options", "-");
	assert_refused("argument 3 is not an option; -help lists the options",
	    "--store", "u", "stray");
	assert_refused("argument 1 is not an option; -help lists the options", "");
	assert_refused("option --kafkaPeers needs a value", "--kafkaPeers");
	assert_refused("option --X needs a value", "-X");
	assert_refused("-X takes property=value", "-X", "novalue");
	assert_refused("-X takes property=value", "-X", "=novalue");
	assert_refused("--durability takes one of fsync, os, memory, not \"\"", "--durability=");
	assert_refused("--help takes no value", "--help=false");
	assert_err(load(&c, CONF_LAUNCHER, "--tcpAddr", "x"), KP_OK);
	conf_free(&c);
}

static void
test_numbers_at_their_limits(void **state)
{
	static const struct {
		const char *value;
		bool ok;
	} cases[] = {
		{ "100", true }, { "300000", true }, { "00100", true },
		{ "99", false }, { "300001", false }, { "", false }, { "-100", false },
		{ "+100", false }, { " 100", false }, { "100 ", false }, { "100x", false },
		{ "0x100", false }, { "1e3", false }, { "1000.5", false },
		{ "18446744073709551616", false }, { "18446744073709551715", false },
	};
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char want[200];

		assert_err(HELPER(&c, "--syncTimeoutMs", cases[i].value),
		    cases[i].ok ? KP_OK : KP_EBADREQ);
		conf_free(&c);
		snprintf(want, sizeof(want), "--syncTimeoutMs takes a whole number from 100 to "
		    "300000, not \"%s\"", cases[i].value);
		if (!cases[i].ok)
			assert_string_equal(why, want);
	}
	assert_err(HELPER(&c, "--storeMaxBytes", "9223372036854775807"), KP_OK);
	assert_true(c.store_max_bytes == 9223372036854775807u);
	conf_free(&c);
	assert_err(HELPER(&c, "--storeMaxBytes", "9223372036854775808"), KP_EBADREQ);
	conf_free(&c);
	setenv("KAFKA_PIXY_SYNC_TIMEOUT_MS", "1", 1);
	assert_refused("--syncTimeoutMs takes a whole number from 100 to 300000, not \"1\"",
	    "--store=u");
}

static void
test_properties_up_to_their_number(void **state)
{
	const char *words[2 * CONF_X_MAX + 4] = { NULL };
	char values[CONF_X_MAX + 1][16];
	struct conf c;

	(void)state;
	for (int i = 0; i <= CONF_X_MAX; i++) {
		snprintf(values[i], sizeof(values[i]), "p%d=v", i);
		words[2 * i] = "-X";
		words[2 * i + 1] = values[i];
	}
	assert_err(load_words(&c, CONF_HELPER, words), KP_EBADREQ);
	assert_string_equal(why, "-X is given more than 64 times");
	conf_free(&c);
	words[2 * CONF_X_MAX] = NULL;
	assert_err(load_words(&c, CONF_HELPER, words), KP_OK);
	assert_int_equal(c.n_x, CONF_X_MAX);
	for (int i = 0; i < CONF_X_MAX; i++)
		assert_string_equal(c.x[i], values[i]);
	conf_free(&c);
}

/* They go to the helper as lines of a file. */
static void
test_properties_are_lines(void **state)
{
	static const char *const bad[] = {
		"ssl.key.pem=hunter2\n-----END", "sasl.password=hunter2\nstore = /x",
		"sasl.password=hunter2\r", "sasl.password=hunter2 ", "sasl.password=hunter2\t",
	};
	static char large[5000] = "sasl.password=hunter2";
	struct conf c;

	(void)state;
	for (size_t i = 0; i <= COUNT(bad); i++) {
		if (i == COUNT(bad))
			memset(large + strlen(large), 'x', sizeof(large) - 1 - strlen(large));
		assert_err(HELPER(&c, "-X", i < COUNT(bad) ? bad[i] : large), KP_EBADREQ);
		conf_free(&c);
		assert_null(strstr(why, "hunter2"));
		assert_non_null(strstr(why, "read a secret from a file: @FILE"));
	}
	large[4000] = '\0';
	assert_err(HELPER(&c, "-X", large, "-X", "client.id= a = b"), KP_OK);
	unlink("lines.conf");
	assert_err(conf_save_properties(&c, "lines.conf"), KP_OK);
	conf_free(&c);
	assert_err(HELPER(&c, "--config", "lines.conf"), KP_OK);
	assert_int_equal(c.n_x, 2);
	assert_string_equal(c.x[0], large);
	assert_string_equal(c.x[1], "client.id= a = b");
	conf_free(&c);
}

/* Whatever is mistyped around it, an error shows no property's value. */
static void
test_errors_show_no_secret(void **state)
{
	static const char *const words[][4] = {
		{ "-Xsasl.password=hunter2", NULL },
		{ "--Y=sasl.password=hunter2", NULL },
		{ "-sasl.password=hunter2", NULL },
		{ "--store", "u", "sasl.password=hunter2", NULL },
		{ "-X", "sasl.password", "hunter2", NULL },
		{ "-X", "=hunter2", NULL },
		{ "-X", "hunter2", NULL },
		{ "--help=hunter2", NULL },
	};
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		assert_err(load_words(&c, CONF_HELPER, words[i]), KP_EBADREQ);
		conf_free(&c);
		assert_true(why[0] != '\0');
		assert_null(strstr(why, "hunter2"));
	}
	write_conf("Xsasl.password=hunter2\n");
	assert_err(HELPER(&c, "--config", CONF_FILE), KP_EBADREQ);
	conf_free(&c);
	assert_null(strstr(why, "hunter2"));
}

/* What conf_args() prints gives the same configuration, whatever the sources were. */
static void
test_args_round_trip(void **state)
{
	struct conf a, b;
	char **args, **again;
	struct stat st;
	int argc = 0;

	(void)state;
	write_conf("kafkaPeers = file:1\nX = p=from file\nstore = a b=c\n");
	setenv("KAFKA_PIXY_SOCKET", "env.sock", 1);
	assert_err(HELPER(&a, "--config", CONF_FILE, "--logLevel=debug", "-X", "q=",
	    "--syncTimeoutMs=100", "--socketUsers=", "--coordination=local"), KP_OK);
	args = conf_args(&a, CONF_HELPER, "helper");
	setup(NULL);
	assert_non_null(args);
	assert_string_equal(args[0], "helper");
	for (; args[argc]; argc++)
		assert_null(strstr(args[argc], "from file"));
	unlink(CONF_FILE);
	assert_err(conf_save_properties(&a, CONF_FILE), KP_OK);
	assert_err(conf_save_properties(&a, CONF_FILE), KP_EIO);	/* only a new one */
	assert_int_equal(stat(CONF_FILE, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	setenv("KAFKA_PIXY_CONFIG", CONF_FILE, 1);
	assert_err(conf_load(&b, CONF_HELPER, argc, args, why, sizeof(why)), KP_OK);
	assert_string_equal(b.kafka_peers, "file:1");
	assert_string_equal(b.store, "a b=c");
	assert_string_equal(b.socket, "env.sock");
	assert_int_equal(b.log_level, LOG_DEBUG);
	assert_int_equal(b.sync_timeout_ms, 100);
	assert_int_equal(b.coordination, COORD_LOCAL);
	assert_int_equal(b.n_x, 2);
	assert_string_equal(b.x[0], "p=from file");
	assert_string_equal(b.x[1], "q=");
	again = conf_args(&b, CONF_HELPER, "helper");
	for (int i = 0; i <= argc; i++) {
		if (args[i] == NULL)
			assert_null(again[i]);
		else
			assert_string_equal(again[i], args[i]);
	}
	conf_args_free(again);
	conf_args_free(args);
	conf_args_free(NULL);
	conf_free(&b);
	conf_free(&a);
}

/* The launcher hands its configuration on: each program knows what it is given. */
static void
test_args_for_each_program(void **state)
{
	static const enum conf_program programs[] = { CONF_LAUNCHER, CONF_HELPER, CONF_RESPONDER };
	struct conf a, b;

	(void)state;
	assert_err(load(&a, CONF_LAUNCHER, "-X", "a=b", "--threads=7"), KP_OK);
	for (size_t i = 0; i < COUNT(programs); i++) {
		char **args = conf_args(&a, programs[i], "x");
		int argc = 0;

		while (args[argc])
			argc++;
		/* fields that the launcher has not loaded are printed too */
		assert_err(conf_load(&b, programs[i], argc, args, why, sizeof(why)), KP_OK);
		assert_int_equal(b.threads, programs[i] == CONF_HELPER ? 256 : 7);
		assert_string_equal(b.socket, "/run/kafka-pixy/helper.sock");
		assert_int_equal(b.n_x, 0);
		conf_free(&b);
		conf_args_free(args);
	}
	conf_free(&a);
}

static bool
program_takes(enum conf_program program, const char *name)
{
	char arg[64];
	struct conf c;

	snprintf(arg, sizeof(arg), "--%s", name);
	load(&c, program, arg);
	conf_free(&c);
	return strncmp(why, "unknown option", 14) != 0;
}

static void
test_help_lists_what_is_taken(void **state)
{
	static const enum conf_program programs[] = { CONF_LAUNCHER, CONF_HELPER, CONF_RESPONDER };

	(void)state;
	for (size_t p = 0; p < COUNT(programs); p++) {
		char *text = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&text, &n);

		conf_help(f, programs[p]);
		fclose(f);
		for (size_t i = 0; conf_option_name(i); i++) {
			char line[64];
			const char *at;

			snprintf(line, sizeof(line), "  --%s", conf_option_name(i));
			at = strstr(text, line);
			while (at && strchr(" \n", at[strlen(line)]) == NULL)
				at = strstr(at + 1, line);
			assert_int_equal(at != NULL,
			    program_takes(programs[p], conf_option_name(i)));
		}
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, setup),
		cmocka_unit_test_setup(test_spellings, setup),
		cmocka_unit_test_setup(test_help_and_version, setup),
		cmocka_unit_test_setup(test_enumerations, setup),
		cmocka_unit_test_setup(test_precedence, setup),
		cmocka_unit_test_setup(test_file_format, setup),
		cmocka_unit_test_setup(test_file_with_a_byte_order_mark, setup),
		cmocka_unit_test_setup(test_file_errors, setup),
		cmocka_unit_test_setup(test_errors_of_the_command_line, setup),
		cmocka_unit_test_setup(test_numbers_at_their_limits, setup),
		cmocka_unit_test_setup(test_properties_up_to_their_number, setup),
		cmocka_unit_test_setup(test_properties_are_lines, setup),
		cmocka_unit_test_setup(test_errors_show_no_secret, setup),
		cmocka_unit_test_setup(test_args_round_trip, setup),
		cmocka_unit_test_setup(test_args_for_each_program, setup),
		cmocka_unit_test_setup(test_help_lists_what_is_taken, setup),
	};

	unit_filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
