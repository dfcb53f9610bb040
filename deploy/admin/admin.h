/*
 * `kafka-pixy status`, `dead`, `retry` …: the helper asked and told by its
 * operator, over its socket.
 */
#ifndef KP_ADMIN_H
#define KP_ADMIN_H

/* What the commands end with. */
enum admin_exit {
	ADMIN_OK = 0,
	ADMIN_BAD = 1,			/* a part is down, or not all was done */
	ADMIN_USAGE = 2,
	ADMIN_UNREACHED = 3,		/* the helper cannot be reached, or has gone */
};

/* argv[0] is the command. Reads its options, runs it, has said what went wrong. */
enum admin_exit admin_run(int argc, char **argv);

/* The list of commands, a line each, for -help. */
void admin_help(void);

#endif
