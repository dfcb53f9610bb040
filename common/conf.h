/*
 * Every option of the three programs, in one table (conf.c).
 *
 * Later sources win: defaults, the file of --config, the environment
 * (--kafkaPeers is KAFKA_PIXY_KAFKA_PEERS), the command line. A responder
 * started by a web server has no command line of its own: it uses the
 * environment. -help, the manual and the sample file are checked against the
 * table.
 */
#ifndef KP_CONF_H
#define KP_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"

#define KP_VERSION "0.1.0"

/* Programs, as a bit set. */
enum conf_program { CONF_LAUNCHER = 1, CONF_HELPER = 2, CONF_RESPONDER = 4 };

enum conf_coordination { COORD_ZOOKEEPER, COORD_LOCAL, COORD_KAFKA };
enum conf_durability { DURABLE_FSYNC, DURABLE_OS, DURABLE_MEMORY };
extern const char *const conf_durabilities[];	/* their names */
enum conf_initial { INITIAL_NEWEST, INITIAL_OLDEST };
enum conf_isolation { READ_COMMITTED, READ_UNCOMMITTED };
enum conf_old { OLD_NOW, OLD_DEAD };

#define CONF_X_MAX 64

struct conf {
	char *config;
	char *kafka_peers;
	char *zookeeper_peers;
	char *tcp_addr;
	char *unix_addr;		/* empty: none */
	char *pid_file;			/* empty: none */
	char *store;			/* empty: the default place, see -help */
	char *socket;
	char *socket_group;		/* empty: the helper's own group only */
	char *socket_users;		/* empty: root and the helper's own user */
	char *user;			/* empty: do not change */
	char *kafka_version;		/* empty: ask the brokers */
	int coordination;		/* enum conf_coordination */
	int durability;			/* enum conf_durability */
	int initial_offset;		/* enum conf_initial */
	int isolation_level;		/* enum conf_isolation */
	int on_old_timestamp;		/* enum conf_old */
	int log_level;			/* enum log_level */
	uint64_t max_message_bytes;
	uint64_t store_max_bytes;
	uint64_t consume_max_bytes;
	uint64_t store_min_free_bytes;
	uint64_t sync_timeout_ms;
	uint64_t ack_timeout_s;
	uint64_t responders;
	uint64_t threads;
	bool help;
	bool version;
	char *x[CONF_X_MAX];		/* "property=value" for librdkafka */
	size_t n_x;
};

/*
 * Fills *c for `program` from all sources. Whatever it returns, the caller ends
 * *c with conf_free(). KP_EBADREQ: `why` holds one line that says what is wrong
 * and what would be right. KP_ENOMEM.
 */
enum kp_err conf_load(struct conf *c, enum conf_program program, int argc, char **argv,
    char *why, size_t why_cap);
void conf_free(struct conf *c);

void conf_help(FILE *out, enum conf_program program);

/* True when the broker is the one inside the helper. */
bool conf_embedded(const struct conf *c);

/*
 * The command line that gives `program` the same configuration: argv0, then
 * --name=value for each of its options, but for -X: a property may be a secret, and
 * everybody can read a command line. NULL-terminated, freed with conf_args_free();
 * NULL without memory.
 */
char **conf_args(const struct conf *c, enum conf_program program, const char *argv0);
void conf_args_free(char **args);
/* Writes the -X properties to a new file of mode 0600, for --config. KP_EIO: see
 * errno. */
enum kp_err conf_save_properties(const struct conf *c, const char *path);

/* The names in the table, for tests; NULL past the end. */
const char *conf_option_name(size_t i);

#endif
