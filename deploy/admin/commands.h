/*
 * What a command is given, and the commands. Each prints its result to standard
 * output and everything else to standard error.
 */
#ifndef KP_ADMIN_COMMANDS_H
#define KP_ADMIN_COMMANDS_H

#include "common/ask.h"
#include "deploy/admin/admin.h"

#define LIMIT_DEFAULT 20
#define ASK_MS 60000			/* whatever waits for the store */
#define ASK_STATUS_MS 5000

struct admin {
	const char *command;
	const char *socket;		/* as given, or NULL */
	struct kp_slice topic;		/* empty: all */
	uint64_t limit;
	bool json;
	bool all;
	bool yes;
	bool dead;
	bool pending;
	bool help;
	int64_t *ids;
	size_t n_ids;
	struct ask ask;			/* connected when the command runs */
};

enum admin_exit command_status(struct admin *a);
enum admin_exit command_pending(struct admin *a);
enum admin_exit command_dead(struct admin *a);
enum admin_exit command_export(struct admin *a);
enum admin_exit command_retry(struct admin *a);
enum admin_exit command_drop(struct admin *a);

/*
 * Asks. ADMIN_BAD: the helper refused, ADMIN_UNREACHED: it did not answer; why has
 * been printed, after `done` (NULL: nothing), which says what was done before.
 */
enum admin_exit admin_ask(struct admin *a, uint8_t type, const void *m, int timeout_ms,
    struct kp_slice *body, const char *done);
/* The same for a reply that cannot be decoded. */
enum admin_exit admin_nonsense(const struct admin *a);

#endif
